// Tokens of an identity provider that serves its keys, changes them, and goes away.
import { createSign, generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import type { JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createJwtVerifier, type JwtVerifierOptions } from '../../../../src/auth/jwt/jwt-verifier.ts';
import type { JwksConfig, JwtConfig } from '../../../../src/config/config.ts';
import { startJwksServer, type JwksServer } from './jwks-server.ts';
import { badToken, jwkOf, keyPair, newConfig, newKeyPair, now, refusalOf, seenOf, sign, signText } from './tokens.ts';

const times = { cacheTtlMs: 300_000, cooldownMs: 10_000, maxStaleMs: 3_600_000, timeoutMs: 2000 };
let server: JwksServer;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: now * 1000 });
  server = await startJwksServer();
});
afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});
/** For the clocks of the verifier; tokens that shall last are made with `lasting`. */
const pass = (ms: number) => vi.advanceTimersByTime(ms);

const lasting = { sub: 'alice', exp: now + 1e6 };
const verifier = (
  { key = {}, ...more }: Partial<Omit<JwtConfig, 'key'>> & { key?: Partial<JwksConfig> } = {},
  options: JwtVerifierOptions = {},
) =>
  createJwtVerifier(
    newConfig({ algorithms: ['RS256', 'ES256'], ...more, key: { kind: 'jwks', url: server.url, ...times, ...key } }),
    options,
  );
const [one, two] = [newKeyPair('ES256'), newKeyPair('ES256')];
const oneJwk = jwkOf(one.publicKey, { kid: 'one' });
const twoJwk = jwkOf(two.publicKey, { kid: 'two' });
const byOne = () => sign(lasting, one.privateKey, { alg: 'ES256', kid: 'one' });
const byTwo = () => sign(lasting, two.privateKey, { alg: 'ES256', kid: 'two' });
const unavailable = { code: 'ServiceUnavailable', status: 503 };

