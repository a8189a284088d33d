// The header fields of a PutObject on the calls that it becomes: one, or several when it goes in parts; and the checksum that S3
// wants beside them.
import type { ChecksumAlgorithm, ObjectHeaders } from '../storage/storage.ts';

export interface SplitHeaders {
  readonly onCreate: ObjectHeaders;
  readonly onPart: ObjectHeaders;
  readonly onComplete: ObjectHeaders;
  /** What each part must carry; undefined when it need not have any. */
  readonly partChecksum: ChecksumAlgorithm | undefined;
}

const conditions = new Set(['if-match', 'if-none-match']);
/** SSE-C keys and the bucket's owner are stated on every call (API reference of UploadPart and CompleteMultipartUpload). */
const isOnEveryCall = (name: string) =>
  name.startsWith('x-amz-server-side-encryption-customer-') || name === 'x-amz-expected-bucket-owner';
/** Digests of the whole body: verified here while it streams, and of no meaning to any single part. */
const isWholeDigest = (name: string) => name === 'content-md5' || name.startsWith('x-amz-checksum-');

/**
 * S3 wants a checksum of every body that comes with locks: "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part
 * requests with Object Lock parameters", and the same for Put Object.
 * @returns the one that is made here where the client's cannot serve.
 */
export function lockChecksum(headers: ObjectHeaders): ChecksumAlgorithm | undefined {
  for (const name of headers.keys()) if (name.startsWith('x-amz-object-lock-')) return 'crc32';
  return undefined;
}

/**
 * API reference of PutObject: "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload an
 * object with a retention period". AWS's SDKs send it with every trailing checksum.
 */
function announceChecksum(headers: ObjectHeaders, algorithm: ChecksumAlgorithm): ObjectHeaders {
  return new Map([...headers, ['x-amz-sdk-checksum-algorithm', algorithm.toUpperCase()]]);
}

/**
 * The header fields of a body that goes as one.
 * @param trailing the algorithm of the client's checksum behind its body.
 * @returns what they are, and the checksum that must be made here because the client has sent none.
 */
export function wholeHeaders(
  headers: ObjectHeaders,
  trailing?: ChecksumAlgorithm,
): { readonly onPut: ObjectHeaders; readonly ownChecksum: ChecksumAlgorithm | undefined } {
  const wanted = lockChecksum(headers);
  if (wanted === undefined || [...headers.keys()].some(isWholeDigest))
    return { onPut: headers, ownChecksum: undefined };
  return {
    onPut: announceChecksum(headers, trailing ?? wanted),
    ownChecksum: trailing === undefined ? wanted : undefined,
  };
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
  const partChecksum = lockChecksum(headers);
  if (partChecksum === undefined) return { onCreate, onPart, onComplete, partChecksum };
  onCreate.set('x-amz-checksum-algorithm', partChecksum.toUpperCase());
  return { onCreate, onPart: announceChecksum(onPart, partChecksum), onComplete, partChecksum };
}
