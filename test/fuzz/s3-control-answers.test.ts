// Whatever a backend answers to a control call: a value, or an S3Error that tells nothing of it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { S3Error } from '../../src/errors.ts';
import { createS3Storage } from '../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../src/storage/storage.ts';

const never = new AbortController().signal;
const upload = { bucket: 'bucket', key: 'k', uploadId: 'u' };
let answer = { status: 200, body: '' };
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(answer.status, { etag: '"e"', 'content-type': 'application/xml' });
  response.end(answer.body);
});
let storage: Storage;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  storage = createS3Storage({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forcePathStyle: true,
    keepsEmptySegments: true,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs: 5000, idleMs: 5000, totalMs: 0 },
  });
});
afterAll(async () => {
  await storage.close();
  server.close();
});

const text = fc.oneof(
  fc.constantFrom(
    '1',
    '-1',
    '1e999',
    'true',
    'InternalError',
    'NoSuchUpload',
    'secret words',
    '2026-01-02',
    '"e"',
    '&amp;',
  ),
  fc.string({ maxLength: 12 }),
);
const names = [
  'UploadId',
  'ETag',
  'IsTruncated',
  'NextPartNumberMarker',
  'PartNumber',
  'Size',
  'LastModified',
  'Code',
  'Message',
];
const elements = fc
  .array(fc.tuple(fc.constantFrom(...names), text), { maxLength: 5 })
  .map((pairs) => pairs.map(([name, value]) => `<${name}>${value}</${name}>`).join(''));
const document = fc
  .tuple(
    fc.constantFrom(
      'Error',
      'ListPartsResult',
      'InitiateMultipartUploadResult',
      'CompleteMultipartUploadResult',
      'html',
    ),
    elements,
    fc.array(elements, { maxLength: 3 }),
    fc.option(fc.nat(200), { nil: undefined }),
  )
  .map(([root, head, parts, cut]) =>
    `<?xml version="1.0"?><${root}>${head}${parts.map((part) => `<Part>${part}</Part>`).join('')}</${root}>`.slice(
      0,
      cut,
    ),
  );
const status = fc.constantFrom(200, 204, 301, 307, 400, 403, 404, 409, 412, 418, 429, 500, 503);

test('a value, or an S3Error', async () => {
  const calls = [
    () => storage.createMultipartUpload(upload, new Map(), never),
    () => storage.listParts(upload, { maxParts: 2, partNumberMarker: 0 }, new Map(), never),
    () => storage.completeMultipartUpload(upload, [{ partNumber: 1, etag: '"e"' }], new Map(), never),
    () => storage.abortMultipartUpload(upload, never),
    () => storage.checkReady('bucket', never),
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...calls), status, fc.oneof(document, fc.string()), async (call, code, body) => {
      answer = { status: code, body };
      const outcome = await call().catch((error: unknown) => error);
      if (!(outcome instanceof Error)) return;
      expect(outcome).toBeInstanceOf(S3Error);
      expect(outcome.message).not.toContain('secret words');
    }),
    { numRuns: 1000 },
  );
});
