// Tokens, right and wrong, for every algorithm and every fixed key.
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { CompactEncrypt, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createJwtVerifier } from '../../../../src/auth/jwt/jwt-verifier.ts';
import { jwtAlgorithms, type JwtAlgorithm, type JwtConfig } from '../../../../src/config/config.ts';
import { certificatePem, certificateKey } from './certificate.ts';
import {
  badToken,
  jwkOf,
  keyPair,
  newConfig,
  newKeyPair,
  now,
  pemOf,
  refusalOf,
  secret,
  seenOf,
  sign,
  signText,
} from './tokens.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: now * 1000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const good = { sub: 'alice', exp: now + 60 };
const verifier = (more: Partial<JwtConfig> = {}) => createJwtVerifier(newConfig(more));
const isHmac = (algorithm: JwtAlgorithm) => algorithm.startsWith('HS');
const asymmetric = jwtAlgorithms.filter((name) => !isHmac(name));
const signingKeyOf = (algorithm: JwtAlgorithm) => (isHmac(algorithm) ? secret : keyPair(algorithm).privateKey);
const publicKeyOf = (...algorithms: JwtAlgorithm[]): Partial<JwtConfig> => ({
  algorithms,
  key: { kind: 'public-key', pem: pemOf(keyPair(algorithms[0] as JwtAlgorithm).publicKey) },
});
const configFor = (algorithm: JwtAlgorithm) =>
  isHmac(algorithm) ? { algorithms: [algorithm] } : publicKeyOf(algorithm);

test('a good token says who sends the request', async () => {
  const claims = { ...good, tenant: { id: 'acme' } };
  expect(await verifier()(await sign(claims))).toEqual({
    kind: 'jwt',
    subject: 'alice',
    claims,
    expiresAtMs: (now + 60) * 1000,
  });
});

test('a token need not name anybody', async () => {
  expect(await verifier()(await sign({ exp: now + 60 }))).toMatchObject({ subject: undefined });
});

describe('algorithms', () => {
  test.each(jwtAlgorithms)(
    '%s: its own tokens are taken, those of another key and those of another algorithm not',
    async (algorithm) => {
      const verify = verifier(configFor(algorithm));
      const token = await sign(good, signingKeyOf(algorithm), { alg: algorithm });
      expect(await verify(token)).toMatchObject({ subject: 'alice' });
      const other = isHmac(algorithm) ? 'y'.repeat(64) : newKeyPair(algorithm).privateKey;
      expect(await seenOf(verify(await sign(good, other, { alg: algorithm })))).toEqual(badToken);
      for (const alg of jwtAlgorithms.filter((name) => name !== algorithm)) {
        const header = Buffer.from(JSON.stringify({ alg })).toString('base64url');
        expect(await seenOf(verify(await sign(good, signingKeyOf(alg), { alg })))).toEqual(badToken);
        expect(await seenOf(verify(token.replace(/^[^.]+/, header)))).toEqual(badToken);
      }
    },
  );

  test('several, of which each token chooses one', async () => {
    const hmac = verifier({ algorithms: ['HS512', 'HS256'] });
    for (const alg of ['HS256', 'HS512'])
      expect(await hmac(await sign(good, secret, { alg }))).toMatchObject({ kind: 'jwt' });
    expect(await seenOf(hmac(await sign(good, secret, { alg: 'HS384' })))).toEqual(badToken);
    const rsa = verifier(publicKeyOf('RS256', 'PS512'));
    const { privateKey } = keyPair('RS256');
    for (const alg of ['RS256', 'PS512'])
      expect(await rsa(await sign(good, privateKey, { alg }))).toMatchObject({ kind: 'jwt' });
    expect(await seenOf(rsa(await sign(good, privateKey, { alg: 'PS256' })))).toEqual(badToken);
  });

  test('EdDSA is Ed25519 by its older name: either may stand in a token', async () => {
    const verify = verifier(publicKeyOf('EdDSA'));
    for (const alg of ['EdDSA', 'Ed25519']) {
      expect(await verify(await sign(good, keyPair('EdDSA').privateKey, { alg }))).toMatchObject({ kind: 'jwt' });
    }
  });

  test.each(asymmetric)(
    '%s: a token that is signed with the public key, as if it were a secret, is refused',
    async (algorithm) => {
      const verify = verifier(publicKeyOf(algorithm));
      const { publicKey } = keyPair(algorithm);
      const asSecrets = [
        pemOf(publicKey),
        pemOf(publicKey).trim(),
        publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'),
      ];
      for (const asSecret of asSecrets) {
        expect(await seenOf(verify(signText(JSON.stringify(good), '{"alg":"HS256"}', asSecret)))).toEqual(badToken);
      }
    },
  );
});

