// Tokens of a real OpenID Connect provider, while it changes its keys, goes away, and comes back.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeProtectedHeader, importJWK, SignJWT, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigningKey, startOidcProvider, type OidcProvider } from '../servers/start-oidc-provider.ts';
import { createRandomBody } from '../support/random-body.ts';
import { waitFor } from '../support/wait-for.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';

const resource = 'https://uploads.example.com';
const cooldownSeconds = 1;
const fetchTimeoutSeconds = 1;

const bucketFor = ({ issuer, jwksUrl }: Pick<OidcProvider, 'issuer' | 'jwksUrl'>, more: object = {}) => ({
  name: 'uploads',
  filesystem: { root: './data' },
  auth: {
    jwt: {
      algorithms: ['RS256', 'ES256'],
      jwks_url: jwksUrl,
      cache_ttl_seconds: 2,
      cooldown_seconds: cooldownSeconds,
      fetch_timeout_seconds: fetchTimeoutSeconds,
      issuer,
      audience: resource,
      claims: [{ claim: 'scope', contains: 'upload' }],
      token_sources: [{ type: 'bearer' }, { type: 'query', name: 'token' }],
      ...more,
    },
  },
});

const put = (proxy: RunningProxy, key: string, token: string, body: string | Uint8Array = key): Promise<Answer> =>
  sendRequest({
    url: proxy.url,
    method: 'PUT',
    path: `/uploads/${key}`,
    headers: { authorization: `Bearer ${token}` },
    body,
  });
const stored = (proxy: RunningProxy, key: string) => readFile(path.join(proxy.folder, 'data/uploads', key));

/** As the provider would make it, by a key of our own. */
async function forge(idp: OidcProvider, key: JWK, kid: string): Promise<string> {
  return new SignJWT({ scope: 'upload', sub: 'mallory' })
    .setProtectedHeader({ alg: 'RS256', kid, typ: 'at+jwt' })
    .setIssuer(idp.issuer)
    .setAudience(resource)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(await importJWK(key, 'RS256'));
}

async function timed<T>(promise: Promise<T>): Promise<{ value: T; ms: number }> {
  const startedAt = performance.now();
  return { value: await promise, ms: performance.now() - startedAt };
}

