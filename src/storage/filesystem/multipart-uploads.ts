// Multipart uploads: opened, filled part by part, listed, completed or given up.
import { S3Error } from '../../errors.ts';
import type {
  CompletedPart,
  ListedPart,
  ObjectAddress,
  ObjectHeaders,
  OutgoingBody,
  PartsPage,
  StorageLimits,
  Stored,
  UploadAddress,
} from '../storage.ts';
import type { RootFolder } from './bucket-folder.ts';
import { completeUpload } from './complete-upload.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { ObjectLock } from './object-lock.ts';
import { checksumFields, screenHeaders, withBodyChecksum } from './screen-headers.ts';
import { TemporaryFile } from './temporary-files.ts';
import {
  createUploadFolder,
  listPartNumbers,
  openUploadFolder,
  putPart,
  readPart,
  removeUploadFolder,
  type PartRecord,
} from './upload-folder.ts';
import { writeBody } from './write-body.ts';

export interface MultipartUploadsOptions {
  readonly rootFolder: RootFolder;
  readonly oneAtATime: KeyedLock;
  readonly lockObject: ObjectLock;
  readonly limits: StorageLimits;
  /** Aborted when the storage is closed. */
  readonly closing: AbortSignal;
}

export interface WritePartOptions {
  readonly upload: UploadAddress;
  readonly partNumber: number;
  readonly headers: ObjectHeaders;
  readonly body: OutgoingBody;
  readonly signal: AbortSignal;
}

export interface CompleteOptions {
  readonly upload: UploadAddress;
  readonly parts: readonly CompletedPart[];
  readonly headers: ObjectHeaders;
  readonly signal: AbortSignal;
}

export interface MultipartUploads {
  create(
    object: ObjectAddress,
    headers: ObjectHeaders,
  ): Promise<{ uploadId: string; headers: ReadonlyMap<string, string> }>;
  writePart(options: WritePartOptions): Promise<Stored>;
  complete(options: CompleteOptions): Promise<Stored>;
  abort(upload: UploadAddress, signal: AbortSignal): Promise<void>;
  listParts(upload: UploadAddress, page: { maxParts: number; partNumberMarker: number }): Promise<PartsPage>;
}

/** What the answer to CreateMultipartUpload says again. */
const echoed = ['x-amz-checksum-algorithm', 'x-amz-checksum-type'] as const;

export function createMultipartUploads({
  rootFolder,
  oneAtATime,
  lockObject,
  limits,
  closing,
}: MultipartUploadsOptions): MultipartUploads {
  return {
    async create(object, headers) {
      screenHeaders(headers);
      const uploadId = await createUploadFolder(await rootFolder.locate(object), headers);
      const answer = echoed.flatMap((name): [string, string][] => {
        const value = headers.get(name);
        return value === undefined ? [] : [[name, value]];
      });
      return { uploadId, headers: new Map(answer) };
    },

    async writePart({ upload, partNumber, headers, body, signal }) {
      const screened = screenHeaders(headers);
      if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > limits.maxParts) {
        throw new S3Error('InvalidArgument', {
          detail: `Part number must be an integer between 1 and ${limits.maxParts}.`,
        });
      }
      if ((body.length ?? 0) > limits.maxPartBytes) throw new S3Error('EntityTooLarge');
      const place = await rootFolder.locate(upload);
      const folder = await openUploadFolder(place, upload.uploadId);
      const data = await TemporaryFile.create(place.temporaryFolder);
      try {
        const { md5, sizeBytes } = await writeBody(body, data.handle, { maxBytes: limits.maxPartBytes, signal });
        const checksums = withBodyChecksum(screened.checksums, body);
        await data.seal();
        const etag = `"${md5.toString('hex')}"`;
        const part = { partNumber, etag, size: sizeBytes, lastModified: new Date().toISOString(), checksums };
        await oneAtATime(`${folder.path} ${partNumber}`, () => {
          signal.throwIfAborted();
          return putPart(place, folder, data, part);
        });
        return { etag, headers: checksumFields(checksums) };
      } finally {
        await data.discard();
      }
    },

    async complete({ upload, parts, headers, signal }) {
      const screened = screenHeaders(headers);
      const place = await rootFolder.locate(upload);
      // Of two that complete it at once, the second finds it completed.
      const { uploadId } = upload;
      return oneAtATime(
        `${place.uploadsFolder} ${uploadId}`,
        () => completeUpload({ place, uploadId, parts, headers, screened, limits, signal, closing, lockObject }),
        signal,
      );
    },

    async abort(upload, signal) {
      const place = await rootFolder.locate(upload);
      await oneAtATime(
        `${place.uploadsFolder} ${upload.uploadId}`,
        async () => removeUploadFolder(place, await openUploadFolder(place, upload.uploadId)),
        signal,
      );
    },

    async listParts(upload, { maxParts, partNumberMarker }) {
      const place = await rootFolder.locate(upload);
      const folder = await openUploadFolder(place, upload.uploadId);
      const later = (await listPartNumbers(folder)).filter((partNumber) => partNumber > partNumberMarker);
      const numbers = later.slice(0, maxParts);
      const records = await Promise.all(numbers.map((partNumber) => readPart(folder, partNumber)));
      const isTruncated = later.length > numbers.length;
      return {
        parts: records.filter((record) => record !== undefined).map(listedPart),
        isTruncated,
        nextPartNumberMarker: isTruncated ? (numbers.at(-1) ?? partNumberMarker) : undefined,
        storageClass: 'STANDARD',
        checksumAlgorithm: folder.headers.get('x-amz-checksum-algorithm'),
        checksumType: folder.headers.get('x-amz-checksum-type'),
      };
    },
  };
}

function listedPart({ partNumber, etag, size, lastModified, checksums }: PartRecord): ListedPart {
  return { partNumber, etag, size, lastModified: new Date(lastModified), checksums };
}
