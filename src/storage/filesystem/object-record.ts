// What is known of an object beside its bytes: a JSON file next to it, which says of which version of the bytes it speaks.
//
// The record is put in place before the bytes, and speaks of those that were there before too: at every moment, also
// after a crash between the two, the bytes that can be seen have their own record. One that fits neither is stale
// (somebody edited the file) and counts for nothing.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileVersion } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';

export interface ObjectRecord {
  readonly key: string;
  /** Quotes included. */
  readonly etag: string;
  readonly size: number;
  /** Decimal, as JSON's numbers cannot hold it. */
  readonly mtimeNs: string;
  readonly ino: string;
  readonly lastModified: string;
  /** `content-type`, `x-amz-meta-…` and the like. */
  readonly headers: Readonly<Record<string, string>>;
  /** Base64 by algorithm. */
  readonly checksums: Readonly<Record<string, string>>;
  /** The multipart upload that made it. */
  readonly uploadId?: string;
}

/** The file: the record of the newest bytes, and of those that they take the place of. */
export interface RecordFile extends ObjectRecord {
  readonly previous?: ObjectRecord;
}

/** The record that speaks of this version of the bytes, if there is one. */
export async function readRecord(recordPath: string, version: FileVersion): Promise<ObjectRecord | undefined> {
  const file = await readRecordFile(recordPath);
  if (file === undefined) return undefined;
  const { previous, ...newest } = file;
  const records = previous === undefined ? [newest] : [newest, previous];
  const fitting = records.filter(({ size, mtimeNs }) => size === version.size && mtimeNs === String(version.mtimeNs));
  // Two versions of one size can be of one tick of the clock. A restored backup has other inodes altogether.
  return fitting.find(({ ino }) => ino === String(version.ino)) ?? fitting[0];
}

async function readRecordFile(recordPath: string): Promise<RecordFile | undefined> {
  let text: string;
  try {
    // A record that is a link could show the content of any file as metadata.
    const handle = await open(recordPath, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ELOOP')) return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return undefined;
    const { previous, ...newest } = value;
    return isRecord(previous) ? { ...newest, previous } : newest;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is ObjectRecord & { previous?: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  const { key, etag, size, mtimeNs, ino, headers, checksums }: Partial<Record<string, unknown>> = { ...value };
  return (
    [key, etag, mtimeNs, ino].every((field) => typeof field === 'string') &&
    typeof size === 'number' &&
    [headers, checksums].every((field) => typeof field === 'object' && field !== null)
  );
}
