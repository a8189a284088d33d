// Over IPv6: the proxy listens on it, and reaches its neighbours by it.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { presignUrl } from '../../src/auth/sigv4/presign.ts';
import { startMinio } from '../servers/start-minio.ts';
import { createSigningKey, startOidcProvider, type OidcProvider } from '../servers/start-oidc-provider.ts';
import { startOpa, type OpaServer } from '../servers/start-opa.ts';
import { startRedis, type RedisServer } from '../servers/start-redis.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { s3Config } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { sendRequest } from '../support/send-request.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';

const credential = { accessKey: 'AKIDSIX', secretKey: 'a-secret-key-over-six-9fK2mQ71xZ' };
const resource = 'https://uploads.example.com';
const mib = 1024 * 1024;
const policy = 'package mizuchi\nimport rego.v1\ndefault allow := false\nallow if input.context.client_ip == "::1"';

// A machine may have none.
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

describe.runIf(hasIPv6)('uploads', () => {
  let minio: S3Server;
  let stored: BucketView;
  let idp: OidcProvider;
  let redis: RedisServer;
  let opa: OpaServer;
  const bridges: Server[] = [];
  let proxy: RunningProxy;

  /** Where a server that listens on 127.0.0.1 is reached by IPv6. */
  async function bridge(port: number): Promise<string> {
    const server = createServer((socket) => {
      const onward = connect(port, '127.0.0.1');
      socket.on('error', () => onward.destroy()).pipe(onward);
      onward.on('error', () => socket.destroy()).pipe(socket);
    }).listen(0, '::1');
    await once(server, 'listening');
    bridges.push(server);
    return `[::1]:${(server.address() as AddressInfo).port}`;
  }
  const portOf = (url: string): number => Number(new URL(url).port);

  beforeAll(async () => {
    [minio, idp, redis, opa] = await Promise.all([
      startMinio(),
      startOidcProvider(createSigningKey('first')),
      startRedis(),
      startOpa({ policy }),
    ]);
    stored = await createBucket(minio, 'backend-bucket');
    const jwt = {
      algorithms: ['RS256'],
      jwks_url: `http://${await bridge(portOf(idp.jwksUrl))}/jwks`,
      issuer: idp.issuer,
      audience: resource,
    };
    const sigv4 = { access_key: credential.accessKey, secret_key: credential.secretKey, reject_replays: true };
    const config = {
      redis: { url: `redis://:${redis.password}@${await bridge(redis.port)}` },
      buckets: [
        {
          name: 'uploads',
          s3: s3Config(minio, `http://${await bridge(minio.port)}`),
          auth: { jwt, sigv4 },
          authz: { opa: { url: `http://${await bridge(portOf(opa.url))}`, policy_path: 'mizuchi/allow' } },
          access: { allow_ips: ['::1/128'] },
          upload: { multipart_threshold: 5 * mib, part_size: 5 * mib },
        },
      ],
    };
    proxy = await startProxy({ config, host: '[::1]' });
  });
  afterAll(async () => {
    await proxy.stop();
    for (const server of bridges) server.close();
    await Promise.all([minio.stop(), idp.kill(), redis.stop(), opa.stop()]);
  });

  test.each([
    ['one PUT', 1000],
    ['parts', 11 * mib],
  ])('a token, %s', async (key, bytes) => {
    const body = createRandomBody(key, bytes).bytes();
    const headers = { authorization: `Bearer ${await idp.createToken(resource)}` };
    const path = `/uploads/${encodeURIComponent(key)}`;
    const answer = await sendRequest({ url: proxy.url, method: 'PUT', path, headers, body });
    expect(answer).toMatchObject({ status: 200 });
    expect((await stored.readBytes(key)).equals(body)).toBe(true);
  });

  test('a presigned URL, whose host is an address in brackets', async () => {
    const signing = { method: 'PUT', region: 'us-east-1', service: 's3', expiresSeconds: 60, credential };
    const signed = presignUrl({ ...signing, url: `${proxy.url}/uploads/once`, nowMs: Date.now() });
    const path = signed.slice(proxy.url.length);
    const put = () => sendRequest({ url: proxy.url, method: 'PUT', path, body: 'hello' });
    expect([(await put()).status, (await put()).status]).toEqual([200, 403]);
    expect((await stored.readBytes('once')).toString()).toBe('hello');
  });
});
