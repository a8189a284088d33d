// Checks the chain of signatures of a body that is sent in signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, `…-TRAILER`).
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
// Chunks", section "Defining the Chunk Body", and the same "Including Trailing Headers", "Calculating the trailing signature".
import { S3Error } from '../../errors.ts';
import type { ChunkSignatures } from '../../payload.ts';
import { HmacSha256 } from '../../sigv4/hmac-sha256.ts';
import { isSameSignature } from './is-same-signature.ts';
import type { SigningKey } from './signing-keys.ts';

export interface ChunkSignatureOptions {
  readonly key: SigningKey;
  /** The request's `YYYYMMDDTHHMMSSZ`. */
  readonly timestamp: string;
  /** The request's own signature. */
  readonly seedSignature: string;
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const hexBytes = emptySha256.length;

export function startChunkSignatures({ key, timestamp, seedSignature }: ChunkSignatureOptions): ChunkSignatures {
  const beginning = `AWS4-HMAC-SHA256-PAYLOAD\n${timestamp}\n${key.scope}\n`;
  const previousAt = beginning.length;
  const sha256At = previousAt + 2 * (hexBytes + 1);
  const bytesToSign = sha256At + hexBytes;
  // A body has thousands of chunks, whose strings to sign differ by two hashes.
  const hmac = new HmacSha256(key.bytes, bytesToSign);
  hmac.message.write(`${beginning}${seedSignature}\n${emptySha256}\n`, 'latin1');
  const check = (expected: string, signature: string) => {
    if (!isSameSignature(expected, signature)) throw new S3Error('SignatureDoesNotMatch');
  };
  return {
    verifyChunk(sha256, signature) {
      hmac.message.write(sha256, sha256At, 'latin1');
      const expected = hmac.digest(bytesToSign);
      check(expected, signature);
      hmac.message.write(expected, previousAt, 'latin1');
    },
    verifyTrailer(sha256, signature) {
      const previous = hmac.message.toString('latin1', previousAt, previousAt + hexBytes);
      check(key.hmac(`AWS4-HMAC-SHA256-TRAILER\n${timestamp}\n${key.scope}\n${previous}\n${sha256}`), signature);
    },
  };
}
