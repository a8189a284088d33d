// Signatures that are accepted once, by proxies that agree through a real Redis.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { presignUrl } from '../../src/auth/sigv4/presign.ts';
import { createReplayGuard } from '../../src/auth/sigv4/create-replay-guard.ts';
import { createRedisReplayGuard } from '../../src/auth/sigv4/redis-replay-guard.ts';
import type { ReplayGuard } from '../../src/auth/sigv4/replay-guard.ts';
import { S3Error } from '../../src/errors.ts';
import { startOpa } from '../servers/start-opa.ts';
import { startRedis, type RedisServer } from '../servers/start-redis.ts';
import { createRandomBody } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { payloadModes, signS3Request } from '../support/sign-s3-request.ts';
import { sha256 } from '../support/sigv4.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const credential = { accessKey: 'AKIDREPLAY', secretKey: 'a-secret-key-for-replays-0123456789' };
const sigv4 = { access_key: credential.accessKey, secret_key: credential.secretKey, reject_replays: true };
const presigning = { method: 'PUT', region: 'us-east-1', service: 's3', expiresSeconds: 60, credential };
/** @returns path and query of a URL that is signed now. */
const presignPath = (proxy: RunningProxy, target: string): string =>
  presignUrl({ ...presigning, url: `${proxy.url}${target}`, nowMs: Date.now() }).slice(proxy.url.length);
/** Sends the same URL each time. */
function presignedPut(proxy: RunningProxy, target: string): () => Promise<Answer> {
  const signed = presignPath(proxy, target);
  return () => sendRequest({ url: proxy.url, method: 'PUT', path: signed, body: 'hello' });
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
});

let made = 0;
const newSignature = (): string => sha256(`${process.pid}-${made++}`);
const inAMinute = (): number => Date.now() + 60_000;

async function outcomeOf(guard: ReplayGuard, signature: string, expiresAtMs = inAMinute()): Promise<string> {
  try {
    await guard.claim(signature, expiresAtMs, 'AKIAONE');
    return 'accepted';
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

describe('two guards on one Redis', () => {
  let one: ReplayGuard;
  let other: ReplayGuard;
  beforeAll(() => {
    one = createReplayGuard({ redis: { url: redis.url } });
    other = createReplayGuard({ redis: { url: redis.url } });
  });
  afterAll(async () => {
    await Promise.all([one.close(), other.close()]);
  });

  test('accept a signature once between them', async () => {
    const signature = newSignature();
    expect(await outcomeOf(one, signature)).toBe('accepted');
    await expect(other.claim(signature, inAMinute(), 'AKIAONE')).rejects.toMatchObject({
      code: 'AccessDenied',
      message: 'The signature has been used before.',
    });
    expect(await outcomeOf(one, signature)).toBe('AccessDenied');
    expect(await outcomeOf(other, newSignature())).toBe('accepted');
  });

  test('accept one of many claims at the same time', async () => {
    const signature = newSignature();
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) => outcomeOf(i % 2 === 0 ? one : other, signature)),
    );
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'AccessDenied')).toHaveLength(199);
  });

  test('let Redis forget it a minute after its end, and not before', async () => {
    const leftMs = async (signature: string) =>
      Number(/:(?<ms>\d+)/.exec(await redis.call(`PTTL mizuchi:replay:${signature}`))?.groups?.['ms']);
    for (const lifeMs of [-5000, 0, 3000.5, 604_800_000]) {
      const signature = newSignature();
      expect(await outcomeOf(one, signature, Date.now() + lifeMs)).toBe('accepted');
      expect(await outcomeOf(other, signature, Date.now() + lifeMs)).toBe('AccessDenied');
      const expected = Math.max(0, lifeMs) + 60_000;
      const left = await leftMs(signature);
      expect(left).toBeLessThanOrEqual(expected + 1);
      expect(left).toBeGreaterThan(expected - 10_000);
    }
  });

  test('use one connection each', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => outcomeOf(i % 2 === 0 ? one : other, newSignature())));
    const connected = Number(
      /connected_clients:(?<count>\d+)/.exec(await redis.call('INFO clients'))?.groups?.['count'],
    );
    // The one that asks is the third.
    expect(connected).toBe(3);
  });
});