describe('a public key', () => {
  test('may come as a certificate', async () => {
    const verify = verifier({ algorithms: ['ES256'], key: { kind: 'public-key', pem: certificatePem } });
    expect(new X509Certificate(certificatePem).checkPrivateKey(certificateKey)).toBe(true);
    expect(await verify(await sign(good, certificateKey, { alg: 'ES256' }))).toMatchObject({ subject: 'alice' });
    expect(await seenOf(verify(await sign(good, keyPair('ES256').privateKey, { alg: 'ES256' })))).toEqual(badToken);
  });

  test('may have space around it', async () => {
    const pem = `\n  ${pemOf(keyPair('ES256').publicKey)}\n`;
    const verify = verifier({ algorithms: ['ES256'], key: { kind: 'public-key', pem } });
    expect(await verify(await sign(good, keyPair('ES256').privateKey, { alg: 'ES256' }))).toMatchObject({
      kind: 'jwt',
    });
  });

  test.each<[JwtAlgorithm, JwtAlgorithm]>([
    ['ES256', 'RS256'],
    ['RS256', 'ES256'],
    ['ES384', 'ES256'],
    ['EdDSA', 'ES256'],
    ['RS256', 'HS256'],
    ['RS256', 'EdDSA'],
  ])('of %s does not fit %s: said at the start', (kind, algorithm) => {
    const pem = pemOf(keyPair(kind).publicKey);
    const create = () => verifier({ algorithms: [kind, algorithm], key: { kind: 'public-key', pem } });
    expect(create).toThrow(`does not fit ${algorithm}`);
  });

  test('is not a secret, and a secret no public key', () => {
    expect(() => verifier({ algorithms: ['RS256'] })).toThrow('a secret key does not fit RS256');
  });
});

