// Lets one at a time put something in an object's place: among the calls of this process, and among the processes that
// share the root. It is held for the few steps of a commit, never while a body comes.
import { createHash } from 'node:crypto';
import { lstat, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectPlace } from './bucket-folder.ts';
import { ensureFolder } from './folders.ts';
import type { KeyedLock } from './keyed-lock.ts';
import { isLeftBehind, temporaryName } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';

/** No commit takes so long: whoever holds a lock for longer is gone, wherever it ran. */
const maxHeldMs = 60_000;
const retryMs = 5;
export const lockPrefix = 'lock-';

export type ObjectLock = <T>(place: ObjectPlace, signal: AbortSignal, run: () => Promise<T>) => Promise<T>;

/** @param oneAtATime so that the calls of one process queue in memory, and only processes meet at the file. */
export function createObjectLock(oneAtATime: KeyedLock): ObjectLock {
  return (place, signal, run) =>
    oneAtATime(place.file, async () => {
      const lockFile = await takeLockFile(place, signal);
      try {
        return await run();
      } finally {
        await rm(lockFile, { force: true });
      }
    });
}

/** @returns the lock's file, to be removed in the end. @throws the signal's reason when it is aborted first. */
async function takeLockFile({ file, temporaryFolder }: ObjectPlace, signal: AbortSignal): Promise<string> {
  await ensureFolder(temporaryFolder);
  const lockFile = path.join(temporaryFolder, `${lockPrefix}${createHash('sha256').update(file).digest('hex')}`);
  for (;;) {
    signal.throwIfAborted();
    if (await createLockFile(lockFile)) return lockFile;
    if (!(await removeLockIfLeft(lockFile))) await sleep(retryMs);
  }
}

/** @returns false when somebody else holds the lock. */
async function createLockFile(lockFile: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(lockFile, 'wx');
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
  try {
    await writeAndClose(handle, temporaryName());
    return true;
  } catch (error) {
    // The disk is full: of a lock without a name nobody could tell whose it is.
    await rm(lockFile, { force: true });
    throw error;
  }
}

async function writeAndClose(handle: FileHandle, text: string): Promise<void> {
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
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
