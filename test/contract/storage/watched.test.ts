// The storage contract, kept by a storage that is watched; and what is seen of its calls.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import {
  WatchedStorage,
  type StorageCall,
  type StorageCallEnd,
  type StorageWatcher,
} from '../../../src/telemetry/watched-storage.ts';
import { createRandomBody } from '../../support/random-body.ts';
import { createCountedBody, failureOf } from './counted-body.ts';
import { makeFilesystemStorage } from './filesystem-under-test.ts';
import { describeStorageContract } from './storage-contract.ts';
import type { StorageUnderTest } from './storage-under-test.ts';

const seen: { readonly call: StorageCall; readonly end: StorageCallEnd }[] = [];
const watcher: StorageWatcher = {
  begin: (call) => ({
    trace: { fields: [['traceparent', 'x']] },
    end: (end) => void seen.push({ call, end }),
  }),
  failed: (error) => {
    throw error;
  },
};

async function makeWatchedStorage(): Promise<StorageUnderTest> {
  const subject = await makeFilesystemStorage();
  return { ...subject, storage: new WatchedStorage(subject.storage, watcher) };
}

describeStorageContract('watched', makeWatchedStorage);

let subject: StorageUnderTest;
beforeAll(async () => {
  subject = await makeWatchedStorage();
});
afterAll(() => subject.close());

const never = new AbortController().signal;
const lastSeen = () => seen.at(-1);

test('bytes that went to the backend, and when the first did', async () => {
  const beforeMs = performance.now();
  const bytes = createRandomBody('watched', 700_000).bytes();
  const object = { bucket: subject.bucket, key: 'a' };
  await subject.storage.putObject(object, new Map(), createCountedBody(bytes), never);
  const { call, end } = lastSeen() ?? {};
  expect(call).toEqual({ name: 'PutObject', object });
  expect(end).toMatchObject({ bytes: 700_000, error: undefined, memoryWaitMs: 0 });
  expect(end?.firstBytesAtMs).toBeGreaterThan(beforeMs);
  expect(end?.durationMs).toBeGreaterThan(0);
  expect((end?.clientWaitMs ?? 0) + (end?.backendWaitMs ?? 0)).toBeLessThanOrEqual((end?.durationMs ?? 0) + 1);
});

test('what the backend waits for the client, and of that for memory', async () => {
  const body = createCountedBody(Buffer.alloc(3000), { cuts: [1000] });
  const slowClient = {
    length: 3000,
    read: async () => {
      await delay(60);
      return body.read();
    },
    memoryWaitMs: 17,
  };
  const object = { bucket: subject.bucket, key: 'slow' };
  await subject.storage.putObject(object, new Map(), slowClient, never);
  expect(lastSeen()?.end.clientWaitMs).toBeGreaterThan(150);
  expect(lastSeen()?.end.memoryWaitMs).toBe(17);
});

test('a wait for the client that ends with the call, and one that ends with the body’s failure', async () => {
  const object = { bucket: subject.bucket, key: 'cut' };
  const givingUp = AbortSignal.timeout(100);
  const silent = createCountedBody(Buffer.alloc(5000), { cuts: [1000], stop: { afterBytes: 2000 } });
  await failureOf(subject.storage.putObject(object, new Map(), silent, givingUp));
  expect(lastSeen()?.end).toMatchObject({ bytes: 2000, isGivenUp: true });
  expect(lastSeen()?.end.clientWaitMs).toBeGreaterThan(80);
  const body = createCountedBody(Buffer.alloc(5000));
  const late = {
    length: 6000,
    read: async () => {
      if (body.bytesRead < 5000) return body.read();
      await delay(100);
      throw new S3Error('RequestTimeout');
    },
  };
  await failureOf(subject.storage.putObject(object, new Map(), late, never));
  expect(lastSeen()?.end).toMatchObject({ bytes: 5000, isGivenUp: true });
  expect(lastSeen()?.end.clientWaitMs).toBeGreaterThan(80);
});

test('of several parts that wait for memory together, one that has all its bytes has not waited', async () => {
  const body = createCountedBody(Buffer.alloc(1000));
  const whole = { length: 1000, read: () => body.read(), memoryWaitMs: 10_000 };
  await subject.storage.putObject({ bucket: subject.bucket, key: 'whole' }, new Map(), whole, never);
  expect(lastSeen()?.end.memoryWaitMs).toBeLessThan(1000);
});

test.each(['begin', 'end'] as const)('what goes wrong with watching goes wrong with nothing else: %s', async (at) => {
  const fault = new Error(at);
  const fail = () => {
    throw fault;
  };
  const told: unknown[] = [];
  const storage = new WatchedStorage(subject.storage, {
    begin: at === 'begin' ? fail : () => ({ end: fail }),
    failed: (error) => void told.push(error),
  });
  const object = { bucket: subject.bucket, key: 'unwatched' };
  const { etag } = await storage.putObject(object, new Map(), createCountedBody(Buffer.from('x')), never);
  expect(etag).toContain('9dd4e461268c8034f5c8564e155c67a6');
  const failure = new S3Error('IncompleteBody');
  const body = createCountedBody(Buffer.alloc(5000), { stop: { afterBytes: 0, failure } });
  expect(await failureOf(storage.putObject(object, new Map(), body, never))).toBe(failure);
  expect(told).toEqual([fault, fault]);
});

test('a call that fails is seen to fail, with what it threw', async () => {
  const failure = new S3Error('IncompleteBody');
  const body = createCountedBody(Buffer.alloc(5000), { cuts: [1000], stop: { afterBytes: 2000, failure } });
  const object = { bucket: subject.bucket, key: 'b' };
  expect(await failureOf(subject.storage.putObject(object, new Map(), body, never))).toBe(failure);
  expect(lastSeen()).toMatchObject({ call: { name: 'PutObject' }, end: { bytes: 2000, error: failure } });
});

test('every call of a multipart upload', async () => {
  const { storage, bucket } = subject;
  seen.length = 0;
  const object = { bucket, key: 'c' };
  const { uploadId } = await storage.createMultipartUpload(object, new Map(), never);
  const upload = { ...object, uploadId };
  const { etag } = await storage.uploadPart(upload, 7, new Map(), createCountedBody(Buffer.from('part')), never);
  await storage.listParts(upload, { maxParts: 10, partNumberMarker: 0 }, new Map(), never);
  await storage.completeMultipartUpload(upload, [{ partNumber: 7, etag }], new Map(), never);
  const other = { ...object, uploadId: (await storage.createMultipartUpload(object, new Map(), never)).uploadId };
  await storage.abortMultipartUpload(other, never);
  expect(seen.map(({ call: { name, partNumber, parts } }) => [name, partNumber ?? parts])).toEqual([
    ['CreateMultipartUpload', undefined],
    ['UploadPart', 7],
    ['ListParts', undefined],
    ['CompleteMultipartUpload', 1],
    ['CreateMultipartUpload', undefined],
    ['AbortMultipartUpload', undefined],
  ]);
});
