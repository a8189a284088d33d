// Removes what processes that are gone have left in a bucket's `%tmp`: files they wrote, and locks they held.
import { lstat, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasFolder } from './folders.ts';
import { lockPrefix, removeLockIfLeft } from './object-lock.ts';
import { isLeftBehind } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';

/** Whoever left a file alone for so long is not coming back for it, wherever it runs. */
const maxAgeMs = 24 * 60 * 60 * 1000;

/** @param folder a bucket's `%tmp`. */
export async function sweepTemporaryFolder(folder: string): Promise<void> {
  if (!(await hasFolder(folder))) return;
  for (const name of await readdir(folder)) {
    const leftover = path.join(folder, name);
    if (name.startsWith(lockPrefix)) await removeLockIfLeft(leftover);
    else if (await isLeft(leftover)) await rm(leftover, { recursive: true, force: true });
  }
}

async function isLeft(leftover: string): Promise<boolean> {
  try {
    const { mtimeMs } = await lstat(leftover);
    return isLeftBehind(path.basename(leftover), mtimeMs, maxAgeMs);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