describe('a provider that is there', () => {
  const [first, second] = [createSigningKey('first'), createSigningKey('second', 'ES256')];
  let idp: OidcProvider;
  let proxy: RunningProxy;
  beforeAll(async () => {
    idp = await startOidcProvider(first);
    proxy = await startProxy({ config: { buckets: [bucketFor(idp)], logging: { level: 'debug', format: 'json' } } });
  });
  afterAll(async () => {
    await proxy.stop();
    await idp.kill();
  });

  test('its tokens are taken, for this resource and with the scope that is asked for', async () => {
    const body = createRandomBody('identity', 300_000).bytes();
    expect(await put(proxy, 'good', await idp.createToken(resource), body)).toMatchObject({ status: 200 });
    expect((await stored(proxy, 'good')).equals(body)).toBe(true);
    expect((await put(proxy, 'scopes', await idp.createToken(resource, 'read upload'))).status).toBe(200);
    expect((await put(proxy, 'other', await idp.createToken('https://other.example.com'))).status).toBe(401);
    expect((await put(proxy, 'read', await idp.createToken(resource, 'read'))).status).toBe(401);
    expect((await put(proxy, 'forged', await forge(idp, createSigningKey('first'), 'first'))).status).toBe(401);
  });

  test('a token in the query is taken, and stands in no log', async () => {
    const token = await idp.createToken(resource);
    const answer = await sendRequest({
      url: proxy.url,
      method: 'PUT',
      path: `/uploads/query?token=${token}`,
      body: 'q',
    });
    expect(answer.status).toBe(200);
    const refused = await sendRequest({
      url: proxy.url,
      method: 'PUT',
      path: `/uploads/query?token=${token}x`,
      body: 'q',
    });
    expect(refused.status).toBe(401);
    expect(refused.body).not.toContain(token.slice(0, 40));
    const [header, payload, signature] = token.split('.');
    await waitFor(async () => proxy.logs().includes('"status":401'));
    for (const piece of [header, payload, signature]) expect(proxy.logs()).not.toContain(piece);
  });

  test('keys change under load: tokens old and new are taken all the time, until the old key is gone', async () => {
    await idp.setKeys(first);
    const oldToken = await idp.createToken(resource);
    const tokens = [oldToken];
    const refused: unknown[] = [];
    let sent = 0;
    const end = new AbortController();
    const upload = async (worker: number) => {
      for (let turn = 0; !end.signal.aborted; turn++) {
        const token = tokens[turn % tokens.length] ?? '';
        const { status } = await put(proxy, `load-${worker}-${turn % 10}`, token);
        sent += 1;
        if (status !== 200) refused.push([status, decodeProtectedHeader(token).kid]);
      }
    };
    const workers = Array.from({ length: 8 }, (_, worker) => upload(worker));
    const third = createSigningKey('third');
    // The new key signs from the moment that it is there: no client waits for a cache.
    for (const keys of [
      [second, first],
      [third, second, first],
    ]) {
      await delay(1500);
      await idp.setKeys(...keys);
      for (let count = 0; count < 5; count++) tokens.push(await idp.createToken(resource));
    }
    await delay(3000);
    end.abort();
    await Promise.all(workers);
    expect(new Set(tokens.map((token) => decodeProtectedHeader(token).kid))).toEqual(
      new Set(['first', 'second', 'third']),
    );
    expect(refused).toEqual([]);
    expect(sent).toBeGreaterThan(500);

    await idp.setKeys(third, second);
    // The TTL and one fetch.
    await delay(2500);
    expect((await put(proxy, 'old', oldToken)).status).toBe(401);
    expect((await put(proxy, 'old', tokens.at(-1) ?? '')).status).toBe(200);
  });

  test('a key is gone too when the provider has none of use in its place, and the log says so', async () => {
    await delay(cooldownSeconds * 1000);
    await idp.setKeys(first);
    const token = await idp.createToken(resource);
    expect((await put(proxy, 'good', token)).status).toBe(200);
    await idp.setKeys(createSigningKey('elsewhere', 'ES384'));
    // The TTL and one fetch.
    await delay(2500);
    expect((await put(proxy, 'old', token)).status).toBe(401);
    await waitFor(async () => proxy.logs().includes('the identity provider has no key for auth.jwt.algorithms'));
  });

  test('keys that nobody has are refused, while others go on', async () => {
    await delay(cooldownSeconds * 1000);
    await idp.setKeys(first);
    const token = await idp.createToken(resource);
    expect((await put(proxy, 'good', token)).status).toBe(200);
    const stranger = createSigningKey('stranger');
    const strangers = await Promise.all(Array.from({ length: 50 }, (_, index) => forge(idp, stranger, `kid-${index}`)));
    const answers = await Promise.all([
      ...strangers.map((forged) => put(proxy, 'forged', forged)),
      ...strangers.map(() => put(proxy, 'good', token)),
    ]);
    expect(new Set(answers.slice(0, 50).map(({ status }) => status))).toEqual(new Set([401]));
    expect(new Set(answers.slice(50).map(({ status }) => status))).toEqual(new Set([200]));
  });
});

