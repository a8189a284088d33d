// What becomes of open uploads when the journal fails, when the process stops between two aborts, and when the backend is
// slow while a sweep is under way.
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import { createS3Storage } from '../../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import {
  createOpenUploads,
  type OpenUploads,
  type OpenUploadsOptions,
} from '../../../../src/upload/open-uploads/open-uploads.ts';
import type { JournalEntry } from '../../../../src/upload/open-uploads/upload-journal.ts';
import { waitFor } from '../../../support/wait-for.ts';

const never = new AbortController().signal;
let folder: string;
let journalFolder: string;
let storage: Storage;
let openUploads: OpenUploads;
let events: string[];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-open-uploads-'));
  journalFolder = path.join(folder, 'open-uploads');
  storage = createFilesystemStorage({ root: path.join(folder, 'root') });
  events = [];
});
afterEach(async () => {
  await openUploads.close();
  await storage.close();
  await rm(folder, { recursive: true });
});

async function start(storageOf: OpenUploadsOptions['storageOf']): Promise<void> {
  openUploads = await createOpenUploads({
    stateDir: folder,
    storageOf,
    events: {
      aborted: ({ uploadId }) => events.push(`aborted ${uploadId}`),
      abortFailed: ({ uploadId }) => events.push(`abort failed ${uploadId}`),
      swept: ({ uploadId }) => events.push(`swept ${uploadId}`),
      journalFailed: () => events.push('journal failed'),
    },
  });
}

async function openUpload(key: string): Promise<JournalEntry> {
  const object = { bucket: 'uploads', key };
  const { uploadId } = await storage.createMultipartUpload(object, new Map(), never);
  return { bucketName: 'uploads', ...object, uploadId };
}

/** A file in its place that cannot be removed as one. */
function block(file: string): void {
  rmSync(file);
  mkdirSync(path.join(file, 'x'), { recursive: true });
}

/** What a process has left that ended long ago. @returns the files of the entries. */
async function leave(entries: readonly JournalEntry[]): Promise<string[]> {
  const left = path.join(journalFolder, 'left');
  await mkdir(left, { recursive: true });
  const files = entries.map((_, index) => path.join(left, `${index}.json`));
  for (const [index, file] of files.entries()) await writeFile(file, JSON.stringify(entries[index]));
  const longAgo = Date.now() / 1000 - 3600;
  await utimes(left, longAgo, longAgo);
  return files;
}

describe('an entry that cannot be removed', () => {
  test.each(['completed', 'abort'] as const)('is told of, and fails nothing (%s)', async (end) => {
    await start(() => storage);
    const entry = await openUpload('a');
    const open = await openUploads.opened('uploads', entry, storage);
    const [own = ''] = await readdir(journalFolder);
    const names = await readdir(path.join(journalFolder, own));
    block(path.join(journalFolder, own, names.find((name) => name !== 'process.json') ?? ''));
    await open[end]();
    await expect.poll(() => events.at(-1), { timeout: 5000 }).toBe('journal failed');
  });

  test('of another process does not keep the others from being swept, and is tried again', async () => {
    const entries = await Promise.all(['a', 'b'].map(openUpload));
    const files = await leave(entries);
    let isBlocked = false;
    await start(() => {
      if (!isBlocked) block(files[0] ?? '');
      isBlocked = true;
      return storage;
    });
    await openUploads.sweep();
    expect(events).toEqual(['journal failed', `swept ${entries[1]?.uploadId}`]);
    expect(openUploads.abandoned).toBe(1);

    await rm(files[0] ?? '', { recursive: true });
    await leave(entries.slice(0, 1));
    await openUploads.sweep();
    expect(events.slice(2)).toEqual([`swept ${entries[0]?.uploadId}`]);
    expect(openUploads.abandoned).toBe(0);
  });
});

