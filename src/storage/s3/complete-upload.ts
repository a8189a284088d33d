// Completing a multipart upload, whose answer may be lost although the object was made.
import { createHash } from 'node:crypto';
import type { CompletedPart as SdkPart, CompleteMultipartUploadOutput } from '@aws-sdk/client-s3';
import { S3Error } from '../../errors.ts';
import type { CompletedPart, Storage, Stored, UploadAddress } from '../storage.ts';
import type { ControlClient } from './control-client.ts';
import { lookAtObject, unquoted, type FoundObject, type HeadOptions } from './head-object.ts';
import { pickShownHeaders } from './header-field.ts';

/** Uploads of which it is remembered that an answer was lost. A caller that gives up leaves one behind: the oldest goes first. */
const maxRemembered = 1000;
/** Of an object that an upload may have made which we know nothing of, in milliseconds. */
const maxAgeMs = 60 * 60 * 1000;

export function createCompleteUpload(client: ControlClient): Storage['completeMultipartUpload'] {
  const lost = new Set<string>();
  return async (upload, parts, headers, signal, trace) => {
    // Not every service says so itself, or says it first.
    if (parts.some(({ partNumber }, i) => partNumber <= (parts[i - 1]?.partNumber ?? 0)))
      throw new S3Error('InvalidPartOrder');
    signal.throwIfAborted();
    const { uploadId } = upload;
    const options = { headers, signal, trace };
    try {
      const stored = await complete(client, upload, parts, options);
      lost.delete(uploadId);
      return stored;
    } catch (error) {
      const wasLost = lost.has(uploadId);
      const isLost = isLostAnswer(error);
      // Before the look, which may be given up.
      if (isLost) remember(lost, uploadId);
      if (!(error instanceof S3Error) || !mayHaveSucceeded(error, wasLost)) throw error;
      // While the upload may still be open, another attempt tells more than an old object of the same parts.
      const stored = await findStored(client, upload, parts, options, wasLost && !isLost);
      if (stored === 'unknown') throw isLost ? error : new S3Error('ServiceUnavailable', { cause: error });
      if (stored !== undefined || !isLost) lost.delete(uploadId);
      if (stored !== undefined) return stored;
      throw error;
    }
  };
}

/** Of a client that has left, too: it may come back and complete again. */
function isLostAnswer(error: unknown): boolean {
  return !(error instanceof S3Error) || (error.retryable && error.code !== 'SlowDown');
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
  return isLostAnswer(error);
}

/**
 * The object, if it is the one that these parts make; 'unknown' when nobody can tell.
 * @param wasLost an earlier attempt's answer was lost, so that the object is expected. Without that, what cannot be looked at is
 * taken for not there, and an object only counts while it is recent.
 */
async function findStored(
  client: ControlClient,
  upload: UploadAddress,
  parts: readonly CompletedPart[],
  options: HeadOptions,
  wasLost: boolean,
): Promise<Stored | 'unknown' | undefined> {
  const found = await lookAtObject(client, upload, options);
  if (found === 'unseen') return wasLost ? 'unknown' : undefined;
  if (found === 'nothing' || !(wasLost || isRecent(found.headers))) return undefined;
  const isOwn = isMadeOf(found, parts);
  if (isOwn === undefined) return 'unknown';
  return isOwn ? { etag: found.etag, headers: pickShownHeaders(found.headers) } : undefined;
}

/**
 * A client that completes again, because it has lost our answer or another proxy's, finds its object made a moment ago. An older
 * one of the same parts is another upload's: it lacks this one's metadata, and a made-up upload must not find out what a key
 * holds. Amazon S3 dates an object from when its upload was created, but answers a completion made again by itself.
 */
function isRecent(headers: ReadonlyMap<string, string>): boolean {
  const nowMs = Date.parse(headers.get('date') ?? '');
  const modifiedMs = Date.parse(headers.get('last-modified') ?? '');
  return (Number.isNaN(nowMs) ? Date.now() : nowMs) - modifiedMs <= maxAgeMs;
}

/** Undefined when its ETag does not tell: under some encryptions it is no MD5, and an object of as many parts may be ours. */
function isMadeOf({ etag, hasOpaqueEtag }: FoundObject, parts: readonly CompletedPart[]): boolean | undefined {
  const expected = etagOfParts(parts);
  if (expected !== undefined && unquoted(etag) === expected) return true;
  const tellsNothing = expected === undefined || hasOpaqueEtag;
  return tellsNothing && unquoted(etag).endsWith(`-${parts.length}`) ? undefined : false;
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
