// Which of a request's header fields go to the backend, for each operation. What is not on the list is dropped.
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../http.ts';
import type { ObjectHeaders } from '../storage/storage.ts';

const put = 1;
const create = 2;
const part = 4;
const complete = 8;
const list = 16;

const operations = {
  PutObject: put,
  CreateMultipartUpload: create,
  UploadPart: part,
  CompleteMultipartUpload: complete,
  ListParts: list,
} as const;

export type ScreenedOperation = keyof typeof operations;

/** Source: Amazon S3 API Reference, request syntax of each operation. */
const passedOn = new Map<string, number>([
  ['content-type', put | create],
  ['content-encoding', put | create],
  ['content-disposition', put | create],
  ['content-language', put | create],
  ['cache-control', put | create],
  ['expires', put | create],
  ['x-amz-storage-class', put | create],
  ['x-amz-tagging', put | create],
  ['x-amz-server-side-encryption-customer-algorithm', put | create | part | complete | list],
  ['x-amz-server-side-encryption-customer-key', put | create | part | complete | list],
  ['x-amz-server-side-encryption-customer-key-md5', put | create | part | complete | list],
  ['x-amz-expected-bucket-owner', put | create | part | complete | list],
  // On Complete it would be the digest of the client's document, and the backend gets another one.
  ['content-md5', put | part],
  ['if-match', put | complete],
  ['if-none-match', put | complete],
  ['x-amz-checksum-crc32', put | part | complete],
  ['x-amz-checksum-crc32c', put | part | complete],
  ['x-amz-checksum-crc64nvme', put | part | complete],
  ['x-amz-checksum-sha1', put | part | complete],
  ['x-amz-checksum-sha256', put | part | complete],
  ['x-amz-checksum-algorithm', create],
  ['x-amz-checksum-type', create | complete],
  ['x-amz-mp-object-size', complete],
]);
/** Encryption and locks: a field of them that S3 may yet get must not be dropped, for the client would believe it has it. */
const passedOnPrefixes = ['x-amz-server-side-encryption', 'x-amz-object-lock-'];
const metadataPrefix = 'x-amz-meta-';
const checksumPrefix = 'x-amz-checksum-';
/** Fields that are lists (RFC 9110, section 5.3), and metadata, of which S3 says that duplicates are joined with commas. */
const mayBeJoined: ReadonlySet<string> = new Set(['cache-control', 'content-encoding', 'content-language']);
/** Names without their prefix, and values: Amazon S3 User Guide, "Working with object metadata". */
const maxMetadataBytes = 2048;
/** The server has put U+FFFD where a value was not UTF-8, so that it could not be passed on as it was. */
const asciiText = /^[\t -~]*$/;
// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/**
 * @returns names in lower case, in the order received.
 * @throws S3Error InvalidRequest for a value that is not printable US-ASCII (other text is sent as an encoded word of RFC 2047
 * and passed on as such), for a field given twice that is no list, and for an unknown checksum; MetadataTooLarge past 2 KiB;
 * NotImplemented for an If-None-Match other than `*`.
 */
export function screenObjectHeaders(operation: ScreenedOperation, headers: RequestHeaders): ObjectHeaders {
  const flag = operations[operation];
  const screened = new Map<string, string>();
  let metadataBytes = 0;
  for (const [name, received] of headers) {
    const isMetadata = name.startsWith(metadataPrefix);
    if (!isPassedOn(name, flag, isMetadata)) continue;
    checkField(name, received);
    const value = name === 'content-encoding' ? withoutAwsChunked(received) : received;
    if (value === '' && received !== '') continue;
    if (isMetadata) metadataBytes += name.length - metadataPrefix.length + value.length;
    const earlier = screened.get(name);
    if (earlier === undefined) screened.set(name, value);
    else if (isMetadata || mayBeJoined.has(name)) screened.set(name, `${earlier}, ${value}`);
    else throw invalidRequest(`The header ${name} is given more than once.`);
  }
  if (metadataBytes > maxMetadataBytes) throw new S3Error('MetadataTooLarge');
  return screened;
}

/** That coding is of the request and not of the object, which is stored without it. */
function withoutAwsChunked(codings: string): string {
  if (!/aws-chunked/i.test(codings)) return codings;
  const kept = codings.split(',').map((coding) => coding.trim());
  return kept.filter((coding) => coding !== '' && coding.toLowerCase() !== 'aws-chunked').join(', ');
}

function isPassedOn(name: string, flag: number, isMetadata: boolean): boolean {
  const allowed = passedOn.get(name);
  if (allowed !== undefined) return (allowed & flag) !== 0;
  if (!name.startsWith('x-amz-')) return false;
  // No digest that a client asks to be checked is let go unchecked.
  if (name.startsWith(checksumPrefix) && (flag & (put | part | complete)) !== 0)
    throw invalidRequest('The algorithm in an x-amz-checksum- header is not known.');
  if ((flag & (put | create)) === 0) return false;
  return isMetadata || passedOnPrefixes.some((prefix) => name.startsWith(prefix));
}

function checkField(name: string, value: string): void {
  if (!asciiText.test(value) || !token.test(name)) {
    throw invalidRequest(
      'Header values must be printable US-ASCII; other text may be sent as encoded words (RFC 2047).',
    );
  }
  // API reference of PutObject and CompleteMultipartUpload, If-None-Match: "Expects the '*' character."
  if (name === 'if-none-match' && value !== '*') {
    throw new S3Error('NotImplemented', { detail: 'If-None-Match takes * only.' });
  }
}

function invalidRequest(detail: string): S3Error {
  return new S3Error('InvalidRequest', { detail });
}
