// What every operation is given.
import type { HttpRequest, RequestHeaders } from '../http.ts';
import type { Payload } from '../payload.ts';
import type { ChecksumAlgorithm, ObjectAddress, Storage } from '../storage/storage.ts';
import type { ByteBudget } from './body/byte-budget.ts';
import type { RetryOptions } from './body/retry.ts';
import type { OpenUploads } from './open-uploads/open-uploads.ts';

/** How uploads into one bucket are carried out. Sizes in bytes. */
export interface UploadSettings {
  readonly multipartThresholdBytes: number;
  readonly partBytes: number;
  readonly concurrentParts: number;
  readonly maxObjectBytes: number;
  readonly minObjectBytes: number;
  readonly retry: RetryOptions;
  /** How long a body of unknown length waits for memory before it is refused. */
  readonly queueTimeoutMs: number;
}

/** A stage that every byte of a body passes. Synchronous; it keeps nothing of the memory that it is shown. */
export interface BodyInspector {
  /** @throws S3Error to refuse the body. */
  write(bytes: Uint8Array): void;
  /** Called after the last byte, before anything becomes visible. @throws S3Error as above. */
  finish(): void;
}

export interface OperationContext {
  readonly request: HttpRequest;
  /** The request's, and what a presigned URL carries of them in its query. */
  readonly headers: RequestHeaders;
  /** How the payload lies in the request's body. */
  readonly payload: Payload;
  /** The bucket as the client names it, for result XML. */
  readonly clientBucket: string;
  /** The name under which the bucket is configured. */
  readonly configuredBucket: string;
  /** The object's key as the client names it, for result XML. */
  readonly clientKey: string;
  /** The object in the backend. */
  readonly object: ObjectAddress;
  /** From the backend's upload id to the one that the client is told; undefined: they are the same. */
  readonly toClientUploadId: ((uploadId: string) => string) | undefined;
  /** What else looks at the object's bytes. */
  readonly inspector: BodyInspector | undefined;
  /** Whether an upload cannot be completed without its part 1. */
  readonly needsFirstPart: boolean;
  /** The region that clients are told. */
  readonly region: string;
  readonly storage: Storage;
  /** Checksums that the backend was seen not to keep of an object in parts: they are not asked for again. */
  readonly refusedChecksums: Set<ChecksumAlgorithm>;
  readonly settings: UploadSettings;
  readonly budget: ByteBudget;
  readonly openUploads: OpenUploads;
  readonly progress: MemoryProgress;
}

/** What is known of waits for memory when the request ends, however it ends. */
export interface MemoryProgress {
  /** How long it waited for memory to be set aside, which is before anything is asked of the backend. */
  reserveMs?: number | undefined;
}
