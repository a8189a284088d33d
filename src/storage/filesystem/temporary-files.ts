// Files that are written before anybody may see them. They lie in the bucket's own `%tmp`, as a rename only reaches within
// one file system, and their names say whose they are, so that those of processes that died can be told and removed.
import { createHash, randomBytes } from 'node:crypto';
import { link, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { idSpace, isAlive } from '../../process-identity.ts';
import { ensureFolder } from './folders.ts';
import { isErrno } from './to-s3-error.ts';

const hostTag = createHash('sha256').update(idSpace).digest('hex').slice(0, 8);
const processStartMs = Date.now() - process.uptime() * 1000;
/** Names of this process that are in use. A clock that was set back makes them look older than the process. */
const inUse = new Set<string>();

/** What identifies one version of a file: rename keeps all of it. */
export interface FileVersion {
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/**
 * A file that is open for writing, then sealed, then moved to its place. `discard` is called in the end whatever happened,
 * and removes what has not been moved.
 */
export class TemporaryFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #isOpen = true;
  #isMoved = false;

  private constructor(filePath: string, handle: FileHandle) {
    this.#path = filePath;
    this.#handle = handle;
  }

  /** @param folder the bucket's `%tmp`. */
  static async create(folder: string): Promise<TemporaryFile> {
    await ensureFolder(folder);
    const name = takeTemporaryName();
    const filePath = path.join(folder, name);
    try {
      // Exclusive creation also follows no link (open(2), O_EXCL).
      return new TemporaryFile(filePath, await open(filePath, 'wx'));
    } catch (error) {
      returnTemporaryName(name);
      throw error;
    }
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  /** Puts the bytes on the disk and ends writing. */
  async seal(): Promise<FileVersion> {
    await this.#handle.sync();
    const { size, mtimeNs, ino } = await this.#handle.stat({ bigint: true });
    this.#isOpen = false;
    await this.#handle.close();
    return { size: Number(size), mtimeNs, ino };
  }

  /** Takes the place of whatever is there, in one step. */
  async replace(target: string): Promise<void> {
    await rename(this.#path, target);
    this.#isMoved = true;
  }

  /** Takes the place if nothing is there, in one step. @returns whether it did. */
  async claim(target: string): Promise<boolean> {
    try {
      await link(this.#path, target);
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw error;
    }
  }

  async discard(): Promise<void> {
    try {
      if (this.#isOpen) await this.#handle.close();
    } finally {
      // What cannot be removed now is found by the next start; the caller's own failure is the one to be told.
      if (!this.#isMoved) await unlink(this.#path).catch(() => undefined);
      returnTemporaryName(path.basename(this.#path));
    }
  }
}

/** A name that nobody else uses, for a file or folder in `%tmp`. */
export function temporaryName(): string {
  return `${hostTag}-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** A temporary name that is not left behind before it is returned. */
export function takeTemporaryName(): string {
  const name = temporaryName();
  inUse.add(name);
  return name;
}

export function returnTemporaryName(name: string): void {
  inUse.delete(name);
}

/** Whether a process is gone that was given this temporary name and last wrote at this time. */
export function isLeftBehind(name: string, mtimeMs: number, maxMs: number): boolean {
  if (inUse.has(name)) return false;
  if (Date.now() - mtimeMs > maxMs) return true;
  const [host, pid] = name.split('-');
  if (host !== hostTag) return false;
  // In a container every start may get the same id: what was last written before this process began is not its own.
  if (Number(pid) === process.pid) return mtimeMs < processStartMs;
  return !isAlive(Number(pid));
}