describe('while Redis is away', () => {
  test('every claim is refused at once; when it is back they are accepted again', async () => {
    let server = await startRedis();
    const guard = createRedisReplayGuard({ url: server.url, timeoutMs: 500 });
    const before = newSignature();
    expect(await outcomeOf(guard, before)).toBe('accepted');
    await server.stop();
    const startedAt = performance.now();
    const during = newSignature();
    const outcomes = await Promise.all(
      [before, during, newSignature(), newSignature()].map((one) => outcomeOf(guard, one)),
    );
    expect(new Set(outcomes)).toEqual(new Set(['ServiceUnavailable']));
    expect(performance.now() - startedAt).toBeLessThan(1000);

    server = await startRedis(server.port);
    expect(await outcomeOf(guard, newSignature())).toBe('accepted');
    expect(await outcomeOf(guard, during)).toBe('accepted');
    expect(await outcomeOf(guard, during)).toBe('AccessDenied');
    await guard.close();
    await server.stop();
  });

  test('a guard is not ready, and neither where Redis takes nothing more', async () => {
    let server = await startRedis();
    const guard = createRedisReplayGuard({ url: server.url, timeoutMs: 500 });
    await guard.checkReady();
    await server.call('CONFIG SET maxmemory 1');
    await expect(guard.checkReady()).rejects.toThrow('Redis cannot be asked (OOM)');
    expect(await outcomeOf(guard, newSignature())).toBe('ServiceUnavailable');
    await server.call('CONFIG SET maxmemory 0');
    await guard.checkReady();
    await server.stop();
    await expect(guard.checkReady()).rejects.toThrow('Redis cannot be asked (ECONNREFUSED)');
    server = await startRedis(server.port);
    await guard.checkReady();
    expect(await outcomeOf(guard, newSignature())).toBe('accepted');
    await guard.close();
    await expect(guard.checkReady()).rejects.toThrow('closed');
    await server.stop();
  });

  test('a Redis that hangs is waited for as long as is said, by all claims together', async () => {
    const server = await startRedis();
    const guard = createRedisReplayGuard({ url: server.url, timeoutMs: 300 });
    expect(await outcomeOf(guard, newSignature())).toBe('accepted');
    server.suspend();
    for (let round = 0; round < 3; round++) {
      const startedAt = performance.now();
      const claims = Array.from({ length: 100 }, () => outcomeOf(guard, newSignature()));
      expect(new Set(await Promise.all(claims))).toEqual(new Set(['ServiceUnavailable']));
      const tookMs = performance.now() - startedAt;
      expect(tookMs).toBeGreaterThan(250);
      expect(tookMs).toBeLessThan(1500);
    }
    server.resume();
    const signature = newSignature();
    await waitFor(async () => (await outcomeOf(guard, newSignature())) === 'accepted');
    expect(await outcomeOf(guard, signature)).toBe('accepted');
    expect(await outcomeOf(guard, signature)).toBe('AccessDenied');
    await guard.close();
    await server.stop();
  });

  test('a connection is made when it is first needed, and what says nothing is hung up on', async () => {
    const open = new Set<Socket>();
    let accepted = 0;
    const silent = createServer((socket) => {
      accepted++;
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
      socket.resume();
    }).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const guard = createRedisReplayGuard({ url: `redis://:secret@127.0.0.1:${port}`, timeoutMs: 100 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(accepted).toBe(0);
    for (let round = 1; round <= 3; round++) {
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(guard, newSignature())));
      expect(new Set(outcomes)).toEqual(new Set(['ServiceUnavailable']));
      expect(accepted).toBe(round);
    }
    await waitFor(async () => open.size === 0);
    await guard.close();
    silent.close();
  });

  test('after it was closed, nothing is claimed or connected', async () => {
    const guard = createRedisReplayGuard({ url: redis.url });
    await guard.close();
    expect(await outcomeOf(guard, newSignature())).toBe('ServiceUnavailable');
    const used = createRedisReplayGuard({ url: redis.url });
    expect(await outcomeOf(used, newSignature())).toBe('accepted');
    await used.close();
    await used.close();
    expect(await outcomeOf(used, newSignature())).toBe('ServiceUnavailable');
  });
});

