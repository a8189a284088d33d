// The header fields of a PutObject on the calls that it becomes: one, or several when it goes in parts; and the checksums beside them.
import { S3Error } from '../errors.ts';
import type { ChecksumAlgorithm, ObjectHeaders, StorageLimits } from '../storage/storage.ts';
import { isCrc, type CrcAlgorithm } from './body/crc-step.ts';
import { checksumAlgorithms } from './body/verify.ts';

export interface SplitHeaders {
  readonly onCreate: ObjectHeaders;
  readonly onPart: ObjectHeaders;
  readonly onComplete: ObjectHeaders;
}

/** Where the client has sent no checksum that can serve, and one must be. */
const ownAlgorithm = 'crc32';
const conditions = new Set(['if-match', 'if-none-match']);
/** SSE-C keys and the bucket's owner are stated on every call (API reference of UploadPart and CompleteMultipartUpload). */
const isOnEveryCall = (name: string) =>
  name.startsWith('x-amz-server-side-encryption-customer-') || name === 'x-amz-expected-bucket-owner';
/** Digests of the whole body: verified here while it streams, and of no meaning to any single part. */
const isWholeDigest = (name: string) => name === 'content-md5' || name.startsWith('x-amz-checksum-');

/**
 * Whether an object must come with a checksum: where the backend is configured so, and with locks: "Content-MD5 OR x-amz-checksum-
 * HTTP header is required for Put Object requests with Object Lock parameters", and the same for Put Part.
 */
export function demandsChecksum(
  headers: ObjectHeaders,
  { wantsChecksum }: Pick<StorageLimits, 'wantsChecksum'>,
): boolean {
  if (wantsChecksum) return true;
  for (const name of headers.keys()) if (name.startsWith('x-amz-object-lock-')) return true;
  return false;
}

/**
 * API reference of PutObject: "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload an
 * object with a retention period". AWS's SDKs send it with every trailing checksum.
 */
export function announceChecksum(headers: ObjectHeaders, algorithm: ChecksumAlgorithm): ObjectHeaders {
  return new Map([...headers, ['x-amz-sdk-checksum-algorithm', algorithm.toUpperCase()]]);
}

/**
 * The header fields of a body that goes as one.
 * @param trailing the algorithm of the client's checksum behind its body.
 * @returns what they are, and the checksum that must be made here because the client has sent none.
 */
export function wholeHeaders(
  headers: ObjectHeaders,
  isDemanded: boolean,
  trailing?: ChecksumAlgorithm,
): { readonly onPut: ObjectHeaders; readonly ownChecksum: CrcAlgorithm | undefined } {
  if (!isDemanded || [...headers.keys()].some(isWholeDigest)) return { onPut: headers, ownChecksum: undefined };
  return {
    onPut: announceChecksum(headers, trailing ?? ownAlgorithm),
    ownChecksum: trailing === undefined ? ownAlgorithm : undefined,
  };
}

/**
 * The checksum with which a body that is cut into parts can be stored: the client's, where it is a CRC, as those of the parts make
 * that of the whole; or one of ours, where one is demanded.
 * @param trailing the algorithm of the client's checksum behind its body.
 */
export function checksumOfParts(
  headers: ObjectHeaders,
  isDemanded: boolean,
  trailing?: ChecksumAlgorithm,
): CrcAlgorithm | undefined {
  const sent = trailing ?? checksumAlgorithms.find((algorithm) => headers.has(`x-amz-checksum-${algorithm}`));
  if (sent !== undefined && isCrc(sent)) return sent;
  return isDemanded ? ownAlgorithm : undefined;
}

export function splitHeaders(headers: ObjectHeaders): SplitHeaders {
  const onCreate = new Map<string, string>();
  const onPart = new Map<string, string>();
  const onComplete = new Map<string, string>();
  for (const [name, value] of headers) {
    if (conditions.has(name)) {
      onComplete.set(name, value);
    } else if (isOnEveryCall(name)) {
      for (const call of [onCreate, onPart, onComplete]) call.set(name, value);
    } else if (!isWholeDigest(name)) {
      onCreate.set(name, value);
    }
  }
  return { onCreate, onPart, onComplete };
}

/** Opens an upload with the checksum that its parts will have, and by which the whole object shall be known. */
export function askForChecksum(onCreate: ObjectHeaders, algorithm: CrcAlgorithm): ObjectHeaders {
  return new Map([...askForPartChecksums(onCreate, algorithm), ['x-amz-checksum-type', 'FULL_OBJECT']]);
}

/** The same where the backend does not know the whole object's. */
export function askForPartChecksums(onCreate: ObjectHeaders, algorithm: CrcAlgorithm): ObjectHeaders {
  return new Map([...onCreate, ['x-amz-checksum-algorithm', algorithm.toUpperCase()]]);
}

/** Cloudflare R2 refuses some of them, Backblaze B2 all, and what is older than them knows none. */
export function mayRefuseChecksum(error: unknown): boolean {
  return error instanceof S3Error && refusals.has(error.code);
}

const refusals: ReadonlySet<string> = new Set(['InvalidArgument', 'InvalidDigest', 'InvalidRequest', 'NotImplemented']);

/**
 * What a backend keeps of the checksum that an upload was opened with: it says so in its answer. One that says nothing gets none,
 * but where it is demanded.
 * @param answer the header fields that CreateMultipartUpload was answered with.
 */
export function keptChecksum(
  answer: ReadonlyMap<string, string>,
  isDemanded: boolean,
): { readonly ofParts: boolean; /** False: one made of those of the parts. */ readonly ofObject: boolean } {
  const isKnown = answer.has('x-amz-checksum-algorithm');
  return {
    ofParts: isKnown || isDemanded,
    ofObject: isKnown && answer.get('x-amz-checksum-type') === 'FULL_OBJECT',
  };
}

/** API reference of CompleteMultipartUpload: the object's checksum is compared with what the parts make. */
export function stateChecksum(headers: ObjectHeaders, algorithm: CrcAlgorithm, base64: string): ObjectHeaders {
  return new Map([...headers, [`x-amz-checksum-${algorithm}`, base64], ['x-amz-checksum-type', 'FULL_OBJECT']]);
}
