// Completing a multipart upload, whose answer may be lost although the object was made.
import { createHash } from 'node:crypto';
import type { CompletedPart as SdkPart, CompleteMultipartUploadOutput } from '@aws-sdk/client-s3';
import { S3Error } from '../../errors.ts';
import type { CompletedPart, Storage, Stored, UploadAddress } from '../storage.ts';
import type { ControlClient } from './control-client.ts';
import { headObject, unquoted, type HeadOptions } from './head-object.ts';
import { pickShownHeaders } from './header-field.ts';

/** Uploads of which it is remembered that an answer was lost. A caller that gives up leaves one behind: the oldest goes first. */
const maxRemembered = 1000;

export function createCompleteUpload(client: ControlClient): Storage['completeMultipartUpload'] {
  const lost = new Set<string>();
  return async (upload, parts, headers, signal, trace) => {
    // Not every service says so itself, or says it first.
    if (parts.some(({ partNumber }, i) => partNumber <= (parts[i - 1]?.partNumber ?? 0)))
      throw new S3Error('InvalidPartOrder');
    try {
      const stored = await complete(client, upload, parts, { headers, signal, trace });
      lost.delete(upload.uploadId);
      return stored;
    } catch (error) {
      if (!(error instanceof S3Error) || !mayHaveSucceeded(error, lost.has(upload.uploadId))) throw error;
      const stored = await findStored(client, upload, parts, { headers, signal, trace });
      lost.delete(upload.uploadId);
      if (stored !== undefined) return stored;
      if (error.retryable) remember(lost, upload.uploadId);
      throw error;
    }
  };
}

function remember(lost: Set<string>, uploadId: string): void {
  lost.add(uploadId);
  const [oldest] = lost;
  if (lost.size > maxRemembered && oldest !== undefined) lost.delete(oldest);
}

async function complete(
  client: ControlClient,
  { bucket, key, uploadId }: UploadAddress,
  parts: readonly CompletedPart[],
  { headers, signal, trace }: HeadOptions,
): Promise<Stored> {
  const MultipartUpload = { Parts: parts.map(toSdkPart) };
  const answer = await client.call({
    command: (sdk) =>
      new sdk.CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload }),
    headers,
    signal,
    trace,
  });
  const etag = answer.output.ETag;
  // An answer without it is no answer: whether the object is there is then asked of the backend.
  if (etag === undefined || etag === '') throw new S3Error('ServiceUnavailable', { retryable: true });
  return { etag, headers: new Map([...pickShownHeaders(answer.headers), ...checksumHeaders(answer.output)]) };
}

/**
 * Whether the object may be there all the same: the answer was lost or said nothing certain; the upload is gone, perhaps
 * because an earlier attempt completed it; or a condition fails, perhaps on the object that such an attempt made.
 */
function mayHaveSucceeded(error: S3Error, wasLost: boolean): boolean {
  if (error.code === 'NoSuchUpload') return true;
  if (error.code === 'PreconditionFailed' || error.code === 'ConditionalRequestConflict') return wasLost;
  return error.retryable && error.code !== 'SlowDown';
}

/** The object, if it is the one that these parts make. */
async function findStored(
  client: ControlClient,
  upload: UploadAddress,
  parts: readonly CompletedPart[],
  options: HeadOptions,
): Promise<Stored | undefined> {
  const found = await headObject(client, upload, options);
  if (found === undefined) return undefined;
  const { etag, hasOpaqueEtag, headers } = found;
  const expected = etagOfParts(parts);
  if (expected !== undefined && unquoted(etag) === expected) {
    return { etag, headers: pickShownHeaders(headers) };
  }
  // Under these encryptions an ETag is no MD5, so that an object of as many parts may be ours: nobody can tell yet.
  if ((expected === undefined || hasOpaqueEtag) && unquoted(etag).endsWith(`-${parts.length}`))
    throw new S3Error('ServiceUnavailable', { retryable: true });
  return undefined;
}

/** `MD5(MD5 of part 1, MD5 of part 2, …)-N`; undefined when a part's ETag is no MD5. */
function etagOfParts(parts: readonly CompletedPart[]): string | undefined {
  const whole = createHash('md5');
  for (const { etag } of parts) {
    const hex = unquoted(etag);
    if (!/^[0-9a-f]{32}$/i.test(hex)) return undefined;
    whole.update(hex, 'hex');
  }
  return `${whole.digest('hex')}-${parts.length}`;
}

const memberOf = {
  crc32: 'ChecksumCRC32',
  crc32c: 'ChecksumCRC32C',
  crc64nvme: 'ChecksumCRC64NVME',
  sha1: 'ChecksumSHA1',
  sha256: 'ChecksumSHA256',
} as const;

function toSdkPart({ partNumber, etag, checksums = [] }: CompletedPart): SdkPart {
  const part: SdkPart = { PartNumber: partNumber, ETag: etag };
  for (const [algorithm, base64] of checksums) part[memberOf[algorithm]] = base64;
  return part;
}

/** The checksums stand in the document, where the answer to a PUT has them in its head. */
function checksumHeaders(output: CompleteMultipartUploadOutput): [name: string, value: string][] {
  const fields: [string, string | undefined][] = [
    ['x-amz-checksum-crc32', output.ChecksumCRC32],
    ['x-amz-checksum-crc32c', output.ChecksumCRC32C],
    ['x-amz-checksum-crc64nvme', output.ChecksumCRC64NVME],
    ['x-amz-checksum-sha1', output.ChecksumSHA1],
    ['x-amz-checksum-sha256', output.ChecksumSHA256],
    ['x-amz-checksum-type', output.ChecksumType],
  ];
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}
