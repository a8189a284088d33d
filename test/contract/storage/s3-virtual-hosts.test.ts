// Buckets that are reached by a host of their own: bodies and control calls go to the same one.
import dns from 'node:dns';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createS3Storage } from '../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import type { S3Server } from '../../servers/start-s3-server.ts';
import { startMinio } from '../../servers/start-minio.ts';
import { createBucket, type BucketView } from '../../support/s3-client.ts';
import { createCountedBody } from './counted-body.ts';

const domain = 's3.mizuchi.test';
const bucket = 'virtual-hosts';
const never = new AbortController().signal;
const lookup = dns.lookup;
const asked = new Set<string>();
let server: S3Server;
let view: BucketView;
let storage: Storage;
beforeAll(async () => {
  server = await startMinio({ MINIO_DOMAIN: domain });
  view = await createBucket(server, bucket);
  // No resolver knows the domain: whatever is below it is here.
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: [object, () => void]) => {
    asked.add(name);
    lookup(name.endsWith(domain) ? '127.0.0.1' : name, ...rest);
  }) as typeof lookup);
  const { accessKey: accessKeyId, secretKey: secretAccessKey, region, port } = server;
  storage = createS3Storage({
    region,
    endpoint: `http://${domain}:${port}`,
    forcePathStyle: false,
    keepsEmptySegments: false,
    credentials: { accessKeyId, secretAccessKey },
    timeouts: { connectMs: 5000, idleMs: 30_000, totalMs: 0 },
  });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await storage.close();
  view.client.destroy();
  await server.stop();
});

test.each(['plain', "a b+c/é'()*!~"])('%s', async (key) => {
  const object = { bucket, key };
  await storage.checkReady(bucket, never);
  await storage.putObject(object, new Map(), createCountedBody(Buffer.from('put')), never);
  expect(await view.readBytes(key)).toEqual(Buffer.from('put'));

  const { uploadId } = await storage.createMultipartUpload(object, new Map(), never);
  const upload = { ...object, uploadId };
  const { etag } = await storage.uploadPart(upload, 1, new Map(), createCountedBody(Buffer.from('part')), never);
  const page = await storage.listParts(upload, { maxParts: 5, partNumberMarker: 0 }, new Map(), never);
  expect(page.parts.map((part) => part.etag)).toEqual([etag]);
  await storage.completeMultipartUpload(upload, [{ partNumber: 1, etag }], new Map(), never);
  expect(await view.readBytes(key)).toEqual(Buffer.from('part'));

  const other = await storage.createMultipartUpload(object, new Map(), never);
  await storage.abortMultipartUpload({ ...object, uploadId: other.uploadId }, never);
  expect(await view.listOpenUploads()).toEqual([]);
  expect([...asked].filter((name) => name.endsWith(domain))).toEqual([`${bucket}.${domain}`]);
});
