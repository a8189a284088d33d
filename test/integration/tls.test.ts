// The proxy's own TLS, with a certificate made for the test.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { bucketConfig, prefix, s3Config } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { sendRequest } from '../support/send-request.ts';
import { createToken, startProxy, type RunningProxy } from '../support/start-proxy.ts';

let folder: string;
let ca: string;
let server: S3Server;
let stored: BucketView;
let proxy: RunningProxy;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-tls-'));
  const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
  const about = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', [...kind, ...about, '-keyout', keyFile, '-out', certFile], { stdio: 'pipe' });
  ca = readFileSync(certFile, 'utf8');
  server = await startMinio();
  stored = await createBucket(server, 'backend-bucket');
  proxy = await startProxy({
    ca,
    config: {
      server: { tls: { cert_file: certFile, key_file: keyFile } },
      buckets: [bucketConfig({ s3: s3Config(server) })],
    },
  });
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
  rmSync(folder, { recursive: true });
});

test.each([1, 1024 * 1024 + 1, 60 * 1024 * 1024])('an object of %i bytes over https', async (sizeBytes) => {
  const body = createRandomBody('tls', sizeBytes);
  const answer = await sendRequest({
    url: proxy.url,
    ca,
    method: 'PUT',
    path: `${prefix}/tls/${sizeBytes}`,
    headers: { authorization: `Bearer ${await createToken()}`, 'content-length': String(sizeBytes) },
    body: body.chunks(),
  });
  expect(answer).toMatchObject({ status: 200, body: '' });
  expect(await stored.readHash(`tls/${sizeBytes}`)).toEqual({ sha256: body.sha256(), size: sizeBytes });
});

test('plain HTTP on that port is no request', async () => {
  const url = proxy.url.replace('https:', 'http:');
  await expect(sendRequest({ url, method: 'GET', path: '/health' })).rejects.toThrow(/hang up|ECONNRESET|Parse Error/u);
});
