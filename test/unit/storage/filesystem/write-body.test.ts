// A file that takes no bytes, or fewer than it is given: the failure is told at once, and no chunk is lost.
import { mkdtemp, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeBody } from '../../../../src/storage/filesystem/write-body.ts';
import { createCountedBody } from '../../../contract/storage/counted-body.ts';
import { createRandomBody } from '../../../support/random-body.ts';

const never = new AbortController().signal;
let folder: string;
let file: FileHandle;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-body-'));
  await writeFile(path.join(folder, 'file'), '');
  // Open for reading alone: the system refuses every write.
  file = await open(path.join(folder, 'file'), 'r');
});
afterEach(async () => {
  await file.close();
  await rm(folder, { recursive: true });
});

test.each([1, 2, 3, 4, 5, 20])('gives back all of %i chunks', async (count) => {
  const body = createCountedBody(Buffer.alloc(count * 1000), { cuts: [1000] });
  await expect(writeBody(body, file, { maxBytes: 1e9, signal: never })).rejects.toMatchObject({ code: 'EBADF' });
  expect(body.chunksOut).toBe(0);
});

test('does not wait for a client that sends no more', async () => {
  const body = createCountedBody(Buffer.alloc(5000), { cuts: [1000], stop: { afterBytes: 1000 } });
  await expect(writeBody(body, file, { maxBytes: 1e9, signal: never })).rejects.toMatchObject({ code: 'EBADF' });
  expect(body.chunksOut).toBe(0);
});

test('gives back a chunk that comes after the end', async () => {
  const late = Promise.withResolvers<void>();
  const counted = createCountedBody(Buffer.alloc(2000), { cuts: [1000] });
  let reads = 0;
  const body = {
    length: 2000,
    read: async () => {
      if (++reads === 2) await late.promise;
      return counted.read();
    },
  };
  await expect(writeBody(body, file, { maxBytes: 1e9, signal: never })).rejects.toMatchObject({ code: 'EBADF' });
  late.resolve();
  while (counted.bytesRead < 2000) await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(counted.chunksReleased).toBe(2);
});

test('goes on where a write has taken less than it was given, as the last one before a disk is full', async () => {
  const bytes = createRandomBody('short writes', 100_000).bytes();
  const target = path.join(folder, 'target');
  const real = await open(target, 'w');
  const writev = async (buffers: readonly Uint8Array[], position: number) => {
    const most = Buffer.concat(buffers).subarray(0, 7001);
    await real.write(most, 0, most.byteLength, position);
    return { bytesWritten: most.byteLength };
  };
  const short = { writev } as unknown as FileHandle;
  const body = createCountedBody(bytes, { cuts: [5000, 1, 20_000] });
  await writeBody(body, short, { maxBytes: 1e9, signal: never });
  await real.close();
  expect((await readFile(target)).equals(bytes)).toBe(true);
  expect(body.chunksOut).toBe(0);
});
