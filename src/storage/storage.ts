// The port to where objects are kept, and the limits that a backend declares.
// One call is one attempt: whoever calls decides whether an S3Error with `retryable` is tried again.
import type { CallTrace } from '../call-trace.ts';
import type { Chunk } from '../http.ts';

/** What a backend can take. Sizes in bytes. */
export interface StorageLimits {
  /** Smallest part but the last. */
  readonly minPartBytes: number;
  readonly maxPartBytes: number;
  readonly maxParts: number;
  /** Largest body of one putObject. */
  readonly maxPutBytes: number;
  readonly maxObjectBytes: number;
  /** True when putObject takes bodies whose length is not known, and nothing is gained by cutting large ones into parts. */
  readonly streamsAnyLength: boolean;
  /** Whether every object is to come with a checksum, even where the client has sent none. */
  readonly wantsChecksum: boolean;
}

/** Where an object goes: the backend's own bucket, and the key exactly as the client meant it (decoded once). */
export interface ObjectAddress {
  readonly bucket: string;
  readonly key: string;
}

/** An address and the backend's id of an open multipart upload of it. */
export interface UploadAddress extends ObjectAddress {
  readonly uploadId: string;
}

/**
 * Header fields of the object, names in lower case (`content-type`, `x-amz-meta-a`, `if-none-match`, `content-md5`,
 * `x-amz-checksum-crc32`, …), already screened: what is in here goes to the backend.
 */
export type ObjectHeaders = ReadonlyMap<string, string>;

/** A checksum of a body that may be known only at its end: the client's, or one that was made on the way. */
export interface BodyChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Undefined until the body has been read to its end; verified then. */
  readonly base64: string | undefined;
}

/** A body on its way to the backend. */
export interface OutgoingBody {
  /** Bytes; undefined only for a backend that streams any length. */
  readonly length: number | undefined;
  /** To be stored with it; not given when the header fields say it already. */
  readonly checksum?: BodyChecksum | undefined;
  /** Milliseconds for which its bytes have waited for memory so far. */
  readonly memoryWaitMs?: number;
  /**
   * The next chunk, or null after the last; the backend releases each when it needs it no longer (its bytes are written or
   * given up). Rejects when the upload has failed: the backend then sees to it that nothing becomes visible, and rethrows.
   */
  read(): Promise<Chunk | null>;
  /** Called when the call fails before anything was sent, its head neither, however much of the body was read by then. */
  sentNothing?(): void;
}

/** What the backend says of something stored: `etag` as it is sent, quotes included. */
export interface Stored {
  readonly etag: string;
  /** Answer header fields that the client shall see (x-amz-version-id, x-amz-checksum-…, SSE, expiry, lock), names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
  /** The part's checksums as the client sent them, for example ['crc32', 'AAAAAA=='], to be passed on. */
  readonly checksums?: readonly (readonly [algorithm: ChecksumAlgorithm, base64: string])[];
}

export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';

export interface ListedPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly size: number;
  readonly lastModified: Date;
  readonly checksums: readonly (readonly [algorithm: ChecksumAlgorithm, base64: string])[];
}

export interface PartsPage {
  readonly parts: readonly ListedPart[];
  readonly isTruncated: boolean;
  readonly nextPartNumberMarker: number | undefined;
  readonly storageClass: string | undefined;
  readonly checksumAlgorithm: string | undefined;
  readonly checksumType: string | undefined;
}

/**
 * Errors: every method throws S3Error for what the backend refused or could not do (`retryable` where the same call may
 * succeed again), and the signal's reason when it is aborted. After a rejected putObject nothing of it is visible, unless its
 * answer was lost on the way.
 */
export interface Storage {
  readonly limits: StorageLimits;
  /**
   * Atomic: the object is whole or not there. All attempts of one upload are made with the same `headers` (the very object): one
   * with a condition also succeeds when an earlier answer was lost but the object that it spoke of is there.
   */
  putObject(
    object: ObjectAddress,
    headers: ObjectHeaders,
    body: OutgoingBody,
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<Stored>;
  createMultipartUpload(
    object: ObjectAddress,
    headers: ObjectHeaders,
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<{ uploadId: string; headers: ReadonlyMap<string, string> }>;
  uploadPart(
    upload: UploadAddress,
    partNumber: number,
    headers: ObjectHeaders,
    body: OutgoingBody,
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<Stored>;
  /** Also succeeds when the answer of an earlier attempt was lost but the object it made is there. */
  completeMultipartUpload(
    upload: UploadAddress,
    parts: readonly CompletedPart[],
    headers: ObjectHeaders,
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<Stored>;
  abortMultipartUpload(upload: UploadAddress, signal: AbortSignal, trace?: CallTrace): Promise<void>;
  listParts(
    upload: UploadAddress,
    page: { maxParts: number; partNumberMarker: number },
    headers: ObjectHeaders,
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<PartsPage>;
  /** Rejects when the bucket cannot be reached or used. */
  checkReady(bucket: string, signal: AbortSignal): Promise<void>;
  /** Ends idle connections and timers. */
  close(): Promise<void>;
}
