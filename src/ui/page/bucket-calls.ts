// S3's calls for uploads, as the page makes them.
import type { StoredPart } from './read-xml.ts';

export interface BodyOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (sentBytes: number) => void;
}

export interface BucketCalls {
  putObject(path: string, body: Blob, contentType: string, options: BodyOptions): Promise<void>;
  /** @returns the upload's id. */
  createMultipartUpload(path: string, contentType: string, signal: AbortSignal): Promise<string>;
  /** @returns the part's ETag. */
  uploadPart(path: string, uploadId: string, number: number, body: Blob, options: BodyOptions): Promise<string>;
  /** Every part that the server has, however many pages that takes. */
  listParts(path: string, uploadId: string, signal: AbortSignal): Promise<StoredPart[]>;
  completeMultipartUpload(
    path: string,
    uploadId: string,
    parts: ReadonlyMap<number, string>,
    signal: AbortSignal,
  ): Promise<void>;
  /** An upload that has gone is as good as aborted. */
  abortMultipartUpload(path: string, uploadId: string, signal: AbortSignal): Promise<void>;
}
