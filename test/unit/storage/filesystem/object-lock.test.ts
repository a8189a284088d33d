// The lock's file, when its owner stands still for a while.
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createRootFolder } from '../../../../src/storage/filesystem/bucket-folder.ts';
import { createKeyedLock } from '../../../../src/storage/filesystem/keyed-lock.ts';
import { createObjectLock } from '../../../../src/storage/filesystem/object-lock.ts';
import { waitFor } from '../../../support/wait-for.ts';

const never = new AbortController().signal;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(root, { recursive: true });
});

/** Takes the lock of an object. */
async function hold() {
  const place = await createRootFolder(root).locate({ bucket: 'uploads', key: 'locked' });
  const taken = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const holding = createObjectLock(createKeyedLock())(place, never, () => {
    taken.resolve();
    return end.promise;
  });
  await taken.promise;
  const [name = ''] = await readdir(place.temporaryFolder);
  const release = () => (end.resolve(), holding);
  return { place, lockFile: path.join(place.temporaryFolder, name), release };
}

test('that was taken over is not removed by its former owner', async () => {
  const { lockFile, release } = await hold();
  await rm(lockFile);
  await writeFile(lockFile, 'elsewhere-99999999-aa');
  await release();
  expect(await readFile(lockFile, 'utf8')).toBe('elsewhere-99999999-aa');
});

test('that is there no more is no failure of its owner', async () => {
  const { lockFile, release } = await hold();
  await rm(lockFile);
  await expect(release()).resolves.toBeUndefined();
});

test('that is held for long is kept fresh, so that nobody takes it over', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { lockFile, release } = await hold();
  const longAgo = Date.now() / 1000 - 59;
  await utimes(lockFile, longAgo, longAgo);
  vi.advanceTimersByTime(15_000);
  await waitFor(async () => (await stat(lockFile)).mtimeMs > Date.now() - 10_000);
  await release();
  expect(vi.getTimerCount()).toBe(0);
  expect(await readdir(path.dirname(lockFile))).toEqual([]);
});

test('of this process is waited for, whatever its clock says of its age', async () => {
  const { place, lockFile, release } = await hold();
  const longAgo = Date.now() / 1000 - 61;
  await utimes(lockFile, longAgo, longAgo);
  let isTaken = false;
  const next = createObjectLock(createKeyedLock())(place, never, () => Promise.resolve(void (isTaken = true)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isTaken).toBe(false);
  await release();
  await next;
  expect(isTaken).toBe(true);
});