describe('a wrong token', () => {
  test.each<[string, () => string | Promise<string>]>([
    ['empty', () => ''],
    ['no JWT', () => 'abc'],
    ['three dots of nothing', () => '..'],
    ['another secret', () => sign(good, 'x'.repeat(32))],
    ['another algorithm of the family', () => sign(good, secret, { alg: 'HS512' })],
    ['no algorithm', () => new UnsecuredJWT(good).encode()],
    ['none, with a signature', () => signText(JSON.stringify(good), '{"alg":"none"}')],
    ['NONE, with a signature', () => signText(JSON.stringify(good), '{"alg":"NONE"}')],
    ['an algorithm in other letters', () => signText(JSON.stringify(good), '{"alg":"hs256"}')],
    ['an algorithm that is no text', () => signText(JSON.stringify(good), '{"alg":["HS256"]}')],
    ['no header to speak of', () => signText(JSON.stringify(good), '"HS256"')],
    [
      'an extension that must be understood',
      () => signText(JSON.stringify(good), '{"alg":"HS256","crit":["alice-extension"],"alice-extension":1}'),
    ],
    ['nothing that must be understood', () => signText(JSON.stringify(good), '{"alg":"HS256","crit":[]}')],
    ['an unencoded payload', () => signText(JSON.stringify(good), '{"alg":"HS256","b64":false,"crit":["b64"]}')],
    [
      'an unencoded payload that nobody must understand',
      () => signText(JSON.stringify(good), '{"alg":"HS256","b64":false}'),
    ],
    ['a detached payload', async () => (await sign(good)).replace(/\.[^.]+\./, '..')],
    [
      'an encrypted one',
      () =>
        new CompactEncrypt(Buffer.from(JSON.stringify(good)))
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .encrypt(Buffer.from(secret).subarray(0, 32)),
    ],
    ['one within another', async () => signText(await sign(good), '{"alg":"HS256","cty":"JWT"}')],
    ['cut short', async () => (await sign(good)).slice(0, -4)],
    ['padding', async () => `${await sign(good)}=`],
    ['white space within', async () => (await sign(good)).replace('.', '. ')],
    ['a line after it', async () => `${await sign(good)}\n`],
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
    ['a payload that is deeper than the stack', () => signText(`{"exp":${'['.repeat(100_000)}`)],
  ])('%s', async (_, make) => {
    const token = await make();
    const verify = verifier();
    expect(await seenOf(verify(token))).toEqual(badToken);
    // For the log: what is wrong, and nothing of the token or its claims.
    const logged = inspect((await refusalOf(verify(token))).cause, { depth: 9, showHidden: true });
    expect(logged).toMatch(/^Error: \S/);
    expect(logged).not.toContain('alice');
    expect(token.split('.').filter((piece) => piece.length > 8 && logged.includes(piece))).toEqual([]);
  });

  test('says in the log which time or name was wrong', async () => {
    const verify = verifier({ issuer: 'https://issuer', audience: ['uploads'] });
    const right = { ...good, iss: 'https://issuer', aud: 'uploads' };
    const faultOf = async (claims: object) =>
      String((await refusalOf(verify(await sign({ ...right, ...claims })))).cause);
    expect(await faultOf({ exp: now - 60 })).toBe('Error: ERR_JWT_EXPIRED: exp');
    expect(await faultOf({ nbf: now + 60 })).toBe('Error: ERR_JWT_CLAIM_VALIDATION_FAILED: nbf');
    expect(await faultOf({ iss: 'x' })).toBe('Error: ERR_JWT_CLAIM_VALIDATION_FAILED: iss');
    expect(await faultOf({ aud: 'x' })).toBe('Error: ERR_JWT_CLAIM_VALIDATION_FAILED: aud');
  });
});

test('keys and their addresses in the header of a token are not looked at', async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end(JSON.stringify({ keys: [jwkOf(theirs.publicKey, { kid: 'theirs' })] }));
  });
  const theirs = newKeyPair('RS256');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const verify = verifier(publicKeyOf('RS256'));
  const x5c = [certificatePem.replaceAll(/-----[^-]+-----|\s/g, '')];
  for (const members of [{ jwk: jwkOf(theirs.publicKey) }, { jku: url, kid: 'theirs' }, { x5u: url }, { x5c }]) {
    const header = { alg: 'RS256', ...members };
    expect(await seenOf(verify(await sign(good, theirs.privateKey, header)))).toEqual(badToken);
    expect(await verify(await sign(good, keyPair('RS256').privateKey, header))).toMatchObject({ subject: 'alice' });
  }
  server.close();
  expect(requests).toBe(0);
});

test('a clock may be wrong by so much', async () => {
  const verify = verifier();
  for (const claims of [{ exp: now - 29 }, { exp: now + 60, nbf: now + 30 }, { exp: now + 60, iat: now + 30 }]) {
    expect(await verify(await sign(claims))).toMatchObject({ kind: 'jwt' });
  }
});

test('issuer and audience are required when they are configured', async () => {
  const verify = verifier({ issuer: 'https://issuer', audience: ['uploads', 'other'] });
  const right = { exp: now + 60, iss: 'https://issuer', aud: 'uploads' };
  expect(await verify(await sign(right))).toMatchObject({ kind: 'jwt' });
  expect(await verify(await sign({ ...right, aud: ['x', 'other'] }))).toMatchObject({ kind: 'jwt' });
  const wrong = [
    { exp: right.exp, aud: 'uploads' },
    { ...right, iss: 'https://issuer/' },
    { exp: right.exp, iss: right.iss },
    { ...right, aud: 'x' },
    { ...right, aud: [] },
    { ...right, aud: 'uploads other' },
  ];
  for (const claims of wrong) expect(await seenOf(verify(await sign(claims)))).toEqual(badToken);
});

