// What every operation is given.
import type { HttpRequest, RequestHeaders } from '../http.ts';
import type { Payload } from '../payload.ts';
import type { ObjectAddress, Storage } from '../storage/storage.ts';
import type { ByteBudget } from './body/byte-budget.ts';
import type { RetryOptions } from './body/retry.ts';
import type { OpenUploads } from './open-uploads/open-uploads.ts';

/** How uploads into one bucket are carried out. Sizes in bytes. */
export interface UploadSettings {
  readonly multipartThresholdBytes: number;
  readonly partBytes: number;
  readonly concurrentParts: number;
  readonly maxObjectBytes: number;
  readonly retry: RetryOptions;
  /** How long a body of unknown length waits for memory before it is refused. */
  readonly queueTimeoutMs: number;
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
  /** The object in the backend. */
  readonly object: ObjectAddress;
  /** The region that clients are told. */
  readonly region: string;
  readonly storage: Storage;
  readonly settings: UploadSettings;
  readonly budget: ByteBudget;
  readonly openUploads: OpenUploads;
}