describe('which key', () => {
  test('that which the token names', async () => {
    server.serve(oneJwk, twoJwk);
    const verify = verifier();
    expect(await verify(await byOne())).toMatchObject({ subject: 'alice' });
    expect(await verify(await byTwo())).toMatchObject({ subject: 'alice' });
    expect(await seenOf(verify(await sign(lasting, two.privateKey, { alg: 'ES256', kid: 'one' })))).toEqual(badToken);
    expect(server.requestCount()).toBe(1);
  });

  test.each([
    ['is for encryption', { use: 'enc' }],
    ['is for another algorithm', { alg: 'ES384' }],
    ['is not for verifying', { key_ops: ['sign'] }],
    ['has another kid', { kid: 'One' }],
    ['has no kid', { kid: undefined }],
  ])('not one that %s', async (_, members) => {
    server.serve({ ...oneJwk, ...members } as JWK, twoJwk);
    expect(await seenOf(verifier()(await byOne()))).toEqual(badToken);
  });

  test('not one of an algorithm that is not configured', async () => {
    const rsa = keyPair('RS256');
    server.serve(oneJwk, jwkOf(rsa.publicKey, { kid: 'rsa' }));
    const verify = verifier({ algorithms: ['ES256'] });
    expect(await verify(await byOne())).toMatchObject({ subject: 'alice' });
    expect(await seenOf(verify(await sign(lasting, rsa.privateKey, { alg: 'RS256', kid: 'rsa' })))).toEqual(badToken);
    expect(server.requestCount()).toBe(1);
  });

  test('not one of Ed25519 by either of its names where EdDSA is not configured', async () => {
    const edwards = keyPair('EdDSA');
    server.serve(oneJwk, jwkOf(edwards.publicKey, { kid: 'edwards' }));
    const verify = verifier({ algorithms: ['ES256'] });
    for (const alg of ['EdDSA', 'Ed25519']) {
      expect(await seenOf(verify(await sign(lasting, edwards.privateKey, { alg, kid: 'edwards' })))).toEqual(badToken);
    }
  });

  test('not a public key as a secret, and not a secret', async () => {
    const shared = 'a-shared-secret-that-an-oct-key-of-the-set-has';
    server.serve(oneJwk, { kty: 'oct', k: Buffer.from(shared).toString('base64url'), kid: 'oct', alg: 'HS256' });
    const verify = verifier();
    const payload = JSON.stringify(lasting);
    expect(await seenOf(verify(signText(payload, '{"alg":"HS256","kid":"oct"}', shared)))).toEqual(badToken);
    expect(await seenOf(verify(signText(payload, '{"alg":"HS256","kid":"one"}', JSON.stringify(oneJwk))))).toEqual(
      badToken,
    );
    // Even if it were configured, which the schema refuses.
    const careless = verifier({ algorithms: ['HS256', 'ES256'] });
    expect(await seenOf(careless(signText(payload, '{"alg":"HS256","kid":"oct"}', shared)))).toEqual(badToken);
  });

  test('not one that is too small', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    server.serve(jwkOf(small.publicKey, { kid: 'small' }));
    const signed = [{ alg: 'RS256', kid: 'small' }, lasting]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = createSign('sha256').update(signed).sign(small.privateKey, 'base64url');
    expect(await seenOf(verifier()(`${signed}.${signature}`))).toEqual(badToken);
  });

  test('where the token names none: each that fits, up to sixteen', async () => {
    const others = Array.from({ length: 15 }, () => newKeyPair('ES256').publicKey);
    const token = await sign(lasting, one.privateKey, { alg: 'ES256' });
    server.serve(...others.map((key) => jwkOf(key)), { ...oneJwk, use: 'enc' }, oneJwk, twoJwk);
    expect(await verifier()(token)).toMatchObject({ subject: 'alice' });
    server.serve(...others.map((key) => jwkOf(key)), twoJwk, oneJwk);
    expect(await seenOf(verifier()(token))).toEqual(badToken);
  });

  test('where the token names none, one that is too small does not stand in the way of another', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const { publicKey, privateKey } = keyPair('RS256');
    server.serve(jwkOf(small.publicKey), jwkOf(publicKey));
    expect(await verifier()(await sign(lasting, privateKey, { alg: 'RS256' }))).toMatchObject({ subject: 'alice' });
  });

  test('where several have one kid: each of them', async () => {
    server.serve({ ...twoJwk, kid: 'same' }, { ...oneJwk, kid: 'same' });
    const verify = verifier();
    for (const { privateKey } of [one, two]) {
      const token = await sign(lasting, privateKey, { alg: 'ES256', kid: 'same' });
      expect(await verify(token)).toMatchObject({ subject: 'alice' });
    }
    const expired = await sign({ exp: now - 60 }, one.privateKey, { alg: 'ES256', kid: 'same' });
    expect(String((await refusalOf(verify(expired))).cause)).toBe('Error: ERR_JWT_EXPIRED: exp');
  });

  test('EdDSA and its new name', async () => {
    const pair = newKeyPair('EdDSA');
    server.serve(jwkOf(pair.publicKey, { kid: 'ed' }));
    const verify = verifier({ algorithms: ['EdDSA'] });
    for (const alg of ['EdDSA', 'Ed25519']) {
      expect(await verify(await sign(lasting, pair.privateKey, { alg, kid: 'ed' }))).toMatchObject({
        subject: 'alice',
      });
    }
  });
});

