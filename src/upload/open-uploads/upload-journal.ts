// Remembers on disk which multipart uploads are open, so that those of a process that was killed can be aborted later:
// one small file for each, in a folder of this process's own.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UploadAddress } from '../../storage/storage.ts';
import { isAbandoned, lockFolder } from './process-lock.ts';

/** An upload, and the name of the configured bucket whose storage knows it. */
export interface JournalEntry extends UploadAddress {
  readonly bucketName: string;
}

export interface FoundEntry {
  readonly entry: JournalEntry;
  /** Forgets the entry. @returns false when another process has done so already: all sweep the same folders. */
  readonly remove: () => Promise<boolean>;
}

export interface UploadJournal {
  /** @returns forgets the entry. */
  add(entry: JournalEntry): Promise<() => Promise<void>>;
  /** Entries left behind by processes that are no more. Folders with nothing in them are removed on the way. */
  findAbandoned(): Promise<FoundEntry[]>;
  /** What is left may be found from now on, even while the process lives. */
  close(): Promise<void>;
}

/** @throws Error when the folder cannot be made or written: without it, a crash would leave uploads that nobody finds. */
export async function openJournal(stateDir: string): Promise<UploadJournal> {
  const root = join(stateDir, 'open-uploads');
  const own = join(root, randomUUID());
  await mkdir(own, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(own);

  return {
    async add(entry) {
      const path = join(own, `${randomUUID()}.json`);
      // Written beside and renamed: a reader never sees half of it.
      await writeFile(`${path}.tmp`, JSON.stringify(entry), { mode: 0o600 });
      await rename(`${path}.tmp`, path);
      return () => rm(path, { force: true });
    },
    async findAbandoned() {
      const found: FoundEntry[] = [];
      for (const name of await readdir(root)) {
        const folder = join(root, name);
        if (folder !== own && (await isAbandoned(folder))) found.push(...(await readEntries(folder)));
      }
      return found;
    },
    async close() {
      lock.stop();
      const left = await listEntries(own);
      if (left?.length === 0) await rm(own, { recursive: true, force: true });
      else await lock.release();
    },
  };
}

const isEntry = (name: string) => name.endsWith('.json') && name !== 'process.json';

/** @returns undefined when that cannot be told now: then the folder must stay. One that is gone has none. */
async function listEntries(folder: string): Promise<string[] | undefined> {
  try {
    return (await readdir(folder)).filter(isEntry);
  } catch (error) {
    return isMissing(error) ? [] : undefined;
  }
}

async function readEntries(folder: string): Promise<FoundEntry[]> {
  const found: FoundEntry[] = [];
  const names = await listEntries(folder);
  if (names?.length === 0) await rm(folder, { recursive: true, force: true });
  for (const name of names ?? []) {
    const path = join(folder, name);
    const entry = parseEntry(await readFile(path, 'utf8').catch(() => ''));
    if (entry === undefined) continue;
    found.push({
      entry,
      remove: async () => {
        if (!(await removeFile(path))) return false;
        if ((await listEntries(folder))?.length === 0) await rm(folder, { recursive: true, force: true });
        return true;
      },
    });
  }
  return found;
}

/** @returns whether it was there: of several that remove it at the same time, one is told so. */
async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';

function parseEntry(text: string): JournalEntry | undefined {
  try {
    const { bucketName, bucket, key, uploadId } = JSON.parse(text) as Record<keyof JournalEntry, unknown>;
    if (typeof bucketName !== 'string' || typeof bucket !== 'string') return undefined;
    if (typeof key !== 'string' || typeof uploadId !== 'string') return undefined;
    return { bucketName, bucket, key, uploadId };
  } catch {
    return undefined;
  }
}
