// Whether the object that a client makes of its parts has a size that the bucket takes: nobody but the backend knows that of a part.
import { S3Error } from '../../errors.ts';
import type { CompletedPart, ListedPart, ObjectHeaders, PartsPage, UploadAddress } from '../../storage/storage.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';

/** The most that S3 lists at once: API reference of ListParts, max-parts. */
const maxListedParts = 1000;
/** What a part that was sent with them cannot be listed without. */
const isForListing = /^x-amz-(?:server-side-encryption-customer-.+|expected-bucket-owner)$/;

/**
 * Asks the backend for nothing where its own limits are the bucket's. A part that is replaced after it was looked at has
 * another ETag than the one in `parts`, and the backend refuses it then.
 * @param headers of CompleteMultipartUpload.
 * @throws S3Error EntityTooLarge, EntityTooSmall; InvalidPart for a part that is not there as the client names it.
 */
export async function checkObjectSize(
  context: Pick<OperationContext, 'settings' | 'storage' | 'request'>,
  upload: UploadAddress,
  parts: readonly CompletedPart[],
  headers: ObjectHeaders,
): Promise<void> {
  const { settings, storage } = context;
  if (settings.maxObjectBytes >= storage.limits.maxObjectBytes && settings.minObjectBytes === 0) return;
  const listed = await listParts(context, upload, Math.max(0, ...parts.map(({ partNumber }) => partNumber)), headers);
  // Perhaps it is completed already, and the answer was lost: the storage finds that out. There are no parts any more to make
  // another object of.
  if (listed === undefined) return;
  let bytes = 0;
  for (const part of parts) bytes += sizeOf(part, listed);
  if (bytes > settings.maxObjectBytes) throw new S3Error('EntityTooLarge');
  if (bytes < settings.minObjectBytes) throw new S3Error('EntityTooSmall');
}

/**
 * Of an object whose first bytes are looked at: the first of several parts has as many as a part must have. Not every backend sees to
 * that, and of a shorter one there would be less to look at than of the object.
 * @throws S3Error EntityTooSmall; InvalidPart for one that is not there as the client names it.
 */
export async function checkFirstPart(
  context: Pick<OperationContext, 'settings' | 'storage' | 'request'>,
  upload: UploadAddress,
  [first, ...others]: readonly CompletedPart[],
  headers: ObjectHeaders,
): Promise<void> {
  if (first?.partNumber !== 1) throw new S3Error('InvalidPart', { detail: firstPartMissing });
  const listed = others.length === 0 ? undefined : await listParts(context, upload, 1, headers);
  if (listed !== undefined && sizeOf(first, listed) < context.storage.limits.minPartBytes)
    throw new S3Error('EntityTooSmall');
}

const firstPartMissing = 'This bucket looks at the first bytes of an object: part 1 must be one of the parts.';

function sizeOf({ partNumber, etag }: CompletedPart, listed: ReadonlyMap<number, ListedPart>): number {
  const part = listed.get(partNumber);
  if (part === undefined || unquoted(part.etag) !== unquoted(etag)) throw new S3Error('InvalidPart');
  return part.size;
}

/** @returns the parts up to a number; undefined when there is no such upload. */
async function listParts(
  { storage, settings: { retry }, request: { signal } }: Pick<OperationContext, 'settings' | 'storage' | 'request'>,
  upload: UploadAddress,
  lastPartNumber: number,
  headers: ObjectHeaders,
): Promise<ReadonlyMap<number, ListedPart> | undefined> {
  const found = new Map<number, ListedPart>();
  const fields = new Map([...headers].filter(([name]) => isForListing.test(name)));
  const maxParts = Math.min(lastPartNumber, maxListedParts);
  const listAfter = (partNumberMarker: number): Promise<PartsPage> =>
    withRetries(() => storage.listParts(upload, { maxParts, partNumberMarker }, fields, signal), { retry, signal });
  try {
    for (let marker = 0; marker < lastPartNumber;) {
      const { parts, nextPartNumberMarker } = await listAfter(marker);
      for (const part of parts) found.set(part.partNumber, part);
      // One that does not lead on would be asked for again and again.
      if (nextPartNumberMarker === undefined || nextPartNumberMarker <= marker) break;
      marker = nextPartNumberMarker;
    }
  } catch (error) {
    if (error instanceof S3Error && error.code === 'NoSuchUpload') return undefined;
    throw error;
  }
  return found;
}

const unquoted = (etag: string): string => etag.replaceAll(/^"|"$/g, '');
