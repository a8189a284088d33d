// A request's body as its operation reads it: out of aws-chunked framing, and checked against all that was said of it.
import { S3Error } from '../../errors.ts';
import type { RequestHeaders } from '../../http.ts';
import type { AwsChunkedPayload } from '../../payload.ts';
import type { BodyChecksum, ChecksumAlgorithm } from '../../storage/storage.ts';
import type { BodyInspector, OperationContext } from '../operation-context.ts';
import { AwsChunkedDecoder } from './aws-chunked-decoder.ts';
import { IncomingBody, type BodyFraming } from './incoming-body.ts';
import {
  checkChecksum,
  checksumAlgorithms,
  expectedDigests,
  moreThanOneChecksum,
  Verifier,
  type ExpectedDigest,
} from './verify.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  readonly minBytes?: number;
  /** False where `x-amz-checksum-*` is of the object and not of this body. */
  readonly hasChecksum?: boolean;
  readonly inspector?: BodyInspector | undefined;
}

type BodyContext = Pick<OperationContext, 'request' | 'headers' | 'payload'>;

/**
 * @throws S3Error EntityTooLarge and EntityTooSmall for what was announced, InvalidDigest or InvalidRequest for a digest that is none,
 * MissingContentLength for aws-chunked framing without `x-amz-decoded-content-length`, MalformedTrailerError, InvalidRequest for
 * a checksum that is announced and not there.
 */
export function openBody(
  { request: { body }, headers, payload }: BodyContext,
  { maxBytes, minBytes = 0, hasChecksum = true, inspector }: BodyLimits,
): IncomingBody {
  const digests = expectedDigests(headers).filter(({ algorithm }) => hasChecksum || algorithm === 'md5');
  if (payload.kind === 'plain') {
    const { length } = body;
    if (hasChecksum) refuseMissingChecksum(headers, digests);
    if (payload.sha256 !== undefined) digests.push(sha256Digest(payload.sha256));
    refuseByLength(length, maxBytes, minBytes);
    return new IncomingBody({
      body,
      length,
      verifier: new Verifier({ length, maxBytes, minBytes, digests, inspector }),
    });
  }
  const length = readDecodedLength(headers);
  refuseByLength(length, maxBytes, minBytes);
  const decoder = new AwsChunkedDecoder({ ...payload, decodedLength: length });
  const trailer = readTrailingAlgorithm(headers, payload);
  const checksum = trailer && new TrailingChecksum(trailer, decoder);
  if (checksum !== undefined) {
    if (digests.some(({ algorithm }) => algorithm !== 'md5')) throw moreThanOneChecksum();
    digests.push(checksum);
  }
  if (hasChecksum) refuseMissingChecksum(headers, digests);
  const verifier = new Verifier({ length, maxBytes, minBytes, digests, inspector });
  return new IncomingBody({ body, length, verifier, framing: checksum ?? withoutFields(decoder), checksum });
}

/** The checksum that a body ends with. */
class TrailingChecksum implements BodyFraming, BodyChecksum {
  readonly algorithm: ChecksumAlgorithm;
  base64: string | undefined;
  readonly decoder: AwsChunkedDecoder;

  constructor(algorithm: ChecksumAlgorithm, decoder: AwsChunkedDecoder) {
    this.algorithm = algorithm;
    this.decoder = decoder;
  }

  finish(): void {
    const fields = this.decoder.finish();
    const base64 = fields.get(`x-amz-checksum-${this.algorithm}`);
    if (base64 === undefined || fields.size > 1) throw new S3Error('MalformedTrailerError');
    checkChecksum(this.algorithm, base64);
    this.base64 = base64;
  }
}

function withoutFields(decoder: AwsChunkedDecoder): BodyFraming {
  return {
    decoder,
    finish: () => {
      if (decoder.finish().size > 0) throw new S3Error('MalformedTrailerError');
    },
  };
}

function refuseByLength(length: number | undefined, maxBytes: number, minBytes: number): void {
  if (length === undefined) return;
  if (length > maxBytes) throw new S3Error('EntityTooLarge');
  if (length < minBytes) throw new S3Error('EntityTooSmall');
}

/**
 * API reference of PutObject: "When you send this header, there must be a corresponding x-amz-checksum-algorithm or x-amz-trailer header
 * sent. Otherwise, Amazon S3 fails the request". Something on the way may have taken the checksum away. SDKs that make an MD5 send that
 * algorithm's name here, and the value as Content-MD5.
 */
function refuseMissingChecksum(headers: RequestHeaders, digests: readonly ExpectedDigest[]): void {
  if (digests.length > 0 || !headers.has('x-amz-sdk-checksum-algorithm')) return;
  throw new S3Error('InvalidRequest', {
    detail:
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
  });
}

function sha256Digest(hex: string): ExpectedDigest {
  return {
    algorithm: 'sha256',
    base64: Buffer.from(hex, 'hex').toString('base64'),
    mismatch: 'XAmzContentSHA256Mismatch',
  };
}

/** Amazon S3 API Reference, chunked upload: the header says how long the payload is, without any framing. */
function readDecodedLength(headers: RequestHeaders): number {
  const value = headers.get('x-amz-decoded-content-length');
  if (value === undefined) throw new S3Error('MissingContentLength');
  if (!/^\d{1,15}$/.test(value)) {
    throw new S3Error('InvalidRequest', { detail: 'x-amz-decoded-content-length is not a number of bytes.' });
  }
  return Number(value);
}

/** @returns the checksum that `x-amz-trailer` announces; undefined when there is none. */
function readTrailingAlgorithm(
  headers: RequestHeaders,
  { hasTrailer }: AwsChunkedPayload,
): ChecksumAlgorithm | undefined {
  const value = headers.get('x-amz-trailer')?.trim().toLowerCase();
  if (value === undefined || value === '') return undefined;
  const algorithm = checksumAlgorithms.find((known) => value === `x-amz-checksum-${known}`);
  if (algorithm === undefined || !hasTrailer) {
    throw new S3Error('InvalidRequest', {
      detail: 'The value specified in the x-amz-trailer header is not supported.',
    });
  }
  return algorithm;
}
