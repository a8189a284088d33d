// Makes written bytes the object: the one step after which it can be seen, and the conditions that can forbid it.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, unlink, type FileHandle } from 'node:fs/promises';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import type { ObjectPlace } from './bucket-folder.ts';
import { ensureFolder, hasFolder } from './folders.ts';
import { readRecord, type ObjectRecord, type RecordFile } from './object-record.ts';
import type { WriteConditions } from './screen-headers.ts';
import { TemporaryFile, type FileVersion } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';
import { removeCompletedUpload } from './upload-folder.ts';

/** The object as it is now. */
export interface CurrentObject {
  readonly version: FileVersion;
  /** Absent when the file came here by other ways, or was changed since. */
  readonly record: ObjectRecord | undefined;
}

export interface CommitOptions {
  readonly place: ObjectPlace;
  readonly conditions: WriteConditions;
  /** The bytes, sealed. */
  readonly data: TemporaryFile;
  readonly version: FileVersion;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly checksums: readonly (readonly [algorithm: string, base64: string])[];
  readonly uploadId?: string;
}

/** @throws S3Error InternalError when what is there is not a file: it is not this storage's to replace. */
export async function findObject(place: ObjectPlace): Promise<CurrentObject | undefined> {
  if (!(await hasFolder(place.folder))) return undefined;
  const version = await versionOf(place.file);
  return version && { version, record: await readRecord(place.recordFile, version) };
}

/** @throws S3Error PreconditionFailed, or NoSuchKey where If-Match finds nothing (API reference of PutObject, If-Match). */
export async function checkConditions(place: ObjectPlace, conditions: WriteConditions): Promise<void> {
  if (!conditions.mustBeNew && conditions.etag === undefined) return;
  await checkAgainst(await findObject(place), place, conditions);
}

/**
 * Called while the object's lock is held. The data is the caller's to discard.
 * @throws S3Error PreconditionFailed, NoSuchKey, InvalidRequest; NoSuchUpload when the upload has made the object that is
 * there; else the file system's error, which after the step that shows the object is an S3Error that is not retryable.
 */
export async function commitObject(options: CommitOptions): Promise<void> {
  const { place, conditions } = options;
  await ensureFolder(place.folder);
  const current = await findObject(place);
  await checkAgainst(current, place, conditions);
  if (current?.record !== undefined && current.record.key !== place.key) {
    // On a file system that takes `A` for `a`, or one form of `é` for the other, this would destroy somebody's object.
    throw new S3Error('InvalidRequest', { detail: 'This bucket cannot tell the key from that of another object.' });
  }
  await endUploadOf(current?.record, options);
  // Opened now: were no handle to be had once the object can be seen, the next attempt would meet its own object.
  const folder = await open(place.folder, 'r');
  try {
    await putRecord(options, current?.record);
    await putData(options, current);
    await syncShown(folder);
  } finally {
    await folder.close().catch(() => undefined);
  }
}

/**
 * The upload that made the object may still be there, if whoever completed it was killed. Were its object replaced now,
 * completing it once more would bring the old bytes back.
 */
async function endUploadOf(current: ObjectRecord | undefined, { place, uploadId }: CommitOptions): Promise<void> {
  if (current?.uploadId === undefined) return;
  await removeCompletedUpload(place, current.uploadId);
  if (current.uploadId === uploadId) throw new S3Error('NoSuchUpload');
}

async function putRecord(options: CommitOptions, previous: ObjectRecord | undefined): Promise<void> {
  const { place } = options;
  const file = await TemporaryFile.create(place.temporaryFolder);
  try {
    await file.handle.writeFile(JSON.stringify(withPrevious(recordOf(options), previous), undefined, 2));
    await file.seal();
    await file.replace(place.recordFile);
  } finally {
    await file.discard();
  }
}

/** The step that shows the object. */
async function putData({ place, conditions, data }: CommitOptions, current: CurrentObject | undefined): Promise<void> {
  try {
    if (!conditions.mustBeNew) await data.replace(place.file);
    else if (!(await data.claim(place.file))) throw new S3Error('PreconditionFailed');
  } catch (error) {
    // The record speaks of the old bytes too; where there are none, it speaks of nothing.
    if (current === undefined && (await versionOf(place.file)) === undefined) await unlink(place.recordFile);
    throw error;
  }
}

async function syncShown(folder: FileHandle): Promise<void> {
  try {
    await folder.sync();
  } catch (cause) {
    throw new S3Error('InternalError', { cause });
  }
}

function recordOf({ place, version, etag, headers, checksums, uploadId }: CommitOptions): ObjectRecord {
  return {
    key: place.key,
    etag,
    size: version.size,
    mtimeNs: String(version.mtimeNs),
    ino: String(version.ino),
    lastModified: new Date(Number(version.mtimeNs / 1_000_000n)).toISOString(),
    headers,
    checksums: Object.fromEntries(checksums),
    ...(uploadId === undefined ? {} : { uploadId }),
  };
}

function withPrevious(record: ObjectRecord, previous: ObjectRecord | undefined): RecordFile {
  return previous === undefined ? record : { ...record, previous };
}

async function checkAgainst(
  current: CurrentObject | undefined,
  place: ObjectPlace,
  { mustBeNew, etag }: WriteConditions,
): Promise<void> {
  if (mustBeNew && current !== undefined) throw new S3Error('PreconditionFailed');
  if (etag === undefined) return;
  if (current === undefined) throw new S3Error('NoSuchKey');
  if (etag === '*') return;
  const found = current.record?.etag ?? (await hashFile(place.file));
  if (unquote(found) !== unquote(etag)) throw new S3Error('PreconditionFailed');
}

/** Clients send ETags with quotes and without. */
export function unquote(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}

/** The ETag of a file that has no record. */
async function hashFile(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  const md5 = createHash('md5');
  for await (const bytes of handle.createReadStream()) md5.update(bytes);
  return `"${md5.digest('hex')}"`;
}

async function versionOf(file: string): Promise<FileVersion | undefined> {
  try {
    const stats = await lstat(file, { bigint: true });
    if (!stats.isFile()) throw new S3Error('InternalError', { cause: new Fault('not a file', { detail: file }) });
    return { size: Number(stats.size), mtimeNs: stats.mtimeNs, ino: stats.ino };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
