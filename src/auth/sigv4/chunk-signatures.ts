// Checks the chain of signatures of a body that is sent in signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, `…-TRAILER`).
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
// Chunks", section "Defining the Chunk Body", and the same "Including Trailing Headers", "Calculating the trailing signature".
import { S3Error } from '../../errors.ts';
import type { ChunkSignatures } from '../../payload.ts';
import { isSameSignature } from './is-same-signature.ts';

export interface ChunkSignatureOptions {
  /** HMAC-SHA-256 with the signing key of the request, in lower-case hex. */
  readonly hmac: (message: string) => string;
  /** The request's `YYYYMMDDTHHMMSSZ`. */
  readonly timestamp: string;
  /** `YYYYMMDD/region/service/aws4_request`. */
  readonly scope: string;
  /** The request's own signature. */
  readonly seedSignature: string;
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Longest string to sign, but for the scope: algorithm, timestamp, three hashes, and the line ends between. */
export const chunkBytesToSign = 24 + 16 + 3 * 64 + 5;

export function startChunkSignatures({
  hmac,
  timestamp,
  scope,
  seedSignature,
}: ChunkSignatureOptions): ChunkSignatures {
  let previous = seedSignature;
  const check = (stringToSign: string, signature: string) => {
    const expected = hmac(stringToSign);
    if (!isSameSignature(expected, signature)) throw new S3Error('SignatureDoesNotMatch');
    previous = expected;
  };
  return {
    verifyChunk(sha256, signature) {
      check(`AWS4-HMAC-SHA256-PAYLOAD\n${timestamp}\n${scope}\n${previous}\n${emptySha256}\n${sha256}`, signature);
    },
    verifyTrailer(sha256, signature) {
      check(`AWS4-HMAC-SHA256-TRAILER\n${timestamp}\n${scope}\n${previous}\n${sha256}`, signature);
    },
  };
}
