// A put that meets a passing shortage, wherever in it, is tried again and succeeds; it never meets its own object.
import * as fileSystem from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import { withRetries } from '../../../../src/upload/body/retry.ts';
import { createCountedBody, failureOf } from '../../../contract/storage/counted-body.ts';

const opens = vi.hoisted(() => ({ untilShortage: Infinity, cannotSyncFolders: false }));
const shortageOf = vi.hoisted(
  () => (syscall: string) => Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', syscall }),
);
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof fileSystem>();
  const open: typeof real.open = async (...args) => {
    if (opens.untilShortage-- === 0) throw shortageOf('open');
    const handle = await real.open(...args);
    // Files are opened otherwise.
    if (opens.cannotSyncFolders && args[1] === 'r') handle.sync = () => Promise.reject(shortageOf('fsync'));
    return handle;
  };
  return { ...real, open };
});

const never = new AbortController().signal;
const retry = { maxAttempts: 2, baseDelayMs: 1, maxDelayMs: 1 };
const mustBeNew = new Map([['if-none-match', '*']]);
let root: string;
let storage: Storage;
const put = (key: string) =>
  storage.putObject({ bucket: 'uploads', key }, mustBeNew, createCountedBody(Buffer.from('bytes')), never);
beforeEach(async () => {
  root = await fileSystem.mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
  storage = createFilesystemStorage({ root });
  await put('first');
});
afterEach(async () => {
  opens.untilShortage = Infinity;
  opens.cannotSyncFolders = false;
  await storage.close();
  await fileSystem.rm(root, { recursive: true });
});

test('of files that may be open', async () => {
  let count = 0;
  for (let isMet = true; isMet; count++) {
    opens.untilShortage = count;
    await withRetries(() => put(`object-${count}`), { retry, signal: never });
    isMet = opens.untilShortage < 0;
  }
  expect(count).toBeGreaterThan(4);
  const names = await fileSystem.readdir(path.join(root, 'uploads'));
  expect(names.filter((name) => name.startsWith('object-') && !name.endsWith('%meta'))).toHaveLength(count);
  expect(await fileSystem.readdir(path.join(root, 'uploads', '%tmp'))).toEqual([]);
});

test('once the object can be seen is told, as it may not be on the disk, and not tried again', async () => {
  opens.cannotSyncFolders = true;
  expect(await failureOf(put('object'))).toMatchObject({ code: 'InternalError', retryable: false });
  expect(await fileSystem.readdir(path.join(root, 'uploads'))).toContain('object');
});