test('an upload that two processes find at the same time is told of by one', async () => {
  const upload = await openUpload('a');
  await leave([upload]);
  let asked = 0;
  const both = Promise.withResolvers<void>();
  const together: Storage = {
    ...storage,
    async abortMultipartUpload(address, signal) {
      if (++asked === 2) both.resolve();
      await both.promise;
      return storage.abortMultipartUpload(address, signal);
    },
  };
  await start(() => together);
  const other = openUploads;
  await start(() => together);
  await Promise.all([other.sweep(), openUploads.sweep()]);
  expect(events).toEqual([`swept ${upload.uploadId}`]);
  expect([other.abandoned, openUploads.abandoned]).toEqual([0, 0]);
  await other.close();
});

test('an upload goes on that the journal cannot take, and is aborted like any other; the process ends well', async () => {
  await start(() => storage);
  await rm(journalFolder, { recursive: true });
  const upload = await openUpload('a');
  const open = await openUploads.opened('uploads', upload, storage);
  expect(events).toEqual(['journal failed']);
  await open.abort();
  expect(events).toEqual(['journal failed', `aborted ${upload.uploadId}`]);
  await expect(openUploads.close()).resolves.toBeUndefined();
});

describe('an upload that was aborted', () => {
  let asked: string[];
  /** Of the calls that no request waits for. */
  let attempts: number[];
  /** Fails in the attempts whose numbers, from 1, are given. */
  const failingIn = (...attempts: readonly number[]): Storage => ({
    ...storage,
    abortMultipartUpload(upload, signal) {
      asked.push(upload.uploadId);
      if (attempts.includes(asked.length)) return Promise.reject(new Error('not now'));
      return storage.abortMultipartUpload(upload, signal);
    },
  });
  const listJournal = async (): Promise<string[]> => {
    const names = await readdir(journalFolder, { recursive: true });
    return names.filter((name) => name.endsWith('.json') && !name.endsWith('process.json'));
  };
  beforeEach(() => {
    asked = [];
    attempts = [];
  });

  async function abortOne(watched: Storage): Promise<string> {
    await start((_, attempt) => {
      attempts.push(attempt);
      return watched;
    });
    const upload = await openUpload('a');
    const open = await openUploads.opened('uploads', upload, watched);
    expect(openUploads.journalEntries).toBe(1);
    await open.abort();
    expect(asked).toEqual([upload.uploadId]);
    expect(openUploads.journalEntries).toBe(0);
    return upload.uploadId;
  }

  test('stays in the journal until it is aborted once more', async () => {
    const uploadId = await abortOne(failingIn());
    expect(await listJournal()).toHaveLength(1);
    await expect.poll(listJournal, { timeout: 5000 }).toEqual([]);
    expect(asked).toEqual([uploadId, uploadId]);
    expect(events).toEqual([`aborted ${uploadId}`]);
  });

  test('is aborted once more at once when the process stops', async () => {
    const uploadId = await abortOne(failingIn());
    const startedAt = performance.now();
    await openUploads.close();
    expect(performance.now() - startedAt).toBeLessThan(900);
    expect(asked).toEqual([uploadId, uploadId]);
    expect(await readdir(journalFolder)).toEqual([]);
    await start(() => storage);
  });

  test('is aborted until that succeeds where once more has failed, pends meanwhile, and counts once', async () => {
    const uploadId = await abortOne(failingIn(2, 3));
    expect(openUploads.abortsPending).toBe(0);
    await expect.poll(() => openUploads.abortsPending, { timeout: 5000, interval: 5 }).toBe(1);
    expect(openUploads.journalEntries).toBe(0);
    await expect.poll(listJournal, { timeout: 8000 }).toEqual([]);
    expect(openUploads.abortsPending).toBe(0);
    expect(asked).toHaveLength(4);
    // Once more is no other attempt of what has succeeded.
    expect(attempts).toEqual([1, 2, 3]);
    expect(events).toEqual([`aborted ${uploadId}`, `abort failed ${uploadId}`, `abort failed ${uploadId}`]);
  });

  test('stays in the journal when once more has failed, is tried again, and the process stops', async () => {
    await abortOne(failingIn(2, 3, 4, 5, 6));
    await expect.poll(() => openUploads.abortsPending, { timeout: 5000, interval: 5 }).toBe(1);
    await openUploads.close();
    expect(openUploads.abortsPending).toBe(0);
    expect(await listJournal()).toHaveLength(1);
    await start(() => storage);
  });

  test('is left to the next start when it cannot be aborted once more, also to one in the same process', async () => {
    const uploadId = await abortOne(failingIn(2));
    await openUploads.close();
    expect(await listJournal()).toHaveLength(1);
    await start(() => storage);
    await openUploads.sweep();
    expect(events).toEqual([`aborted ${uploadId}`, `abort failed ${uploadId}`, `swept ${uploadId}`]);
    expect(await listJournal()).toEqual([]);
  });

  test('that fails is attempted again, counted from the first that its request has made', async () => {
    const watched = failingIn(1, 2);
    await start((_, attempt) => {
      attempts.push(attempt);
      return watched;
    });
    const upload = await openUpload('a');
    await (await openUploads.opened('uploads', upload, watched)).abort();
    await expect.poll(listJournal, { timeout: 8000 }).toEqual([]);
    expect(attempts).toEqual([2, 3]);
  });

  test('stays in the journal when its first abort fails and the process stops', async () => {
    const watched = failingIn(1, 2, 3);
    await start(() => watched);
    const upload = await openUpload('a');
    await (await openUploads.opened('uploads', upload, watched)).abort();
    expect(openUploads.abortsPending).toBe(1);
    expect(openUploads.journalEntries).toBe(1);
    await openUploads.close();
    await start(() => storage);
    await openUploads.sweep();
    expect(events.at(-1)).toBe(`swept ${upload.uploadId}`);
  });
});

