// The S3 backend over TLS, with a certificate made for the test, on a server that takes the end of a stream for the end of a body.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CreateBucketCommand, GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createS3Storage } from '../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { findServer } from '../../servers/find-server.ts';
import { freePort } from '../../servers/free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../../servers/start-process.ts';
import { createRandomBody } from '../../support/random-body.ts';
import { createCountedBody } from './counted-body.ts';

const bucket = 'over-tls';
const region = 'us-east-1';
const credentials = { accessKeyId: 'tls-test', secretAccessKey: 'tls-test-secret' };
const never = new AbortController().signal;
const defaultAuthorities = getCACertificates('default');

let folder: string;
let endpoint: string;
let running: RunningProcess;
let client: S3Client;
const storages: Storage[] = [];

function createStorage(at = endpoint): Storage {
  const timeouts = { connectMs: 5000, idleMs: 30_000, totalMs: 0 };
  const storage = createS3Storage({
    region,
    endpoint: at,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials,
    timeouts,
  });
  storages.push(storage);
  return storage;
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-s3-tls-'));
  const [data, cert, key] = ['data', 'cert.pem', 'key.pem'].map((name) => path.join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(data);
  const about = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2'];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', [...kind, ...about, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  const port = await freePort();
  endpoint = `https://localhost:${port}`;
  running = startProcess({
    command: await findServer('versitygw'),
    args: ['--port', `127.0.0.1:${port}`, '--cert', cert, '--key', key, '--keep-alive', '--quiet', 'posix', data],
    env: { HOME: folder, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    cwd: folder,
    folder,
  });
  await waitUntilReady(running, () => canConnect(port));
});

beforeAll(async () => {
  setDefaultCACertificates([...defaultAuthorities, readFileSync(path.join(folder, 'cert.pem'), 'utf8')]);
  client = new S3Client({ region, endpoint, credentials, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
});

afterAll(async () => {
  setDefaultCACertificates(defaultAuthorities);
  await Promise.all(storages.map((storage) => storage.close()));
  client.destroy();
  await running.stop('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: 'localhost', port, rejectUnauthorized: false }, () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('secureConnect', () => socket.destroy());
  });
}

test.each([0, 1, 4096, 100_000, 20 * 1024 * 1024])(
  'an object of %i bytes comes back as it was sent',
  async (sizeBytes) => {
    const bytes = createRandomBody('over tls', sizeBytes).bytes();
    const storage = createStorage();
    const address = { bucket, key: `size/${sizeBytes}` };
    // Twice, so that the second finds a connection.
    for (let i = 0; i < 2; i++) {
      const body = createCountedBody(bytes, { cuts: [65_536, 1, 524_288] });
      await storage.putObject(address, new Map(), body, never);
      expect(body.chunksOut).toBe(0);
    }
    const found = await client.send(new GetObjectCommand({ Bucket: bucket, Key: address.key }));
    expect(Buffer.compare(Buffer.from((await found.Body?.transformToByteArray()) ?? []), bytes)).toBe(0);
  },
);

test('an endpoint that is an address', async () => {
  const storage = createStorage(endpoint.replace('localhost', '127.0.0.1'));
  await storage.putObject({ bucket, key: 'by-address' }, new Map(), createCountedBody(Buffer.from('x')), never);
  const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'by-address' }));
  expect(found.ContentLength).toBe(1);
});

test('a multipart upload', async () => {
  const storage = createStorage();
  const object = { bucket, key: 'multipart' };
  const { uploadId } = await storage.createMultipartUpload(object, new Map(), never);
  const upload = { ...object, uploadId };
  const { etag } = await storage.uploadPart(upload, 1, new Map(), createCountedBody(Buffer.from('part')), never);
  const stored = await storage.completeMultipartUpload(upload, [{ partNumber: 1, etag }], new Map(), never);
  const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: object.key }));
  expect(found).toMatchObject({ ETag: stored.etag, ContentLength: 4 });
});

test('a body that fails midway leaves nothing', async () => {
  const failure = new Error('the client left');
  const bytes = createRandomBody('fails', 3 * 1024 * 1024).bytes();
  const body = createCountedBody(bytes, { stop: { afterBytes: 2 * 1024 * 1024, failure } });
  const storage = createStorage();
  await expect(storage.putObject({ bucket, key: 'failing' }, new Map(), body, never)).rejects.toBe(failure);
  // The server has seen the end of that connection once it has answered on a later one.
  await storage.putObject({ bucket, key: 'later' }, new Map(), createCountedBody(Buffer.from('later')), never);
  await expect(client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'failing' }))).rejects.toMatchObject({
    name: 'NotFound',
  });
});

test("another host's certificate is not accepted, for a body or for any other call", async () => {
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => readFileSync(path.join(folder, name)));
  const seen: string[] = [];
  const other = createServer({ cert, key }, (request, response) => {
    seen.push(request.method ?? '');
    response.end();
  });
  other.listen(0, '127.0.0.2');
  await once(other, 'listening');
  const storage = createStorage(`https://127.0.0.2:${(other.address() as AddressInfo).port}`);
  const object = { bucket, key: 'stolen' };
  const body = createCountedBody(Buffer.from('secret'));
  const calls = [
    storage.putObject(object, new Map(), body, never),
    storage.createMultipartUpload(object, new Map(), never),
  ];
  for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
    expect(reason).toMatchObject({ code: 'ServiceUnavailable' });
  expect(seen).toEqual([]);
  expect(body.chunksOut).toBe(0);
  other.close();
});

test('a certificate that nobody vouches for is not accepted', async () => {
  setDefaultCACertificates(defaultAuthorities);
  const body = createCountedBody(Buffer.from('secret'));
  const putting = createStorage().putObject({ bucket, key: 'untrusted' }, new Map(), body, never);
  await expect(putting).rejects.toMatchObject({
    code: 'ServiceUnavailable',
    cause: { cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } },
  });
  expect(body.chunksOut).toBe(0);
});
