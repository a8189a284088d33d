// The backend has done what it was asked for, and nobody learns it in time: its answer is lost, or its client has left.
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createS3Storage } from '../../src/storage/s3/s3-storage.ts';
import type { Stored } from '../../src/storage/storage.ts';
import { createCountedBody } from '../contract/storage/counted-body.ts';
import type { FaultyBackend, SeenRequest } from '../support/faulty-backend.ts';
import { startFaultyBucket } from '../support/faulty-bucket.ts';
import { prefix, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody, type RandomBody } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import type { Answer } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
let backend: FaultyBackend;
let bucket: ProxiedBucket;
let keyCount = 0;
let key: string;
beforeAll(async () => {
  ({ backend, bucket } = await startFaultyBucket({
    upload: {
      multipart_threshold: 5 * MiB,
      part_size: 5 * MiB,
      retry: { max_attempts: 3, base_delay_ms: 10, max_delay_ms: 20 },
    },
  }));
});
afterAll(() => bucket.stop());
beforeEach(() => {
  keyCount += 1;
  key = `object-${keyCount}`;
});
afterEach(async () => {
  backend.setFault(() => undefined);
  await bucket.proxy.waitUntilIdle();
});

describe('a client that leaves while its upload is being opened', () => {
  test('leaves no open upload behind', async () => {
    backend.setFault(({ operation }) =>
      operation === 'CreateMultipartUpload' ? { kind: 'late-answer', ms: 500 } : undefined,
    );
    const before = backend.seen.length;
    const connection = await openRawConnection(bucket.proxy.url);
    const fields = ['Host: a', `Authorization: Bearer ${bucket.token}`, `Content-Length: ${20 * MiB}`];
    await connection.write(`PUT ${prefix}/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
    // So little that the server goes on reading, and sees that the client is gone.
    await connection.write(Buffer.alloc(1000));
    await waitFor(async () => (await bucket.stored.listOpenUploads(key)).length === 1);
    connection.destroy();
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listOpenUploads(key)).toEqual([]);
    const asked = backend.seen.slice(before).map(({ operation }) => operation);
    expect(asked).toContain('AbortMultipartUpload');
    expect(asked).not.toContain('UploadPart');
  });
});

describe('a PUT with a condition, made again because its answer was lost', () => {
  const md5 = (body: RandomBody): string => createHash('md5').update(body.bytes()).digest('hex');
  const put = (body: RandomBody, headers: Record<string, string>): Promise<Answer> =>
    bucket.put(key, body.chunks(), { 'content-length': String(body.sizeBytes), ...headers });
  const isFirst = ({ operation, attempt }: SeenRequest): boolean => operation === 'PutObject' && attempt === 1;
  const loseFirstAnswer = (): void => backend.setFault((seen) => (isFirst(seen) ? { kind: 'lose-answer' } : undefined));
  const mustBeNew = { 'if-none-match': '*' };

  async function expectStored(answer: Answer, body: RandomBody): Promise<void> {
    expect(answer).toMatchObject({ status: 200, body: '', headers: { etag: `"${md5(body)}"` } });
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  }

  test.each([0, 1, 1000])('knows the object that it has made (%i bytes)', async (sizeBytes) => {
    const body = createRandomBody('own', sizeBytes);
    loseFirstAnswer();
    const before = backend.seen.length;
    await expectStored(await put(body, mustBeNew), body);
    expect(backend.seen.slice(before).filter(({ operation }) => operation === 'PutObject')).toHaveLength(2);
  });

  test('knows it also when the length was not known', async () => {
    const body = createRandomBody('own', 1000);
    loseFirstAnswer();
    await expectStored(await bucket.put(key, body.chunks(), mustBeNew), body);
  });

  test.each([0, 3 * MiB, 5 * MiB - 1])('knows it also when it is refused after %i bytes', async (afterBodyBytes) => {
    const body = createRandomBody('own', 5 * MiB - 1);
    backend.setFault((seen) => {
      if (isFirst(seen)) return { kind: 'lose-answer' };
      return seen.operation === 'PutObject'
        ? { kind: 'answer', status: 412, code: 'PreconditionFailed', afterBodyBytes }
        : undefined;
    });
    await expectStored(await put(body, mustBeNew), body);
  });

  test('knows it also when it took the place of another', async () => {
    const old = createRandomBody('old', 1000);
    expect((await put(old, {})).status).toBe(200);
    const body = createRandomBody('new', 1000);
    // The first of this key was the one above.
    backend.setFault(({ operation, attempt }) =>
      operation === 'PutObject' && attempt === 2 ? { kind: 'lose-answer' } : undefined,
    );
    await expectStored(await put(body, { 'if-match': `"${md5(old)}"` }), body);
  });

  test.each([
    ['of another size', 999],
    ['of the same size', 1000],
  ])("does not take somebody else's for its own (%s)", async (_, sizeBytes) => {
    const other = createRandomBody('other', sizeBytes);
    backend.setFault((seen) => (isFirst(seen) ? { kind: 'reset', afterBodyBytes: 0 } : undefined));
    await putDirectly(other);
    const answer = await put(createRandomBody('own', 1000), mustBeNew);
    expect(answer.status).toBe(412);
    expect(answer.body).toContain('<Code>PreconditionFailed</Code>');
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: other.sha256(), size: sizeBytes });
  });

  test('does not say that it failed when that cannot be known', async () => {
    backend.setFault((seen) => {
      if (isFirst(seen)) return { kind: 'lose-answer' };
      return seen.operation === 'Other' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined;
    });
    const answer = await put(createRandomBody('own', 1000), mustBeNew);
    expect(answer.status).toBe(503);
    expect(answer.body).toContain('<Code>ServiceUnavailable</Code>');
  });

  const putDirectly = async (body: RandomBody): Promise<void> => {
    await bucket.stored.client.send(
      new PutObjectCommand({ Bucket: bucket.stored.bucket, Key: key, Body: body.bytes() }),
    );
  };
});

describe('a completion with a condition, made again because its answer was lost', () => {
  test('knows the object that it has made, however many were given up before', async () => {
    const { accessKey: accessKeyId, secretKey: secretAccessKey, region } = bucket.server;
    const storage = createS3Storage({
      region,
      endpoint: backend.endpoint,
      forcePathStyle: true,
      keepsEmptySegments: false,
      credentials: { accessKeyId, secretAccessKey },
      timeouts: { connectMs: 5000, idleMs: 30_000, totalMs: 0 },
    });
    const never = new AbortController().signal;
    const address = { bucket: bucket.stored.bucket, key };
    const mustBeNew = new Map([['if-none-match', '*']]);

    backend.setFault(({ operation }) =>
      operation === 'CompleteMultipartUpload' ? { kind: 'reset', afterBodyBytes: 0 } : undefined,
    );
    const giveUp = async (uploadId: string): Promise<void> => {
      const parts = [{ partNumber: 1, etag: '"900150983cd24fb0d6963f7d28e17f72"' }];
      const completing = storage.completeMultipartUpload({ ...address, uploadId }, parts, mustBeNew, never);
      await expect(completing).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    };
    for (let given = 0; given < 1000; given += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => giveUp(`given-up-${given + index}`)));

    const { uploadId } = await storage.createMultipartUpload(address, new Map(), never);
    const upload = { ...address, uploadId };
    const part = await storage.uploadPart(upload, 1, new Map(), createCountedBody(Buffer.from('hello')), never);
    const complete = (): Promise<Stored> =>
      storage.completeMultipartUpload(upload, [{ partNumber: 1, etag: part.etag }], mustBeNew, never);
    backend.setFault(({ operation }) =>
      operation === 'CompleteMultipartUpload'
        ? { kind: 'lose-answer' }
        : { kind: 'answer', status: 503, code: 'SlowDown' },
    );
    await expect(complete()).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    backend.setFault(({ operation }) =>
      operation === 'CompleteMultipartUpload' ? { kind: 'answer', status: 412, code: 'PreconditionFailed' } : undefined,
    );
    expect((await complete()).etag).toBe((await bucket.stored.head(key)).ETag);
    await storage.close();
  });
});

describe('an upload in parts whose completion was made, and its answer lost', () => {
  test.each<[string, Record<string, string>]>([
    ['without a condition', {}],
    ['with one', { 'if-none-match': '*' }],
  ])('is not said to have failed where the object may not be looked at (%s)', async (_, headers) => {
    backend.setFault(({ operation, attempt }) => {
      if (operation === 'CompleteMultipartUpload' && attempt === 1) return { kind: 'lose-answer' };
      return operation === 'Other' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined;
    });
    const body = createRandomBody('parts', 11 * MiB);
    const answer = await bucket.put(key, body.chunks(), { 'content-length': String(body.sizeBytes), ...headers });
    expect(answer.status).toBe(503);
    expect(answer.body).toContain('<Code>ServiceUnavailable</Code>');
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  });
});