test('/ready names a Redis that is away, where signatures are accepted once', async () => {
  const server = await startRedis();
  const uploads = (more: object) => ({
    redis: { url: server.url },
    buckets: [
      {
        name: 'uploads',
        filesystem: { root: './data' },
        auth: { sigv4: { access_key: 'AKIDREPLAY', secret_key: 'a-secret-key-for-replays-0123456789', ...more } },
      },
    ],
  });
  const once = await startProxy({ config: uploads({ reject_replays: true }) });
  const often = await startProxy({ config: uploads({}) });
  const readyOf = async ({ url }: RunningProxy): Promise<unknown[]> => {
    const { status, body } = await sendRequest({ url, method: 'GET', path: '/ready' });
    return [status, JSON.parse(body)];
  };
  expect(await readyOf(once)).toEqual([200, { status: 'ready' }]);
  await server.stop();
  await waitFor(async () => (await readyOf(once))[0] === 503);
  expect(await readyOf(once)).toEqual([503, { status: 'not ready', away: ['redis'] }]);
  expect(await readyOf(often)).toEqual([200, { status: 'ready' }]);
  const again = await startRedis(server.port);
  await waitFor(async () => (await readyOf(once))[0] === 200);
  await Promise.all([once.stop(), often.stop()]);
  await again.stop();
});

test('while Redis is away nothing is stored, and a presigned URL is not used up', async () => {
  const server = await startRedis();
  const config = {
    redis: { url: server.url },
    buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { sigv4 } }],
  };
  const proxy = await startProxy({ config });
  const put = presignedPut(proxy, '/uploads/a');
  await server.stop();
  const { status, body } = await put();
  expect([status, body]).toEqual([503, expect.stringContaining('<Code>ServiceUnavailable</Code>')]);
  const stored = path.join(proxy.folder, 'data/uploads/a');
  await expect(readFile(stored)).rejects.toThrow('ENOENT');

  const again = await startRedis(server.port);
  expect((await put()).status).toBe(200);
  expect(await readFile(stored, 'utf8')).toBe('hello');
  expect((await put()).status).toBe(403);
  await proxy.stop();
  await again.stop();
});

test('what is answered 503 before anything is done does not use a signature up', async () => {
  const policy = 'package mizuchi\n\ndefault allow := true\n';
  const opa = await startOpa({ policy });
  const onDisk = (name: string) => ({ name, filesystem: { root: './data' }, auth: { sigv4 } });
  const proxy = await startProxy({
    config: {
      server: { limits: { max_concurrent_uploads: 1, queue_timeout_seconds: 0 } },
      buckets: [onDisk('uploads'), { ...onDisk('asked'), authz: { opa: { url: opa.url } } }],
    },
  });
  const first = await openRawConnection(proxy.url);
  const { host } = new URL(proxy.url);
  await first.write(
    `PUT ${presignPath(proxy, '/uploads/first')} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\n`,
  );
  await waitFor(async () => (await proxy.health()).uploads === 1);
  const put = presignedPut(proxy, '/uploads/second');
  const { status, headers } = await put();
  expect([status, headers['retry-after']]).toEqual([503, '1']);
  await first.write('hello');
  expect((await first.readAnswer()).status).toBe(200);
  first.destroy();
  expect((await put()).status).toBe(200);
  expect((await put()).status).toBe(403);

  await opa.stop();
  const putAsked = presignedPut(proxy, '/asked/key');
  expect((await putAsked()).status).toBe(503);
  const again = await startOpa({ policy, port: opa.port });
  await waitFor(async () => (await putAsked()).status === 200);
  expect((await putAsked()).status).toBe(403);
  await proxy.stop();
  await again.stop();
});

describe.each(['memory', 'Redis'])('signatures remembered in %s', (place) => {
  test.each(payloadModes)('a body that has come before its claim: %s', async (mode) => {
    const proxy = await startProxy({
      config: {
        ...(place === 'Redis' && { redis: { url: redis.url } }),
        buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { sigv4 } }],
      },
    });
    const { host } = new URL(proxy.url);
    const content = createRandomBody(mode, 200_000).bytes();
    const target = { method: 'PUT', host, path: '/uploads/key', body: content, mode, chunkBytes: 8192 };
    const { headers, body } = signS3Request({ ...target, credential: { ...credential, region: 'us-east-1' } });
    const put = () => sendRequest({ url: proxy.url, method: 'PUT', path: target.path, headers: { ...headers }, body });
    expect((await put()).status).toBe(200);
    expect(content.equals(await readFile(path.join(proxy.folder, 'data/uploads/key')))).toBe(true);
    expect((await put()).status).toBe(403);
    await proxy.stop();
  });
});

