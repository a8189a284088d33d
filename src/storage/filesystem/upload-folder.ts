// One open multipart upload on the disk: what it was opened with, and its parts. It outlives the process.
//
//   %uploads/<uploadId>/upload.json            key and header fields
//                       00001.json             ETag and size of part 1, and the name of the file with its bytes
//                       00001-<random>.part    the bytes; sent again, a part gets another file, and the JSON is replaced in one step
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import type { ChecksumAlgorithm, ObjectHeaders } from '../storage.ts';
import type { ObjectPlace } from './bucket-folder.ts';
import { ensureFolder, hasFolder, syncFolder } from './folders.ts';
import { returnTemporaryName, takeTemporaryName, TemporaryFile, temporaryName } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';

export interface PartRecord {
  readonly partNumber: number;
  /** Quotes included. */
  readonly etag: string;
  readonly size: number;
  /** Name of the file with the bytes, in the upload's folder. */
  readonly file: string;
  readonly lastModified: string;
  readonly checksums: readonly (readonly [algorithm: ChecksumAlgorithm, base64: string])[];
}

export interface UploadFolder {
  readonly path: string;
  /** As they were given when the upload was opened. */
  readonly headers: ObjectHeaders;
}

const uploadFile = 'upload.json';
/** An id comes from the client and goes into a path: nothing else ever reaches it. */
const uploadIdForm = /^[0-9a-f]{32}$/;
const partFileForm = /^\d{5}-[0-9a-f]{16}\.part$/;
const partRecordForm = /^\d{5}\.json$/;

/** @returns the new upload's id. */
export async function createUploadFolder(place: ObjectPlace, headers: ObjectHeaders): Promise<string> {
  await ensureFolder(place.uploadsFolder);
  await ensureFolder(place.temporaryFolder);
  const uploadId = randomBytes(16).toString('hex');
  const name = takeTemporaryName();
  const folder = path.join(place.temporaryFolder, name);
  try {
    await mkdir(folder);
    await writeJson(place, path.join(folder, uploadFile), { key: place.key, headers: Object.fromEntries(headers) });
    await syncFolder(folder);
    await rename(folder, folderOf(place, uploadId));
  } catch (error) {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    returnTemporaryName(name);
  }
  await syncFolder(place.uploadsFolder);
  return uploadId;
}

/** @throws S3Error NoSuchUpload, also when the upload is of another key. */
export async function openUploadFolder(place: ObjectPlace, uploadId: string): Promise<UploadFolder> {
  if (!uploadIdForm.test(uploadId)) throw new S3Error('NoSuchUpload');
  const folder = folderOf(place, uploadId);
  if (!(await hasFolder(folder))) throw new S3Error('NoSuchUpload');
  const upload = await orGone(readJson(path.join(folder, uploadFile)));
  if (!isUploadRecord(upload))
    throw new S3Error('InternalError', { cause: new Fault('not an upload', { detail: folder }) });
  if (upload.key !== place.key) throw new S3Error('NoSuchUpload');
  return { path: folder, headers: new Map(Object.entries(upload.headers)) };
}

/**
 * Removes the upload: in one step for everybody who asks, then its bytes. What of them cannot be removed is found by a later
 * sweep.
 * @throws S3Error NoSuchUpload when it has been removed meanwhile.
 */
export async function removeUploadFolder(place: ObjectPlace, upload: Pick<UploadFolder, 'path'>): Promise<void> {
  await ensureFolder(place.temporaryFolder);
  const removed = path.join(place.temporaryFolder, temporaryName());
  await orGone(rename(upload.path, removed));
  await syncFolder(place.uploadsFolder);
  await rm(removed, { recursive: true, force: true }).catch(() => undefined);
}

