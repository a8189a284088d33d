// The header fields that go to the backend, for each operation. What is not among them is dropped.

const put = 1;
const create = 2;
const part = 4;
const complete = 8;
const list = 16;

const operations: ReadonlyMap<string, number> = new Map([
  ['PutObject', put],
  ['CreateMultipartUpload', create],
  ['UploadPart', part],
  ['CompleteMultipartUpload', complete],
  ['ListParts', list],
]);

/** Source: Amazon S3 API Reference, request syntax of each operation. */
const fields: ReadonlyMap<string, number> = new Map([
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
export const metadataPrefix = 'x-amz-meta-';
/** Encryption and locks: a field of them that S3 may yet get must not be dropped, for the client would believe it has it. */
const families = ['x-amz-server-side-encryption', 'x-amz-object-lock-'];
const prefixes = [metadataPrefix, ...families];
const checksumPrefix = 'x-amz-checksum-';

/**
 * MinIO (internal/http/headers.go, cmd/globals.go) and AWS Snowball Edge take these for commands: to unpack the body into objects
 * of any key, or to pass by what holds others up. `X-Minio-` is MinIO's own.
 */
const command = /^x-amz-meta-(?:snowball-auto-extract$|(?:x-)?minio-)/;

/** @param operation S3's name. @param name in lower case. */
export function goesToBackend(operation: string, name: string): boolean {
  const flag = operations.get(operation) ?? 0;
  const allowed = fields.get(name);
  if (allowed !== undefined) return (allowed & flag) !== 0;
  if (!name.startsWith('x-amz-') || (flag & (put | create)) === 0) return false;
  return prefixes.some((prefix) => name.startsWith(prefix));
}

/** Whether a field is the digest of a body, or of an object, by an algorithm that nobody here knows. */
export function isUnknownChecksum(operation: string, name: string): boolean {
  if (!name.startsWith(checksumPrefix) || fields.has(name)) return false;
  return ((operations.get(operation) ?? 0) & (put | part | complete)) !== 0;
}

/** Whether a backend would do something else with the body than store it. @param name in lower case. */
export function isCommand(name: string): boolean {
  return command.test(name);
}

/** The beginning that a field of encryption or of locks has in common with those that make sense with it only. */
export function familyOf(name: string): string | undefined {
  return families.find((prefix) => name.startsWith(prefix));
}

/** Whether a pattern, in lower case, is the name of a field that goes to the backend, or the beginning of one and `*`. */
export function isFieldPattern(pattern: string): boolean {
  if (!pattern.endsWith('*')) return goesToBackend('PutObject', pattern) || fields.has(pattern);
  const start = pattern.slice(0, -1);
  return (
    prefixes.some((prefix) => start.startsWith(prefix)) ||
    [...fields.keys(), ...prefixes].some((name) => name.startsWith(start))
  );
}
