// What becomes of open uploads when the journal fails, and when the backend is slow while a sweep is under way.
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import { createS3Storage } from '../../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import { createOpenUploads, type OpenUploads } from '../../../../src/upload/open-uploads/open-uploads.ts';
import type { JournalEntry } from '../../../../src/upload/open-uploads/upload-journal.ts';

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

async function start(storageOf: (bucketName: string) => Storage | undefined): Promise<void> {
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
    expect(events.at(-1)).toBe('journal failed');
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
