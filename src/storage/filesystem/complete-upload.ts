// Makes one object of an upload's parts.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import type { CompletedPart, ObjectHeaders, StorageLimits, Stored } from '../storage.ts';
import type { ObjectPlace } from './bucket-folder.ts';
import { checkConditions, commitObject, findObject, unquote } from './commit-object.ts';
import type { ObjectLock } from './object-lock.ts';
import { outliveClient } from './outlive-client.ts';
import { screenHeaders, type ScreenedHeaders } from './screen-headers.ts';
import { TemporaryFile } from './temporary-files.ts';
import { isErrno } from './to-s3-error.ts';
import { openUploadFolder, readPart, removeUploadFolder, type PartRecord, type UploadFolder } from './upload-folder.ts';
import { writeAll } from './write-body.ts';

export interface CompleteUploadOptions {
  readonly place: ObjectPlace;
  readonly uploadId: string;
  readonly parts: readonly CompletedPart[];
  readonly headers: ObjectHeaders;
  readonly screened: ScreenedHeaders;
  readonly limits: StorageLimits;
  readonly signal: AbortSignal;
  /** Aborted when the storage is closed. */
  readonly closing: AbortSignal;
  readonly lockObject: ObjectLock;
}

const copyBytes = 1024 * 1024;

/** Called by one at a time for each upload of this process. */
export async function completeUpload(options: CompleteUploadOptions): Promise<Stored> {
  const { place, uploadId, parts, screened } = options;
  if (screened.checksums.length > 0) {
    // Nothing has verified it: the parts came one by one.
    throw new S3Error('NotImplemented', { detail: 'This bucket does not support checksums of the whole object here.' });
  }
  const etag = multipartEtag(parts);
  // By an earlier attempt whose answer was lost: then that is the answer.
  if (!(await isCompleted(options, etag))) {
    try {
      await makeObject(options, etag);
    } catch (error) {
      // By another process just now.
      if (!(await isCompleted(options, etag))) throw error;
    }
  }
  await removeLeftFolder(place, uploadId);
  return { etag, headers: new Map() };
}

async function makeObject(options: CompleteUploadOptions, etag: string): Promise<void> {
  const { place, uploadId, screened } = options;
  const upload = await openUploadFolder(place, uploadId);
  const records = await checkParts(options, upload);
  await checkConditions(place, screened.conditions);
  // A client that has left comes back, and no sooner gets an answer: joined anew each time, nothing would ever be done.
  await outliveClient(options, (signal) => joinAndCommit({ ...options, signal }, { upload, records, etag }));
}

interface Checked {
  readonly upload: UploadFolder;
  readonly records: readonly PartRecord[];
  readonly etag: string;
}

async function joinAndCommit(options: CompleteUploadOptions, { upload, records, etag }: Checked): Promise<void> {
  const { place, uploadId, screened, signal } = options;
  const data = await TemporaryFile.create(place.temporaryFolder);
  try {
    await joinParts(upload, records, data.handle, signal);
    const version = await data.seal();
    const { kept } = screenHeaders(upload.headers);
    const { conditions } = screened;
    await options.lockObject(place, signal, async () => {
      // Another process may have completed it and the object been replaced since, or it was aborted.
      await openUploadFolder(place, uploadId);
      await commitObject({ place, conditions, data, version, etag, headers: kept, checksums: [], uploadId });
    });
  } catch (error) {
    // A part was sent anew while this one copied, or the upload is gone with all of them.
    if (isErrno(error, 'ENOENT')) throw await missingPart(place, uploadId, error);
    throw error;
  } finally {
    await data.discard();
  }
}

async function missingPart(place: ObjectPlace, uploadId: string, cause: unknown): Promise<S3Error> {
  await openUploadFolder(place, uploadId);
  return new S3Error('InvalidPart', { cause });
}

/** The ETag of an object made of these parts: MD5 of their MD5s, and their count. */
function multipartEtag(parts: readonly CompletedPart[]): string {
  const md5 = createHash('md5');
  for (const { etag } of parts) md5.update(Buffer.from(unquote(etag), 'hex'));
  return `"${md5.digest('hex')}-${parts.length}"`;
}

/** Whether the object that is there was made by this upload of these parts. */
async function isCompleted({ place, uploadId }: CompleteUploadOptions, etag: string): Promise<boolean> {
  const record = (await findObject(place))?.record;
  return record?.uploadId === uploadId && record.etag === etag;
}

/**
 * The object is there: whatever happens now, that is the answer. A folder that stays is found by the next attempt or abort,
 * and by whoever puts something in the object's place.
 */
async function removeLeftFolder(place: ObjectPlace, uploadId: string): Promise<void> {
  await openUploadFolder(place, uploadId)
    .then((upload) => removeUploadFolder(place, upload))
    .catch(() => undefined);
}

/** @throws S3Error MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall, EntityTooLarge, InvalidRequest. */
async function checkParts(
  { parts, headers, limits }: CompleteUploadOptions,
  upload: UploadFolder,
): Promise<readonly PartRecord[]> {
  if (parts.length === 0) throw new S3Error('MalformedXML');
  if (parts.some(({ partNumber }, i) => partNumber <= (parts[i - 1]?.partNumber ?? 0)))
    throw new S3Error('InvalidPartOrder');
  const records: PartRecord[] = [];
  for (const part of parts) {
    const record = await readPart(upload, part.partNumber);
    if (record === undefined || !isSamePart(part, record)) throw new S3Error('InvalidPart');
    records.push(record);
  }
  if (records.slice(0, -1).some(({ size }) => size < limits.minPartBytes)) throw new S3Error('EntityTooSmall');
  const sizeBytes = records.reduce((sum, { size }) => sum + size, 0);
  if (sizeBytes > limits.maxObjectBytes) throw new S3Error('EntityTooLarge');
  const announced = headers.get('x-amz-mp-object-size');
  // API reference of CompleteMultipartUpload, x-amz-mp-object-size.
  if (announced !== undefined && announced !== String(sizeBytes)) {
    throw new S3Error('InvalidRequest', { detail: 'The parts together do not have the size in x-amz-mp-object-size.' });
  }
  const checksumType = headers.get('x-amz-checksum-type');
  if (checksumType !== undefined && checksumType !== (upload.headers.get('x-amz-checksum-type') ?? checksumType)) {
    throw new S3Error('InvalidRequest', { detail: 'The upload was created with another x-amz-checksum-type.' });
  }
  return records;
}

/** Whether the client names the bytes that are here. A checksum that came with only one of both sides says nothing. */
function isSamePart(part: CompletedPart, record: PartRecord): boolean {
  if (unquote(part.etag) !== unquote(record.etag)) return false;
  const known = new Map(record.checksums);
  return (part.checksums ?? []).every(([algorithm, base64]) => (known.get(algorithm) ?? base64) === base64);
}

/** Copies the parts one behind the other. */
async function joinParts(
  upload: UploadFolder,
  parts: readonly PartRecord[],
  target: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(copyBytes);
  let position = 0;
  for (const part of parts) {
    const source = await open(path.join(upload.path, part.file), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const end = position + part.size;
      while (position < end) {
        signal.throwIfAborted();
        const { bytesRead } = await source.read(buffer, 0, Math.min(copyBytes, end - position), null);
        if (bytesRead === 0)
          throw new S3Error('InternalError', {
            cause: new Fault('a part is shorter than recorded', { detail: part.file }),
          });
        await writeAll(target, [buffer.subarray(0, bytesRead)], position);
        position += bytesRead;
      }
    } finally {
      await source.close();
    }
  }
}
