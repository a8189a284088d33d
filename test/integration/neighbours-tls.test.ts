// Neighbours over TLS, whose certificates are of an authority of one's own: with it uploads work, without it nothing is believed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { presignUrl } from '../../src/auth/sigv4/presign.ts';
import { createRedisReplayGuard } from '../../src/auth/sigv4/redis-replay-guard.ts';
import { startMinio } from '../servers/start-minio.ts';
import { createSigningKey, startOidcProvider, type OidcProvider } from '../servers/start-oidc-provider.ts';
import { startRedis, type RedisServer } from '../servers/start-redis.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { createCertificate, type Certificate } from '../support/certificate.ts';
import { s3Config } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { terminateTls, type TlsTerminator } from '../support/terminate-tls.ts';

const credential = { accessKey: 'AKIDTLS', secretKey: 'a-secret-key-for-neighbours-0123456789' };
const resource = 'https://uploads.example.com';
const mib = 1024 * 1024;

let folder: string;
let certificate: Certificate;
let minio: S3Server;
let stored: BucketView;
let idp: OidcProvider;
let redis: RedisServer;
const terminators: TlsTerminator[] = [];
let urls: { readonly s3: string; readonly jwks: string; readonly redis: string };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-neighbours-tls-'));
  certificate = createCertificate(folder, 'neighbours');
  [minio, idp, redis] = await Promise.all([startMinio(), startOidcProvider(createSigningKey('first')), startRedis()]);
  stored = await createBucket(minio, 'backend-bucket');
  const behindTls = async (port: number) => {
    const terminator = await terminateTls(certificate, port);
    terminators.push(terminator);
    return terminator.port;
  };
  urls = {
    s3: `https://127.0.0.1:${await behindTls(minio.port)}`,
    jwks: `https://127.0.0.1:${await behindTls(Number(new URL(idp.jwksUrl).port))}/jwks`,
    redis: `rediss://:${redis.password}@127.0.0.1:${await behindTls(redis.port)}`,
  };
});
afterAll(async () => {
  for (const terminator of terminators) terminator.stop();
  await Promise.all([minio.stop(), idp.kill(), redis.stop()]);
  await rm(folder, { recursive: true });
});

const jwt = () => ({ algorithms: ['RS256'], jwks_url: urls.jwks, issuer: idp.issuer, audience: resource });
const put = async ({ url }: RunningProxy, key: string, body: string | Uint8Array): Promise<Answer> =>
  sendRequest({
    url,
    method: 'PUT',
    path: `/uploads/${key}`,
    headers: { authorization: `Bearer ${await idp.createToken(resource)}` },
    body,
  });

test('with the authority in NODE_EXTRA_CA_CERTS the backend, the keys and Redis are reached', async () => {
  const sigv4 = { access_key: credential.accessKey, secret_key: credential.secretKey, reject_replays: true };
  const config = {
    redis: { url: urls.redis },
    buckets: [
      {
        name: 'uploads',
        s3: s3Config(minio, urls.s3),
        auth: { jwt: jwt(), sigv4 },
        upload: { multipart_threshold: 5 * mib, part_size: 5 * mib },
      },
    ],
  };
  const proxy = await startProxy({ config, environment: { NODE_EXTRA_CA_CERTS: certificate.certFile } });
  for (const [key, bytes] of Object.entries({ small: 1000, parts: 11 * mib })) {
    const body = createRandomBody(key, bytes).bytes();
    expect(await put(proxy, key, body)).toMatchObject({ status: 200 });
    expect((await stored.readBytes(key)).equals(body)).toBe(true);
  }
  const signing = { method: 'PUT', region: 'us-east-1', service: 's3', expiresSeconds: 60, credential };
  const signed = presignUrl({ ...signing, url: `${proxy.url}/uploads/once`, nowMs: Date.now() });
  const putOnce = () =>
    sendRequest({ url: proxy.url, method: 'PUT', path: signed.slice(proxy.url.length), body: 'hello' });
  expect([(await putOnce()).status, (await putOnce()).status]).toEqual([200, 403]);
  expect((await stored.readBytes('once')).toString()).toBe('hello');
  expect(await redis.call('DBSIZE')).toMatch(/:[1-9]/u);
  await proxy.stop();
});

test('without it the keys are not believed, and nobody gets in by them', async () => {
  const proxy = await startProxy({
    config: { buckets: [{ name: 'uploads', s3: s3Config(minio), auth: { jwt: jwt() } }] },
  });
  const answer = await put(proxy, 'unbelieved', 'hello');
  expect([answer.status, answer.body]).toEqual([503, expect.stringContaining('<Code>ServiceUnavailable</Code>')]);
  expect(await stored.listKeys('unbelieved')).toEqual([]);
  await proxy.stop();
});

test('without it no signature is remembered, and none accepted', async () => {
  const guard = createRedisReplayGuard({ url: urls.redis });
  await expect(guard.claim('0'.repeat(64), Date.now() + 60_000, 'AKIATLS')).rejects.toMatchObject({
    code: 'ServiceUnavailable',
  });
  await expect(guard.checkReady()).rejects.toThrow('Redis cannot be asked (DEPTH_ZERO_SELF_SIGNED_CERT)');
  await guard.close();
});
