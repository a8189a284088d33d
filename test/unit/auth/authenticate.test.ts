// Bearer tokens, right and wrong.
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAuthenticator } from '../../../src/auth/authenticate.ts';
import { signToken } from '../../../src/auth/jwt.ts';
import type { JwtConfig } from '../../../src/config/config.ts';
import { S3Error } from '../../../src/errors.ts';
import { RequestHeaders } from '../../../src/http.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const now = 1_800_000_000;
const jwt: JwtConfig = { algorithm: 'HS256', secret, clockSkewSeconds: 30 };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: now * 1000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const sign = (claims: JWTPayload, key = secret, alg = 'HS256'): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(key));
const withFields = (...fields: string[]) => ({ headers: new RequestHeaders(fields) });
const bearer = (token: string) => withFields('authorization', `Bearer ${token}`);
const authenticator = (more: Partial<JwtConfig> = {}) =>
  createAuthenticator({ enabled: true, jwt: { ...jwt, ...more } });

async function refusalOf(promise: Promise<unknown>): Promise<S3Error> {
  const error: unknown = await promise.then(
    () => 'accepted',
    (reason: unknown) => reason,
  );
  if (error instanceof S3Error) return error;
  throw new Error(`no refusal: ${String(error)}`);
}

/** All that the client sees of a refusal. */
async function seenOf(promise: Promise<unknown>): Promise<unknown[]> {
  const { status, code, message, headers } = await refusalOf(promise);
  return [status, code, message, ...headers];
}
const { message } = new S3Error('Unauthorized');
const noToken = [401, 'Unauthorized', message, ['WWW-Authenticate', 'Bearer realm="mizuchi"']];
const badToken = [401, 'Unauthorized', message, ['WWW-Authenticate', 'Bearer realm="mizuchi", error="invalid_token"']];

test('a good token says who sends the request', async () => {
  const claims = { sub: 'alice', exp: now + 60, tenant: { id: 'acme' } };
  const principal = await authenticator()(bearer(await sign(claims)));
  expect(principal).toEqual({ kind: 'jwt', subject: 'alice', claims, expiresAtMs: (now + 60) * 1000 });
});

test('a token need not name anybody', async () => {
  expect(await authenticator()(bearer(await sign({ exp: now + 60 })))).toMatchObject({ subject: undefined });
});

test('without authentication everybody is anonymous, whatever they bring', async () => {
  const authenticate = createAuthenticator({ enabled: false });
  expect(await authenticate(withFields())).toEqual({ kind: 'anonymous' });
  expect(await authenticate(bearer('nonsense'))).toEqual({ kind: 'anonymous' });
});

test('the scheme may be written in any case, with any number of spaces', async () => {
  const token = await sign({ exp: now + 60 });
  const authenticate = authenticator();
  for (const value of [`bearer ${token}`, `BEARER   ${token}`]) {
    expect(await authenticate(withFields('authorization', value))).toMatchObject({ kind: 'jwt' });
  }
});

describe('no token', () => {
  test.each([
    ['nothing', []],
    ['another scheme', ['authorization', 'Basic YTpi']],
    ['a scheme that begins alike', ['authorization', 'Bearers abc']],
    ['a signature', ['authorization', 'AWS4-HMAC-SHA256 Credential=a']],
    ['a token elsewhere', ['x-auth-token', 'abc', 'cookie', 'token=abc']],
  ])('%s', async (_, fields) => {
    expect(await seenOf(authenticator()(withFields(...fields)))).toEqual(noToken);
  });
});