describe('keys that change', () => {
  test('a new key is fetched for the first token that names it, and the old one goes on', async () => {
    server.serve(oneJwk);
    const verify = verifier();
    await verify(await byOne());
    server.serve(oneJwk, twoJwk);
    const tokens = await Promise.all([byTwo(), byOne(), byTwo()]);
    for (const principal of await Promise.all(tokens.map((token) => verify(token))))
      expect(principal).toMatchObject({ subject: 'alice' });
    expect(server.requestCount()).toBe(2);
  });

  test('a key that nobody has is looked for once in each cool-down, by however many tokens', async () => {
    server.serve(oneJwk);
    const verify = verifier();
    await verify(await byOne());
    const strangers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => sign(lasting, two.privateKey, { alg: 'ES256', kid: `x${index}` })),
    );
    for (const seen of await Promise.all(strangers.map((token) => seenOf(verify(token)))))
      expect(seen).toEqual(badToken);
    expect(server.requestCount()).toBe(2);
    pass(times.cooldownMs - 1);
    for (const token of strangers) await seenOf(verify(token));
    expect(server.requestCount()).toBe(2);
    pass(1);
    for (const token of strangers) await seenOf(verify(token));
    expect(server.requestCount()).toBe(3);
  });

  test('a token waits for two fetches at most, however short the cool-down is', async () => {
    server.serve(oneJwk);
    const verify = verifier({ key: { cooldownMs: 0 } });
    await verify(await byOne());
    expect(await seenOf(verify(await byTwo()))).toEqual(badToken);
    expect(server.requestCount()).toBe(3);
  });

  test('where tokens name no key, one with a wrong signature is taken for one of a new key', async () => {
    const [oldKey, newKey] = [jwkOf(one.publicKey), jwkOf(two.publicKey)];
    server.serve(oldKey);
    const verify = verifier();
    await verify(await sign(lasting, one.privateKey, { alg: 'ES256' }));
    server.serve(newKey);
    expect(await verify(await sign(lasting, two.privateKey, { alg: 'ES256' }))).toMatchObject({ subject: 'alice' });
    expect(await seenOf(verify(await sign(lasting, one.privateKey, { alg: 'ES256' })))).toEqual(badToken);
    expect(server.requestCount()).toBe(2);
  });

  test('the same where there are several keys to try', async () => {
    server.serve(jwkOf(newKeyPair('ES256').publicKey), jwkOf(one.publicKey));
    const verify = verifier();
    await verify(await sign(lasting, one.privateKey, { alg: 'ES256' }));
    server.serve(jwkOf(one.publicKey), jwkOf(two.publicKey));
    expect(await verify(await sign(lasting, two.privateKey, { alg: 'ES256' }))).toMatchObject({ subject: 'alice' });
    expect(server.requestCount()).toBe(2);
  });

  test('tokens that are wrong otherwise have nothing fetched', async () => {
    server.serve(oneJwk);
    const verify = verifier({ issuer: 'https://issuer' });
    const header = { alg: 'ES256', kid: 'one' };
    await seenOf(verify(await sign({ ...lasting, iss: 'x' }, one.privateKey, header)));
    const wrong = await Promise.all([
      sign(lasting, two.privateKey, header),
      sign({ exp: now - 60, iss: 'https://issuer' }, one.privateKey, header),
      sign(lasting, one.privateKey, { ...header, alg: 'ES256', b64: false }),
    ]);
    for (const token of [...wrong, 'nonsense']) expect(await seenOf(verify(token))).toEqual(badToken);
    expect(server.requestCount()).toBe(1);
  });

  test('a token that was found good is worth nothing once its key is gone', async () => {
    server.serve(oneJwk, twoJwk);
    const verify = verifier();
    const [first, second] = [await byOne(), await byTwo()];
    const principal = await verify(first);
    expect(await verify(first)).toBe(principal);
    await verify(second);
    server.serve(twoJwk);
    pass(times.cacheTtlMs);
    expect(await seenOf(verify(first))).toEqual(badToken);
    expect(await verify(second)).toMatchObject({ subject: 'alice' });
  });

  test.each<[string, JWK[]]>([
    ['no key', []],
    ['keys of other algorithms', [jwkOf(keyPair('RS256').publicKey, { kid: 'one', alg: 'PS256' })]],
  ])('the same where the provider has %s any more: it says so once, until it has one', async (_, others) => {
    server.serve(oneJwk);
    const [onNoUsableKey, onFetchFailed] = [vi.fn<() => void>(), vi.fn<(error: unknown) => void>()];
    const verify = verifier({}, { onNoUsableKey, onFetchFailed });
    const token = await byOne();
    await verify(token);
    server.serve(...others);
    for (let turn = 0; turn < 3; turn++) {
      pass(times.cacheTtlMs);
      expect(await seenOf(verify(token))).toEqual(badToken);
      expect(await seenOf(verify(await byOne()))).toEqual(badToken);
    }
    expect(onNoUsableKey).toHaveBeenCalledOnce();
    server.serve(oneJwk);
    pass(times.cooldownMs);
    expect(await verify(token)).toMatchObject({ subject: 'alice' });
    expect(onNoUsableKey).toHaveBeenCalledOnce();
    expect(onFetchFailed).not.toHaveBeenCalled();
  });

  test('keys that stay leave what was found good as it was', async () => {
    server.serve(oneJwk);
    const verify = verifier();
    const token = await byOne();
    const principal = await verify(token);
    pass(0.9 * times.cacheTtlMs);
    expect(await verify(token)).toBe(principal);
    await vi.waitFor(() => expect(server.requestCount()).toBe(2));
    pass(0.5 * times.cacheTtlMs);
    await vi.waitFor(async () => expect(await verify(token)).toBe(principal));
    expect(server.requestCount()).toBe(2);
  });
});

