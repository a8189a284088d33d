// Which header fields a folder of files can honour. The others are refused: a client that asks for encryption or a lock
// and is told 200 believes that it has them.
import { S3Error } from '../../errors.ts';
import type { ChecksumAlgorithm, ObjectHeaders, OutgoingBody } from '../storage.ts';

const kept: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-disposition',
  'content-language',
  'cache-control',
  'expires',
]);
/** What the caller has verified or acts on, and what asks for nothing. */
const understood: ReadonlySet<string> = new Set([
  'content-md5',
  'if-match',
  'if-none-match',
  'x-amz-checksum-algorithm',
  'x-amz-checksum-type',
  'x-amz-mp-object-size',
  'x-amz-sdk-checksum-algorithm',
]);
const checksumAlgorithms: readonly ChecksumAlgorithm[] = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'];
const metadataPrefix = 'x-amz-meta-';
/** Amazon S3 User Guide, "Working with object metadata": names and values, in UTF-8. */
const maxMetadataBytes = 2048;

export interface WriteConditions {
  /** `If-None-Match: *`: only when no object is there. */
  readonly mustBeNew: boolean;
  /** `If-Match`: only when the object that is there has this ETag, or any when it is `*`. */
  readonly etag: string | undefined;
}

export interface ScreenedHeaders {
  /** To be kept with the object. */
  readonly kept: Readonly<Record<string, string>>;
  readonly checksums: readonly (readonly [algorithm: ChecksumAlgorithm, base64: string])[];
  readonly conditions: WriteConditions;
}

/** @throws S3Error NotImplemented for a field that cannot be honoured, MetadataTooLarge. */
export function screenHeaders(headers: ObjectHeaders): ScreenedHeaders {
  const keptFields: Record<string, string> = {};
  const checksums: [ChecksumAlgorithm, string][] = [];
  let metadataBytes = 0;
  for (const [name, value] of headers) {
    const algorithm = checksumAlgorithms.find((known) => name === `x-amz-checksum-${known}`);
    if (algorithm !== undefined) {
      checksums.push([algorithm, value]);
    } else if (name.startsWith(metadataPrefix)) {
      metadataBytes += Buffer.byteLength(name) - metadataPrefix.length + Buffer.byteLength(value);
      keptFields[name] = value;
    } else if (kept.has(name)) {
      keptFields[name] = value;
    } else if (!understood.has(name) && !(name === 'x-amz-storage-class' && value === 'STANDARD')) {
      throw new S3Error('NotImplemented', { detail: `This bucket does not support ${name}.` });
    }
  }
  if (metadataBytes > maxMetadataBytes) throw new S3Error('MetadataTooLarge');
  return { kept: keptFields, checksums, conditions: readConditions(headers) };
}

function readConditions(headers: ObjectHeaders): WriteConditions {
  const ifNoneMatch = headers.get('if-none-match');
  // API reference of PutObject, If-None-Match: "Expects the '*' character."
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw new S3Error('NotImplemented', { detail: 'If-None-Match takes * only.' });
  }
  return { mustBeNew: ifNoneMatch === '*', etag: headers.get('if-match') };
}

/** What the header said, and what came behind the body, which must have been read to its end. */
export function withBodyChecksum(
  checksums: ScreenedHeaders['checksums'],
  { checksum }: OutgoingBody,
): ScreenedHeaders['checksums'] {
  return checksum?.base64 === undefined ? checksums : [...checksums, [checksum.algorithm, checksum.base64]];
}

/** `x-amz-checksum-…` of the answer. */
export function checksumFields(checksums: ScreenedHeaders['checksums']): ReadonlyMap<string, string> {
  return new Map(checksums.map(([algorithm, base64]) => [`x-amz-checksum-${algorithm}`, base64]));
}