describe('a wrong token', () => {
  const good = { sub: 'alice', exp: now + 60 };
  const encode = (text: string): string => Buffer.from(text).toString('base64url');
  /** Signed rightly, whatever its content. */
  const signText = (payload: string, header = '{"alg":"HS256"}'): string => {
    const signed = `${encode(header)}.${encode(payload)}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };

  test.each<[string, () => string | Promise<string>]>([
    ['empty', () => ''],
    ['no JWT', () => 'abc'],
    ['three dots of nothing', () => '..'],
    ['another secret', () => sign(good, 'x'.repeat(32))],
    ['another algorithm of the family', () => sign(good, secret.repeat(2), 'HS512')],
    ['no algorithm', () => new UnsecuredJWT(good).encode()],
    ['none, with a signature', () => signText(JSON.stringify(good), '{"alg":"none"}')],
    [
      'an extension that must be understood',
      () => signText(JSON.stringify(good), '{"alg":"HS256","crit":["x"],"x":1}'),
    ],
    ['cut short', async () => (await sign(good)).slice(0, -4)],
    ['padding', async () => `${await sign(good)}=`],
    ['white space within', async () => (await sign(good)).replace('.', '. ')],
    ['more behind', async () => `${await sign(good)}.abc`],
    ['expired', () => sign({ ...good, exp: now - 30 })],
    ['no expiry', () => sign({ sub: 'alice' })],
    ['an expiry that is no number', () => signText('{"exp":"4000000000"}')],
    ['an expiry that is infinite', () => signText('{"exp":1e999}')],
    ['not yet valid', () => sign({ ...good, nbf: now + 31 })],
    ['made in the future', () => sign({ ...good, iat: now + 31 })],
    ['a time that is no number', () => signText(JSON.stringify({ ...good, iat: 'now' }))],
    ['a subject that is no string', () => signText(JSON.stringify({ ...good, sub: 7 }))],
    ['a payload that is no object', () => signText('[1]')],
    ['a payload that is no JSON', () => signText('alice')],
  ])('%s', async (_, make) => {
    const token = await make();
    const authenticate = authenticator();
    expect(await seenOf(authenticate(bearer(token)))).toEqual(badToken);
    // For the log: what is wrong, and nothing of the token or its claims.
    const logged = inspect((await refusalOf(authenticate(bearer(token)))).cause, { depth: 9, showHidden: true });
    expect(logged).toMatch(/^Error: \S/);
    expect(logged).not.toContain('alice');
    expect(token.split('.').filter((piece) => piece.length > 8 && logged.includes(piece))).toEqual([]);
  });

  test('two of them, even if both are right', async () => {
    const token = await sign(good);
    const authenticate = authenticator();
    await authenticate(bearer(token));
    const fields = ['authorization', `Bearer ${token}`];
    expect(await seenOf(authenticate(withFields(...fields, ...fields)))).toEqual(badToken);
    expect(await seenOf(authenticate(withFields(...fields, 'authorization', '')))).toEqual(badToken);
  });
});

test('a clock may be wrong by so much', async () => {
  const authenticate = authenticator();
  for (const claims of [{ exp: now - 29 }, { exp: now + 60, nbf: now + 30 }, { exp: now + 60, iat: now + 30 }]) {
    expect(await authenticate(bearer(await sign(claims)))).toMatchObject({ kind: 'jwt' });
  }
});

test('issuer and audience are required when they are configured', async () => {
  const authenticate = authenticator({ issuer: 'https://issuer', audience: ['uploads', 'other'] });
  const good = { exp: now + 60, iss: 'https://issuer', aud: 'uploads' };
  expect(await authenticate(bearer(await sign(good)))).toMatchObject({ kind: 'jwt' });
  expect(await authenticate(bearer(await sign({ ...good, aud: ['x', 'other'] })))).toMatchObject({ kind: 'jwt' });
  const wrong = [
    { exp: good.exp, aud: 'uploads' },
    { ...good, iss: 'https://issuer/' },
    { exp: good.exp, iss: good.iss },
    { ...good, aud: 'x' },
    { ...good, aud: [] },
  ];
  for (const claims of wrong) expect(await seenOf(authenticate(bearer(await sign(claims))))).toEqual(badToken);
});

describe('a token that was found good before', () => {
  test('is believed without another verification, until it expires', async () => {
    const authenticate = authenticator();
    const token = await sign({ sub: 'alice', exp: now + 60 });
    const first = await authenticate(bearer(token));
    expect(await authenticate(bearer(token))).toBe(first);
    vi.setSystemTime((now + 60 + 29) * 1000);
    expect(await authenticate(bearer(token))).toBe(first);
    vi.setSystemTime((now + 60 + 30) * 1000);
    expect(await seenOf(authenticate(bearer(token)))).toEqual(badToken);
  });

  test('is not believed before its time, should the clock be set back', async () => {
    const authenticate = authenticator();
    const token = await sign({ exp: now + 60, nbf: now });
    await authenticate(bearer(token));
    vi.setSystemTime((now - 31) * 1000);
    expect(await seenOf(authenticate(bearer(token)))).toEqual(badToken);
  });

  test('says nothing about another bucket with another secret', async () => {
    const token = await sign({ exp: now + 60 });
    await authenticator()(bearer(token));
    expect(await seenOf(authenticator({ secret: 'y'.repeat(32) })(bearer(token)))).toEqual(badToken);
  });

  test('is not kept when it is very long', async () => {
    const authenticate = authenticator();
    const token = await sign({ exp: now + 60, filler: 'f'.repeat(8192) });
    const first = await authenticate(bearer(token));
    expect(await authenticate(bearer(token))).toEqual(first);
    expect(await authenticate(bearer(token))).not.toBe(first);
  });

  test('cannot be changed by whoever reads its claims', async () => {
    const principal = await authenticator()(bearer(await sign({ sub: 'alice', exp: now + 60 })));
    expect(Object.isFrozen(principal)).toBe(true);
    expect(principal.kind === 'jwt' && Object.isFrozen(principal.claims)).toBe(true);
  });
});

describe('signToken', () => {
  test('makes tokens that are accepted for their time', async () => {
    const more = { issuer: 'https://issuer', audience: ['uploads', 'other'] };
    const token = await signToken({ secret, subject: 'alice', ttlSeconds: 60, ...more });
    const authenticate = authenticator({ ...more, clockSkewSeconds: 0 });
    const expected = { subject: 'alice', expiresAtMs: (now + 60) * 1000 };
    expect(await authenticate(bearer(token))).toMatchObject(expected);
    vi.setSystemTime((now + 60) * 1000);
    expect(await seenOf(authenticate(bearer(token)))).toEqual(badToken);
  });

  test('leaves out what is not configured', async () => {
    const token = await signToken({ secret, subject: 'alice', ttlSeconds: 60 });
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(payload).toEqual({ sub: 'alice', iat: now, exp: now + 60 });
  });
});
