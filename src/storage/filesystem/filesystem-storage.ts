// Keeps objects as plain files: `<root>/<bucket>/…` (encode-key.ts says how keys become paths).
import { S3Error } from '../../errors.ts';
import type { ObjectAddress, ObjectHeaders, OutgoingBody, Storage, StorageLimits, Stored } from '../storage.ts';
import { createRootFolder, type RootFolder } from './bucket-folder.ts';
import { checkConditions, commitObject } from './commit-object.ts';
import { createMultipartUploads } from './multipart-uploads.ts';
import { createKeyedLock } from './keyed-lock.ts';
import { createObjectLock, type ObjectLock } from './object-lock.ts';
import { checksumFields, screenHeaders, withBodyChecksum } from './screen-headers.ts';
import { TemporaryFile } from './temporary-files.ts';
import { toS3Error } from './to-s3-error.ts';
import { writeBody } from './write-body.ts';

const mib = 1024 * 1024;

/** Parts as in Amazon S3 User Guide, "Amazon S3 multipart upload limits", so that clients need not know where they upload to. */
export const filesystemLimits: StorageLimits = {
  minPartBytes: 5 * mib,
  maxPartBytes: 5 * 1024 * mib,
  maxParts: 10_000,
  maxPutBytes: 5 * 1024 * 1024 * mib,
  maxObjectBytes: 5 * 1024 * 1024 * mib,
  streamsAnyLength: true,
  wantsChecksum: false,
};

const sweepEveryMs = 60 * 60 * 1000;

export interface FilesystemStorageOptions {
  /** Made when it is not there. Everything in it belongs to this storage; several processes can share it. */
  readonly root: string;
}

/** Starts to remove what earlier processes have left, and does so again every hour; `checkReady` waits for it and says when that fails. */
export function createFilesystemStorage({ root }: FilesystemStorageOptions): Storage {
  const rootFolder = createRootFolder(root);
  const oneAtATime = createKeyedLock();
  const lockObject = createObjectLock(oneAtATime);
  const closer = new AbortController();
  const uploads = createMultipartUploads({
    rootFolder,
    oneAtATime,
    lockObject,
    limits: filesystemLimits,
    closing: closer.signal,
  });
  rootFolder.sweep().catch(() => undefined);
  const sweeper = setInterval(() => void rootFolder.sweepAgain().catch(() => undefined), sweepEveryMs).unref();

  return {
    limits: filesystemLimits,
    putObject: (object, headers, body, signal) =>
      refusing(signal, () => putObject({ rootFolder, lockObject, object, headers, body, signal })),
    createMultipartUpload: (object, headers, signal) => refusing(signal, () => uploads.create(object, headers)),
    uploadPart: (upload, partNumber, headers, body, signal) =>
      refusing(signal, () => uploads.writePart({ upload, partNumber, headers, body, signal })),
    completeMultipartUpload: (upload, parts, headers, signal) =>
      refusing(signal, () => uploads.complete({ upload, parts, headers, signal })),
    abortMultipartUpload: (upload, signal) => refusing(signal, () => uploads.abort(upload, signal)),
    listParts: (upload, page, headers, signal) =>
      refusing(signal, () => {
        screenHeaders(headers);
        return uploads.listParts(upload, page);
      }),
    checkReady: (bucket, signal) =>
      refusing(signal, async () => {
        await rootFolder.sweep();
        const probe = await TemporaryFile.create(await rootFolder.prepare(bucket));
        await probe.discard();
      }),
    async close() {
      clearInterval(sweeper);
      closer.abort(new S3Error('ServiceUnavailable', { detail: 'The server is shutting down. Try again.' }));
      await rootFolder.sweep().catch(() => undefined);
    },
  };
}

/** Runs one call of the port: not at all when it is too late, and with its errors as S3 says them. */
async function refusing<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await run();
  } catch (error) {
    throw toS3Error(error);
  }
}

interface PutOptions {
  readonly rootFolder: RootFolder;
  readonly lockObject: ObjectLock;
  readonly object: ObjectAddress;
  readonly headers: ObjectHeaders;
  readonly body: OutgoingBody;
  readonly signal: AbortSignal;
}

async function putObject({ rootFolder, lockObject, object, headers, body, signal }: PutOptions): Promise<Stored> {
  const { kept, checksums: announced, conditions } = screenHeaders(headers);
  if ((body.length ?? 0) > filesystemLimits.maxPutBytes) throw new S3Error('EntityTooLarge');
  const place = await rootFolder.locate(object);
  // Asked again when the body is here; asked now so that a body which cannot be kept is not taken first.
  await checkConditions(place, conditions);
  const data = await TemporaryFile.create(place.temporaryFolder);
  try {
    const { md5 } = await writeBody(body, data.handle, { maxBytes: filesystemLimits.maxPutBytes, signal });
    const checksums = withBodyChecksum(announced, body);
    const version = await data.seal();
    const etag = `"${md5.toString('hex')}"`;
    await lockObject(place, signal, () =>
      commitObject({ place, conditions, data, version, etag, headers: kept, checksums }),
    );
    return { etag, headers: checksumFields(checksums) };
  } finally {
    await data.discard();
  }
}
