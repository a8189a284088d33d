// How the payload lies in a request's body, and what has been signed of it: what authentication tells the upload.

/**
 * Decided by `x-amz-content-sha256` alone, which a signature covers; never by Content-Encoding.
 * Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header", table of x-amz-content-sha256.
 */
export type Payload = PlainPayload | AwsChunkedPayload;

/** The body is the payload. */
export interface PlainPayload {
  readonly kind: 'plain';
  /** What the payload must hash to, in lower-case hex; undefined when that is not stated. */
  readonly sha256: string | undefined;
}

/** The body is the payload in chunks (`aws-chunked`), perhaps followed by trailing header fields. */
export interface AwsChunkedPayload {
  readonly kind: 'aws-chunked';
  /** Whether header fields follow the last chunk (`…-TRAILER`). */
  readonly hasTrailer: boolean;
  /** Whether every chunk, and the trailer if there is one, carries a signature. */
  readonly isSigned: boolean;
  /** Checks those signatures; undefined where nobody is asked for credentials: then they are read over. */
  readonly signatures: ChunkSignatures | undefined;
}

/**
 * The chain of signatures of one body: each covers its chunk and the signature before it.
 * Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
 * Chunks", and the same "Including Trailing Headers".
 */
export interface ChunkSignatures {
  /**
   * Called for each chunk in order, the last and empty one included.
   * @param sha256 of the chunk's payload, in lower-case hex.
   * @param signature as received.
   * @throws S3Error SignatureDoesNotMatch.
   */
  verifyChunk(sha256: string, signature: string): void;
  /**
   * Called once, after the last chunk.
   * @param sha256 of the trailing header fields, each as `name:value\n`, in lower-case hex.
   * @throws S3Error SignatureDoesNotMatch.
   */
  verifyTrailer(sha256: string, signature: string): void;
}

export const plainPayload: PlainPayload = Object.freeze({ kind: 'plain', sha256: undefined });