describe('a provider that goes away', () => {
  const key = createSigningKey('lasting');
  let idp: OidcProvider;
  let proxy: RunningProxy;
  let tokens: string[];
  beforeAll(async () => {
    idp = await startOidcProvider(key);
    // No longer than a cool-down and a fetch: so a fetch that hangs ends long after the one before it has failed.
    const times = { cache_ttl_seconds: 1, max_stale_seconds: 600 };
    proxy = await startProxy({ config: { buckets: [bucketFor(idp, times)] } });
    tokens = await Promise.all(Array.from({ length: 20 }, () => idp.createToken(resource)));
  });
  afterAll(async () => {
    await proxy.stop();
    await idp.kill();
  });

  /** Past the TTL: tokens seen before and tokens that are new are taken, keys that nobody has are refused, all without a wait. */
  async function seeLastKeysUsed(): Promise<void> {
    const stranger = createSigningKey('stranger');
    const slowest = { known: 0, unknown: 0 };
    const deadline = performance.now() + 3500;
    for (let turn = 0; performance.now() < deadline; turn++) {
      const [known, unknown] = await Promise.all([
        timed(put(proxy, 'known', tokens[turn % tokens.length] ?? '')),
        timed(forge(idp, stranger, `kid-${turn}`).then((forged) => put(proxy, 'unknown', forged))),
      ]);
      expect([known.value.status, unknown.value.status]).toEqual([200, 401]);
      slowest.known = Math.max(slowest.known, known.ms);
      slowest.unknown = Math.max(slowest.unknown, unknown.ms);
    }
    expect(slowest.known).toBeLessThan(fetchTimeoutSeconds * 1000);
    // One fetch that is made for it, and one that was under way.
    expect(slowest.unknown).toBeLessThan(2 * fetchTimeoutSeconds * 1000 + 500);
  }

  async function seeRecovered(): Promise<void> {
    const next = createSigningKey(`next-${Date.now()}`);
    await idp.setKeys(next, key);
    const token = await idp.createToken(resource);
    const startedAt = performance.now();
    while ((await put(proxy, 'next', token)).status !== 200) {
      expect(performance.now() - startedAt).toBeLessThan(cooldownSeconds * 1000 + 2000);
      await delay(50);
    }
  }

  test('dead: known keys go on, unknown ones are refused; it comes back without a restart of the proxy', async () => {
    expect((await put(proxy, 'known', tokens[0] ?? '')).status).toBe(200);
    await idp.kill();
    await delay(2500);
    await seeLastKeysUsed();
    await idp.restart();
    await seeRecovered();
  });

  test('silent: the same, and nothing hangs', async () => {
    tokens = await Promise.all(Array.from({ length: 20 }, () => idp.createToken(resource)));
    expect((await put(proxy, 'known', tokens[0] ?? '')).status).toBe(200);
    idp.freeze();
    await delay(2500);
    await put(proxy, 'known', tokens[0] ?? '');
    await seeLastKeysUsed();
    idp.thaw();
    await seeRecovered();
  });
});

test('a provider that is away at the start: the proxy starts, says 503, and serves as soon as it is there', async () => {
  const key = createSigningKey('late');
  const idp = await startOidcProvider(key);
  const token = await idp.createToken(resource);
  await idp.kill();
  const proxy = await startProxy({ config: { buckets: [bucketFor(idp)] } });
  for (let turn = 0; turn < 5; turn++) {
    const { value, ms } = await timed(put(proxy, 'early', token));
    expect(value).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(value.body).toContain('<Code>ServiceUnavailable</Code>');
    expect(value.body).not.toContain(idp.issuer);
    expect(ms).toBeLessThan(fetchTimeoutSeconds * 1000 + 500);
  }
  expect((await put(proxy, 'early', 'no.valid.token')).status).toBe(401);
  expect(proxy.logs()).toContain('the keys of the identity provider cannot be fetched');
  await idp.restart();
  await delay(cooldownSeconds * 1000);
  const answer = await put(proxy, 'late', token);
  expect(answer.status).toBe(200);
  expect(String(await stored(proxy, 'late'))).toBe('late');
  await proxy.stop();
  await idp.kill();
});

test('the last good keys are not used for ever', async () => {
  const idp = await startOidcProvider(createSigningKey('short'));
  const proxy = await startProxy({
    config: { buckets: [bucketFor(idp, { cache_ttl_seconds: 1, max_stale_seconds: 3 })] },
  });
  const token = await idp.createToken(resource);
  expect((await put(proxy, 'short', token)).status).toBe(200);
  await idp.kill();
  await delay(1500);
  expect((await put(proxy, 'short', token)).status).toBe(200);
  await delay(2500);
  expect((await put(proxy, 'short', token)).status).toBe(503);
  await idp.restart();
  await delay(cooldownSeconds * 1000);
  expect((await put(proxy, 'short', token)).status).toBe(200);
  await proxy.stop();
  await idp.kill();
});