describe('a provider that is away', () => {
  test('before there were any keys: 503, quickly, and recovery without a restart', async () => {
    server.answer((_, response) => void response.writeHead(503).end());
    const failures: unknown[] = [];
    const verify = verifier({}, { onFetchFailed: (error) => failures.push(error) });
    const token = await byOne();
    const refusal = await refusalOf(verify(token));
    expect(refusal).toMatchObject({ ...unavailable, retryAfterMs: times.cooldownMs, headers: [] });
    expect(inspect(refusal.cause)).toMatch(/keys of the identity provider cannot be fetched[^]*status 503/u);
    server.serve(oneJwk);
    expect(await refusalOf(verify(token))).toMatchObject(unavailable);
    expect([server.requestCount(), failures.length]).toEqual([1, 1]);
    pass(times.cooldownMs);
    expect(await verify(token)).toMatchObject({ subject: 'alice' });
  });

  test('says nothing of tokens that are wrong whatever the keys are', async () => {
    server.answer(() => {});
    const verify = verifier({ key: { timeoutMs: 60_000 } });
    const wrong = [
      '',
      'nonsense',
      signText(JSON.stringify(lasting)),
      signText(JSON.stringify(lasting), '{"alg":"none"}'),
    ];
    for (const token of wrong) expect(await seenOf(verify(token))).toEqual(badToken);
  });

  test('known keys go on, for tokens old and new, and unknown ones are refused', async () => {
    server.serve(oneJwk);
    const verify = verifier();
    const known = await byOne();
    const principal = await verify(known);
    await server.close();
    pass(times.cacheTtlMs);
    expect(await verify(known)).toEqual(principal);
    expect(await verify(known)).toEqual(principal);
    expect(
      await verify(await sign({ ...lasting, sub: 'bob' }, one.privateKey, { alg: 'ES256', kid: 'one' })),
    ).toMatchObject({ subject: 'bob' });
    expect(await seenOf(verify(await byTwo()))).toEqual(badToken);
    pass(times.cooldownMs);
    expect(await seenOf(verify(await byTwo()))).toEqual(badToken);
  });

  test('for too long: what was found good is refused too', async () => {
    server.serve(oneJwk);
    const verify = verifier();
    const token = await byOne();
    await verify(token);
    server.answer((_, response) => void response.writeHead(500).end());
    pass(times.maxStaleMs - 1);
    expect(await verify(token)).toMatchObject({ subject: 'alice' });
    pass(1);
    expect(await refusalOf(verify(token))).toMatchObject(unavailable);
    server.serve(oneJwk);
    pass(times.cooldownMs);
    expect(await verify(token)).toMatchObject({ subject: 'alice' });
  });
});

test.each([
  'ftp://127.0.0.1/jwks',
  'file:///etc/jwks.json',
  'data:application/json,{}',
  'http://user:pass@127.0.0.1/jwks',
  'http://user@127.0.0.1/',
  'http://:pass@127.0.0.1/',
])('keys are not fetched from %s', (url) => {
  expect(() => verifier({ key: { url } })).toThrow('must be http: or https:, without a name and password');
});
