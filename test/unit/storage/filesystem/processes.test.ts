// What becomes of a put when its process dies, meets the limits of its disk, or is not alone.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import { failureOf } from '../../../contract/storage/counted-body.ts';
import { listObjects, readObject } from '../../../contract/storage/filesystem-under-test.ts';
import { createRandomBody } from '../../../support/random-body.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { startChild } from './child-task.ts';

const mib = 1024 * 1024;
const never = new AbortController().signal;
let root: string;
let bucketFolder: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
  bucketFolder = path.join(root, 'uploads');
});
afterEach(() => rm(root, { recursive: true }));

const temporaryFiles = () => readdir(path.join(bucketFolder, '%tmp'));

describe('a process that is killed in the middle of a put', () => {
  test('leaves nothing to be seen, and what it leaves is removed at the next start', async () => {
    const child = startChild({ root, keys: ['killed/object'], seed: 'k', sizeBytes: 8 * mib, waitsAtHalf: true });
    await child.half;
    const whileAlive = await temporaryFiles();
    expect(whileAlive).toHaveLength(1);
    // Somebody who starts meanwhile leaves it alone.
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual(whileAlive);

    child.process.kill('SIGKILL');
    await once(child.process, 'close');
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
    expect(await temporaryFiles()).toEqual(whileAlive);
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual([]);
  });

  test('leaves the object that was there, with its metadata', async () => {
    const before = startChild({ root, keys: ['kept'], seed: 'before', sizeBytes: 1000 });
    await before.outcomes;
    const child = startChild({ root, keys: ['kept'], seed: 'after', sizeBytes: 8 * mib, waitsAtHalf: true });
    await child.half;
    child.process.kill('SIGKILL');
    await once(child.process, 'close');
    const read = await readObject(bucketFolder, 'kept');
    expect(read?.bytes.equals(createRandomBody('before', 1000).bytes())).toBe(true);
    expect(read?.headers.get('x-amz-meta-seed')).toBe('before');
  });
});

describe('a start', () => {
  test('removes what is old wherever it came from, and leaves what may still be written elsewhere', async () => {
    const folder = path.join(bucketFolder, '%tmp');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'elsewhere-99999999-aa'), 'x');
    await writeFile(path.join(folder, 'elsewhere-99999999-bb'), 'x');
    const dayAndMore = (Date.now() - 25 * 3_600_000) / 1000;
    await utimes(path.join(folder, 'elsewhere-99999999-bb'), dayAndMore, dayAndMore);
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual(['elsewhere-99999999-aa']);
  });

  test("leaves what may still be written in a container that has this host's name", async () => {
    const folder = path.join(bucketFolder, '%tmp');
    await mkdir(folder, { recursive: true });
    const name = `${createHash('sha256').update(hostname()).digest('hex').slice(0, 8)}-99999999-aa`;
    await writeFile(path.join(folder, name), 'x');
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual([name]);
  });

  test('is not the last time: what grows old is removed later', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const storage = createFilesystemStorage({ root });
    await storage.checkReady('uploads', never);
    const file = path.join(bucketFolder, '%tmp', 'elsewhere-99999999-aa');
    await writeFile(file, 'x');
    vi.advanceTimersByTime(3_600_000);
    await sleep(50);
    expect(await temporaryFiles()).toHaveLength(1);
    const dayAndMore = (Date.now() - 25 * 3_600_000) / 1000;
    await utimes(file, dayAndMore, dayAndMore);
    vi.advanceTimersByTime(3_600_000);
    await waitFor(async () => (await temporaryFiles()).length === 0);
    await storage.close();
    vi.useRealTimers();
  });

  test('tells what it writes itself from what an earlier process of the same id has left', async () => {
    const storage = createFilesystemStorage({ root });
    const held = Promise.withResolvers<null>();
    const body = { length: 1, read: () => held.promise };
    const putting = storage.putObject({ bucket: 'uploads', key: 'x' }, new Map(), body, never);
    const failure = failureOf(putting);
    let own: string[] = [];
    while (own.length === 0) own = await temporaryFiles().catch(() => []);
    const [name = ''] = own;
    const earlier = name.replace(/[^-]+$/, 'aa');
    const folder = path.join(bucketFolder, '%tmp');
    await writeFile(path.join(folder, earlier), 'x');
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toHaveLength(2);
    const beforeProcess = Date.now() / 1000 - process.uptime() - 60;
    // Of its own, too: as when the clock was set back after the start.
    for (const file of [name, earlier]) await utimes(path.join(folder, file), beforeProcess, beforeProcess);
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual(own);
    held.resolve(null);
    expect(await failure).toMatchObject({ code: 'IncompleteBody' });
  });
});

