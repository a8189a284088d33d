// Lets one at a time put something in an object's place: among the calls of this process, and among the processes that
// share the root. It is held for the few steps of a commit, never while a body comes.
import { createHash } from 'node:crypto';
import { lstat, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectPlace } from './bucket-folder.ts';
import { ensureFolder } from './folders.ts';
import type { KeyedLock } from './keyed-lock.ts';
import { isLeftBehind, returnTemporaryName, takeTemporaryName, temporaryName } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';

/** Whoever holds a lock refreshes it sooner: it is gone, wherever it ran, or stands still. */
const maxHeldMs = 60_000;
const refreshMs = 15_000;
const retryMs = 5;
export const lockPrefix = 'lock-';

export type ObjectLock = <T>(place: ObjectPlace, signal: AbortSignal, run: () => Promise<T>) => Promise<T>;

interface HeldLock {
  readonly path: string;
  /** What stands in the file: nobody else's, and only of this taking. */
  readonly owner: string;
  /** Open while the lock is held, so that no other file gets its inode. */
  readonly file: FileHandle;
}

/** @param oneAtATime so that the calls of one process queue in memory, and only processes meet at the file. */
export function createObjectLock(oneAtATime: KeyedLock): ObjectLock {
  return (place, signal, run) =>
    oneAtATime(place.file, async () => {
      const lock = await takeLock(place, signal);
      const refreshing = setInterval(() => void refresh(lock), refreshMs).unref();
      try {
        return await run();
      } finally {
        clearInterval(refreshing);
        await releaseLock(lock);
      }
    });
}

/** @returns the lock, to be released in the end. @throws the signal's reason when it is aborted first. */
async function takeLock({ file: object, temporaryFolder }: ObjectPlace, signal: AbortSignal): Promise<HeldLock> {
  await ensureFolder(temporaryFolder);
  const lockFile = path.join(temporaryFolder, `${lockPrefix}${createHash('sha256').update(object).digest('hex')}`);
  const owner = takeTemporaryName();
  try {
    for (;;) {
      signal.throwIfAborted();
      const file = await createLockFile(lockFile, owner);
      if (file !== undefined) return { path: lockFile, owner, file };
      if (!(await removeLockIfLeft(lockFile))) await sleep(retryMs);
    }
  } catch (error) {
    returnTemporaryName(owner);
    throw error;
  }
}

/** @returns undefined when somebody else holds the lock. */
async function createLockFile(lockFile: string, owner: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(lockFile, 'wx');
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return undefined;
    throw error;
  }
  try {
    await file.writeFile(owner);
    return file;
  } catch (error) {
    // The disk is full: of a lock without a name nobody could tell whose it is.
    await rm(lockFile, { force: true });
    await file.close();
    throw error;
  }
}

/** By its handle: of a lock that was taken over, the path is another's. */
async function refresh({ file }: HeldLock): Promise<void> {
  const now = new Date();
  await file.utimes(now, now).catch(() => undefined);
}

/** Never rejects: what was done under the lock stands. A lock that cannot be removed is taken over when it is old. */
async function releaseLock({ path: lockFile, owner, file }: HeldLock): Promise<void> {
  try {
    // Taken over while this process stood still, it is the next one's to remove.
    if (await isSameFile(file, lockFile)) await rm(lockFile, { force: true });
  } catch {
    // Left to be taken over.
  }
  await file.close().catch(() => undefined);
  returnTemporaryName(owner);
}

async function isSameFile(file: FileHandle, filePath: string): Promise<boolean> {
  const [ours, found] = await Promise.all([file.stat({ bigint: true }), lstat(filePath, { bigint: true })]);
  return ours.ino === found.ino && ours.dev === found.dev;
}

/** Removes the lock of somebody who is gone. @returns whether it may be there no more. */
export async function removeLockIfLeft(lockFile: string): Promise<boolean> {
  try {
    const owner = await readFile(lockFile, 'utf8');
    const { mtimeMs } = await lstat(lockFile);
    if (!isLeftBehind(owner, mtimeMs, maxHeldMs)) return false;
    // Taken aside first: of several that found it, one has it, and none removes the lock that comes next unseen.
    const aside = path.join(path.dirname(lockFile), temporaryName());
    await rename(lockFile, aside);
    const isTheOne = (await readFile(aside, 'utf8')) === owner;
    if (!isTheOne) await rename(aside, lockFile);
    else await rm(aside);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return true;
}