test.each([
  ['a digest that is none', { 'content-md5': 'AAAA' }, 'InvalidDigest'],
  ['more than a bucket takes', { 'content-length': '5000000' }, 'EntityTooLarge'],
  ['a condition that nobody knows', { 'if-none-match': '"a"' }, 'NotImplemented'],
])('what the head alone shows to be wrong does not use a signature up: %s', async (_, headers, code) => {
  const upload = { max_object_size: '1MB' };
  const proxy = await startProxy({
    config: { buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { sigv4 }, upload }] },
  });
  const path = presignPath(proxy, '/uploads/key');
  const send = (more: Record<string, string>): Promise<Answer> =>
    sendRequest({ url: proxy.url, method: 'PUT', path, headers: more, body: 'hello' });
  expect((await send(headers)).body).toContain(`<Code>${code}</Code>`);
  expect((await send({})).status).toBe(200);
  expect((await send({})).status).toBe(403);
  await proxy.stop();
});

test.each([0, 1, 2, 3, 5, 8])(
  'a guard that is closed while it connects leaves no connection behind (%i)',
  async (turns) => {
    const server = await startRedis();
    const guard = createRedisReplayGuard({ url: server.url });
    const claim = outcomeOf(guard, newSignature());
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    await guard.close();
    // Whether it came through before depends on how far it was.
    expect(await claim).toMatch(/^(accepted|ServiceUnavailable)$/);
    // The one that asks; Redis may learn a little late that the other has gone.
    await waitFor(async () => (await server.call('INFO clients')).includes('connected_clients:1\r'));
    await server.stop();
  },
);

describe('the password of Redis is not told', () => {
  const secret = 'a-password-that-is-wrong';

  test.each([
    ['is wrong', () => `redis://:${secret}@127.0.0.1:${redis.port}`],
    ['is for a server that is not there', () => `redis://user:${secret}@127.0.0.1:1`],
    ['is for a name that is not there', () => `rediss://user:${secret}@redis.invalid`],
  ])('when it %s', async (_, url) => {
    const guard = createRedisReplayGuard({ url: url(), timeoutMs: 2000 });
    const error: unknown = await Promise.resolve(guard.claim(newSignature(), inAMinute(), 'AKIAONE')).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'ServiceUnavailable', status: 503, cause: expect.any(Error) });
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(secret);
    await guard.close();
  });

  test.each([`http://:${secret}@h`, `redis://:${secret}@[`, secret])('when its URL is none', (url) => {
    const make = () => createRedisReplayGuard({ url });
    expect(make).toThrow('the URL of Redis is not redis:// or rediss://');
    try {
      make();
    } catch (error) {
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(secret);
    }
  });
});

describe('two proxies', () => {
  let proxies: RunningProxy[];
  beforeAll(async () => {
    const config = {
      redis: { url: redis.url },
      buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { sigv4 } }],
    };
    proxies = await Promise.all([startProxy({ config }), startProxy({ config })]);
  });
  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  });

  test('accept a presigned URL once between them', async () => {
    // Signed for one name, as if both stood behind one balancer.
    const host = 'uploads.example';
    const url = new URL(presignUrl({ ...presigning, url: `http://${host}/uploads/a%20b`, nowMs: Date.now() }));
    const path = `${url.pathname}${url.search}`;
    const put = (proxy: RunningProxy) =>
      sendRequest({ url: proxy.url, method: 'PUT', path, headers: { host }, body: 'hello' });
    const [first, second] = proxies as [RunningProxy, RunningProxy];
    expect(await put(first)).toMatchObject({ status: 200 });
    for (const proxy of [second, first]) {
      const { status, body } = await put(proxy);
      expect(status).toBe(403);
      expect(body).toContain('<Code>AccessDenied</Code><Message>The signature has been used before.</Message>');
    }
  });
});