test('claims that do not meet the rules are refused as a wrong token is', async () => {
  const verify = verifier({
    claims: [
      { claim: 'tenant.id', equals: 'acme' },
      { claim: 'scope', contains: 'upload' },
    ],
  });
  const right = { ...good, tenant: { id: 'acme' }, scope: 'openid upload' };
  expect(await verify(await sign(right))).toMatchObject({ subject: 'alice' });
  for (const claims of [good, { ...right, tenant: { id: 'other' } }, { ...right, scope: 'uploads' }]) {
    expect(await seenOf(verify(await sign(claims)))).toEqual(badToken);
  }
  const { cause } = await refusalOf(verify(await sign({ ...right, tenant: { id: 'evil' } })));
  expect(String(cause)).toBe('Error: the rule for the claim "tenant.id" does not hold');
});

describe('a token that was found good before', () => {
  test('is believed without another verification, until it expires', async () => {
    const verify = verifier();
    const token = await sign(good);
    const first = await verify(token);
    expect(await verify(token)).toBe(first);
    vi.setSystemTime((now + 60 + 29) * 1000);
    expect(await verify(token)).toBe(first);
    vi.setSystemTime((now + 60 + 30) * 1000);
    expect(await seenOf(verify(token))).toEqual(badToken);
  });

  test('is not believed before its time, should the clock be set back', async () => {
    const verify = verifier();
    const token = await sign({ exp: now + 60, nbf: now });
    await verify(token);
    vi.setSystemTime((now - 31) * 1000);
    expect(await seenOf(verify(token))).toEqual(badToken);
  });

  test('says nothing about another bucket with another secret', async () => {
    const token = await sign(good);
    await verifier()(token);
    expect(await seenOf(verifier({ key: { kind: 'secret', secret: 'y'.repeat(32) } })(token))).toEqual(badToken);
  });

  test('is not kept when it is very long', async () => {
    const verify = verifier();
    const token = await sign({ ...good, filler: 'f'.repeat(8192) });
    const first = await verify(token);
    expect(await verify(token)).toEqual(first);
    expect(await verify(token)).not.toBe(first);
  });

  test('is forgotten when too many others came after it', async () => {
    const cacheHits = { value: 0 };
    const verify = createJwtVerifier(newConfig(), { cacheHits });
    const tokenOf = (number: number): string => signText(JSON.stringify({ ...good, number }));
    for (let number = 0; number <= 10_000; number++) await verify(tokenOf(number));
    await verify(tokenOf(10_000));
    expect(cacheHits.value).toBe(1);
    await verify(tokenOf(0));
    expect(cacheHits.value).toBe(1);
  });

  test('cannot be changed by whoever reads its claims', async () => {
    const principal = await verifier()(await sign({ ...good, tenant: { ids: [{ id: 'acme' }] } }));
    expect(Object.isFrozen(principal)).toBe(true);
    const { tenant } = principal.claims as { tenant: { ids: [object] } };
    expect([principal.claims, tenant, tenant.ids, tenant.ids[0]].map((one) => Object.isFrozen(one))).toEqual(
      Array.from({ length: 4 }, () => true),
    );
  });

  test('may hold claims of any depth', async () => {
    const token = signText(`{"exp":${now + 60},"deep":${'['.repeat(5000)}${']'.repeat(5000)}}`);
    expect(await verifier()(token)).toMatchObject({ kind: 'jwt' });
  });

  test('may hold claims that are null', async () => {
    expect(await verifier()(await sign({ ...good, tenant: null }))).toMatchObject({ subject: 'alice' });
  });

  test('is counted each time that it is found', async () => {
    const cacheHits = { value: 0 };
    const verify = createJwtVerifier(newConfig(), { cacheHits });
    const token = await sign(good);
    for (let i = 0; i < 3; i++) await verify(token);
    expect(cacheHits.value).toBe(2);
  });
});