test('a sweep knows how often earlier ones have attempted what they could not abort', async () => {
  const upload = await openUpload('a');
  await leave([upload]);
  const attempts: number[] = [];
  await start((_, attempt) => {
    attempts.push(attempt);
    return attempts.length < 3 ? undefined : storage;
  });
  for (const _ of [1, 2, 3]) await openUploads.sweep();
  expect(attempts).toEqual([1, 2, 3]);
  expect(events.at(-1)).toBe(`swept ${upload.uploadId}`);
});

test('an upload that is left only after the start is found by looking again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    await start(() => storage);
    await openUploads.sweep();
    const upload = await openUpload('a');
    await leave([upload]);
    vi.advanceTimersByTime(60_000);
    await waitFor(async () => events.length > 0);
    expect(events).toEqual([`swept ${upload.uploadId}`]);
  } finally {
    vi.useRealTimers();
  }
});

test('a sweep that is asked for while one is under way is that one', async () => {
  let concurrent = 0;
  let most = 0;
  const asked: string[] = [];
  const backend = createServer((request, response) => {
    most = Math.max(most, ++concurrent);
    asked.push(new URL(request.url ?? '', 'http://a').searchParams.get('uploadId') ?? '');
    setTimeout(() => {
      concurrent--;
      response.writeHead(204).end();
    }, 100);
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const slow = createS3Storage({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(backend.address() as AddressInfo).port}`,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    timeouts: { connectMs: 1000, idleMs: 1000, totalMs: 0 },
  });
  await leave(['1', '2', '3'].map((uploadId) => ({ bucketName: 'uploads', bucket: 'b', key: 'k', uploadId })));
  await start(() => slow);
  await Promise.all([openUploads.sweep(), delay(50).then(() => openUploads.sweep())]);
  expect(asked.toSorted()).toEqual(['1', '2', '3']);
  expect(most).toBe(1);
  expect(openUploads.abandoned).toBe(0);
  await slow.close();
  backend.close();
});

test('a failure is not kept waiting by a backend that never answers the abort', { timeout: 20_000 }, async () => {
  const silent: Storage = {
    ...storage,
    abortMultipartUpload: (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  };
  await start(() => silent);
  const entry = await openUpload('a');
  const open = await openUploads.opened('uploads', entry, silent);
  await open.abort();
  expect(openUploads.abortsPending).toBe(1);
  expect(events).toEqual([`abort failed ${entry.uploadId}`]);
});
