// A bucket of the filesystem storage, and ways to look into it from beside.
import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeKey } from '../../../src/storage/filesystem/encode-key.ts';
import { createFilesystemStorage } from '../../../src/storage/filesystem/filesystem-storage.ts';
import { readRecord } from '../../../src/storage/filesystem/object-record.ts';
import type { ReadObject, StorageUnderTest } from './storage-under-test.ts';

const bucket = 'uploads';

export async function makeFilesystemStorage(): Promise<StorageUnderTest & { readonly root: string }> {
  const root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
  const storage = createFilesystemStorage({ root });
  return {
    root,
    storage,
    bucket,
    readBack: ({ key }) => readObject(path.join(root, bucket), key),
    listOpenUploads: () => namesIn(path.join(root, bucket, '%uploads')),
    listLeftovers: () => namesIn(path.join(root, bucket, '%tmp')),
    async close() {
      await storage.close();
      await rm(root, { recursive: true });
    },
  };
}

/** Reads the object from its file, and what its record says if it fits. */
export async function readObject(bucketFolder: string, key: string): Promise<ReadObject | undefined> {
  const file = path.join(bucketFolder, ...encodeKey(key));
  const stats = await lstat(file, { bigint: true }).catch(absent);
  if (stats === undefined) return undefined;
  const record = await readRecord(`${file}%meta`, { size: Number(stats.size), mtimeNs: stats.mtimeNs, ino: stats.ino });
  return {
    bytes: await readFile(file),
    etag: record?.etag ?? '',
    headers: new Map(Object.entries(record?.headers ?? {})),
  };
}

/** Every object's file by its key, told from the paths alone. */
export async function listObjects(bucketFolder: string): Promise<Map<string, string>> {
  const objects = new Map<string, string>();
  for (const entry of await readdir(bucketFolder, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const names = path.relative(bucketFolder, file).split(path.sep);
    if (!entry.isFile() || entry.name.endsWith('%meta') || names[0] === '%tmp' || names[0] === '%uploads') continue;
    const key = decodePath(names);
    if (objects.has(key)) throw new Error(`two files for the key ${key}`);
    objects.set(key, file);
  }
  return objects;
}

/** The key of an object's folders and file. */
export function decodePath(names: readonly string[]): string {
  const text = names
    .map((name, i) => {
      if (i === names.length - 1) return name;
      if (name.endsWith('%~')) return name.slice(0, -2);
      if (name.endsWith('+')) return `${name.slice(0, -1)}/`;
      throw new Error(`a folder of no key: ${name}`);
    })
    .join('');
  return text.split('/').map(decodeSegment).join('/');
}

function decodeSegment(text: string): string {
  if (text === '%') return '';
  return text.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(absent)) ?? [];
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