describe('a lock on an object', () => {
  const put = (signal = never) =>
    createFilesystemStorage({ root }).putObject({ bucket: 'uploads', key: 'locked' }, new Map(), emptyBody, signal);
  const emptyBody = { length: 0, read: () => Promise.resolve(null) };
  /** The name is that of the file that is locked, so that processes meet. */
  const lockFile = () => {
    const name = createHash('sha256').update(path.join(bucketFolder, 'locked')).digest('hex');
    return path.join(bucketFolder, '%tmp', `lock-${name}`);
  };
  /** A process that lives and has written something, and what it calls itself. */
  async function startOwner() {
    const child = startChild({ root, keys: ['other'], seed: 'o', sizeBytes: 8 * mib, waitsAtHalf: true });
    await child.half;
    const [name = ''] = await temporaryFiles();
    return { name, kill: () => (child.process.kill('SIGKILL'), once(child.process, 'close')) };
  }

  test('is waited for while its owner lives, and not longer than the signal allows', async () => {
    const owner = await startOwner();
    await writeFile(lockFile(), owner.name);
    const stop = new AbortController();
    const reason = new Error('the client left');
    const failure = failureOf(put(stop.signal));
    const putting = put();
    await sleep(100);
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
    stop.abort(reason);
    expect(await failure).toBe(reason);
    await rm(lockFile());
    await putting;
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual(['locked']);
    await owner.kill();
  });

  test('of a process that was killed is taken over, or removed at a start', async () => {
    const owner = await startOwner();
    await owner.kill();
    await writeFile(lockFile(), owner.name);
    await put();
    await writeFile(lockFile(), owner.name);
    await createFilesystemStorage({ root }).checkReady('uploads', never);
    expect(await temporaryFiles()).toEqual([]);
  });

  test('that nobody can have held for so long is taken over', async () => {
    const owner = await startOwner();
    await writeFile(lockFile(), owner.name);
    const longAgo = Date.now() / 1000 - 61;
    await utimes(lockFile(), longAgo, longAgo);
    await put();
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual(['locked']);
    await owner.kill();
  });
});

describe('a disk that takes no more', () => {
  test('is told as InsufficientStorage, and nothing is left', async () => {
    // In blocks of 1,024 bytes (bash(1), ulimit): the kernel takes the last write but for its last 100 bytes.
    const child = startChild({ root, keys: ['one', 'two'], seed: 'f', sizeBytes: 1_024_100 }, 'ulimit -f 1000');
    expect(await child.outcomes).toEqual(Array(2).fill('InsufficientStorage EFBIG'));
    expect(await temporaryFiles()).toEqual([]);
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
  });

  test('leaves no lock behind that nobody holds', async () => {
    const child = startChild({ root, keys: ['empty'], seed: 'e', sizeBytes: 0 }, 'ulimit -f 0');
    expect(await child.outcomes).toEqual(['InsufficientStorage EFBIG']);
    expect(await temporaryFiles()).toEqual([]);
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
  });
});

describe('a folder that may not be written', () => {
  test('is told as InternalError with its cause, and nothing is left', async () => {
    // Somebody who is not root, also when the tests are run by root, for whom permissions do not count.
    const userId = process.getuid?.() === 0 ? 65_534 : undefined;
    const foldersOfUser = [root, bucketFolder, path.join(bucketFolder, '%tmp'), path.join(bucketFolder, 'locked+')];
    for (const folder of foldersOfUser) {
      await mkdir(folder, { recursive: true });
      if (userId !== undefined) await chown(folder, userId, userId);
    }
    await chmod(path.join(bucketFolder, 'locked+'), 0o555);
    const task = { root, keys: ['locked/object', 'locked/below/object', 'open'], seed: 'p', sizeBytes: 1000 };
    const child = startChild({ ...task, ...(userId === undefined ? {} : { userId }) });
    const [locked, below, open] = await child.outcomes;
    expect([locked, below]).toEqual(Array(2).fill('InternalError EACCES'));
    expect(open).toMatch(/^"[0-9a-f]{32}"$/);
    expect(await temporaryFiles()).toEqual([]);
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual(['open']);
  });
});

describe('two processes on one root', () => {
  const keys = Array.from({ length: 150 }, (_, i) => `contended/${i}`);
  test('create each object once when both ask that it be new', { timeout: 60_000 }, async () => {
    const headers = { 'if-none-match': '*' };
    const children = ['a', 'b'].map((seed) => startChild({ root, keys, seed, sizeBytes: 5000, headers }));
    const [a = [], b = []] = await Promise.all(children.map(({ outcomes }) => outcomes));
    const outcomes = keys.map((_, i) => [a[i]?.split(' ')[0] ?? '', b[i]?.split(' ')[0] ?? ''].toSorted());
    expect(outcomes).toEqual(keys.map(() => [expect.stringMatching(/^"[0-9a-f]{32}"$/), 'PreconditionFailed']));
    for (const key of keys) {
      const read = await readObject(bucketFolder, key);
      const seed = read?.headers.get('x-amz-meta-seed') ?? 'no metadata';
      expect(read?.bytes.equals(createRandomBody(seed, 5000).bytes())).toBe(true);
    }
    expect(await temporaryFiles()).toEqual([]);
  });
});
