// Folders under the root: made when they are needed, and never reached through a link.
import { mkdir, open, realpath } from 'node:fs/promises';
import path from 'node:path';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import { isErrno } from './to-s3-error.ts';

/**
 * Whether the folder is there.
 * @param folder absolute, without `.`, `..` or links in what its creator chose.
 * @throws S3Error InternalError when a link lies on the way to it: whoever can make one must not be able to send objects elsewhere.
 */
export async function hasFolder(folder: string): Promise<boolean> {
  let real: string;
  try {
    real = await realpath(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
  if (real !== folder)
    throw new S3Error('InternalError', {
      cause: new Fault('a link leads elsewhere', { detail: `from ${folder} to ${real}` }),
    });
  return true;
}

/** Makes the folder and those above it, down from one that is there. They are on the disk when this resolves. */
export async function ensureFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await hasFolder(at)); at = path.dirname(at)) missing.push(at);
  missing.reverse();
  for (const made of missing) await makeFolder(made);
  // Only now: a journal that is written once for all of them is written in one go.
  for (const made of missing) await syncFolder(path.dirname(made));
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    // Somebody else has made it meanwhile. If it is a link that leads nowhere, nothing can be made in it either.
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}

/** Puts the names in a folder on the disk: a file's own fsync does not (fsync(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