/** Removes the folder of an upload that made an object, if whoever completed it did not come to that. */
export async function removeCompletedUpload(place: ObjectPlace, uploadId: string): Promise<void> {
  if (!uploadIdForm.test(uploadId)) return;
  const folder = folderOf(place, uploadId);
  if (!(await hasFolder(folder))) return;
  try {
    await removeUploadFolder(place, { path: folder });
  } catch (error) {
    // By somebody else just now.
    if (!(error instanceof S3Error && error.code === 'NoSuchUpload')) throw error;
  }
}

/** @param uploadId of the form. */
function folderOf(place: ObjectPlace, uploadId: string): string {
  return path.join(place.uploadsFolder, uploadId);
}

/** Puts a part in place of what had its number before. Called by one at a time for each part of this process. */
export async function putPart(
  place: ObjectPlace,
  upload: UploadFolder,
  data: TemporaryFile,
  part: Omit<PartRecord, 'file'>,
): Promise<void> {
  const before = await readPart(upload, part.partNumber);
  const number = partDigits(part.partNumber);
  const file = `${number}-${randomBytes(8).toString('hex')}.part`;
  await orGone(data.replace(path.join(upload.path, file)));
  try {
    await writeJson(place, path.join(upload.path, `${number}.json`), { ...part, file });
  } catch (error) {
    await unlink(path.join(upload.path, file)).catch(() => undefined);
    throw error;
  }
  await orGone(syncFolder(upload.path));
  // Nothing names the old bytes any more; if they stay, they go with the upload.
  if (before !== undefined) await unlink(path.join(upload.path, before.file)).catch(() => undefined);
}

/** @returns undefined when no part has this number. */
export async function readPart(upload: UploadFolder, partNumber: number): Promise<PartRecord | undefined> {
  try {
    const part = await readJson(path.join(upload.path, `${partDigits(partNumber)}.json`));
    if (!isPartRecord(part))
      throw new S3Error('InternalError', { cause: new Fault(`not a part: ${partNumber}`, { detail: upload.path }) });
    return part;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Numbers of the parts that are here, in order. */
export async function listPartNumbers(upload: UploadFolder): Promise<number[]> {
  const names = await orGone(readdir(upload.path));
  return names
    .filter((name) => partRecordForm.test(name))
    .map((name) => Number.parseInt(name, 10))
    .toSorted((a, b) => a - b);
}

/** Runs something that needs the upload's folder. @throws S3Error NoSuchUpload when it has been removed meanwhile. */
async function orGone<T>(run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    throw isErrno(error, 'ENOENT') ? new S3Error('NoSuchUpload', { cause: error }) : error;
  }
}

function partDigits(partNumber: number): string {
  return String(partNumber).padStart(5, '0');
}

async function writeJson(place: ObjectPlace, target: string, value: object): Promise<void> {
  const file = await TemporaryFile.create(place.temporaryFolder);
  try {
    await file.handle.writeFile(JSON.stringify(value, undefined, 2));
    await file.seal();
    await orGone(file.replace(target));
  } finally {
    await file.discard();
  }
}

async function readJson(file: string): Promise<object> {
  // Only this storage writes here, and a link is none of its files.
  if (!(await lstat(file)).isFile())
    throw new S3Error('InternalError', { cause: new Fault('not a file', { detail: file }) });
  const value: unknown = JSON.parse(await readFile(file, 'utf8'));
  return typeof value === 'object' && value !== null ? value : {};
}

function isUploadRecord(value: object): value is { key: string; headers: Record<string, string> } {
  const { key, headers }: Partial<Record<string, unknown>> = { ...value };
  return typeof key === 'string' && typeof headers === 'object' && headers !== null;
}

function isPartRecord(value: object): value is PartRecord {
  const { partNumber, etag, size, file, lastModified, checksums }: Partial<Record<string, unknown>> = { ...value };
  return (
    typeof partNumber === 'number' &&
    typeof etag === 'string' &&
    typeof size === 'number' &&
    typeof file === 'string' &&
    partFileForm.test(file) &&
    typeof lastModified === 'string' &&
    Array.isArray(checksums)
  );
}
