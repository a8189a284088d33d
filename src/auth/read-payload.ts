// What `x-amz-content-sha256` says of the payload.
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../http.ts';
import { plainPayload, type ChunkSignatures, type Payload } from '../payload.ts';

const sha256Hex = /^[0-9a-f]{64}$/;

/**
 * @param startSignatures makes the chain that signed chunks are checked against.
 * @throws S3Error InvalidArgument for a value that S3 does not know, NotImplemented for SigV4A.
 */
export function readPayload(headers: RequestHeaders, startSignatures?: () => ChunkSignatures): Payload {
  const value = headers.get('x-amz-content-sha256');
  switch (value) {
    case undefined:
    case 'UNSIGNED-PAYLOAD':
      return plainPayload;
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'aws-chunked', hasTrailer: true, isSigned: false, signatures: undefined };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return {
        kind: 'aws-chunked',
        hasTrailer: value.endsWith('-TRAILER'),
        isSigned: true,
        signatures: startSignatures?.(),
      };
    default:
      if (value.startsWith('STREAMING-AWS4-ECDSA-')) throw new S3Error('NotImplemented', { detail: ecdsaRefusal });
      if (!sha256Hex.test(value)) throw new S3Error('InvalidArgument', { detail: unknownValue });
      return { kind: 'plain', sha256: value };
  }
}

export const ecdsaRefusal =
  'Signatures by AWS4-ECDSA-P256-SHA256 (SigV4A) are not supported: sign with AWS4-HMAC-SHA256.';
const unknownValue =
  'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- value that S3 documents, or a SHA-256 in lower-case hex.';
