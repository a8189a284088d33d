// Decides how a body goes to the backend: as one PutObject, or cut into parts of which size.
import { S3Error } from '../../errors.ts';
import type { StorageLimits } from '../../storage/storage.ts';

export interface PlanOptions {
  /** Bytes announced; undefined when the length is not known. */
  readonly length: number | undefined;
  readonly multipartThresholdBytes: number;
  readonly partBytes: number;
  readonly maxObjectBytes: number;
  readonly limits: StorageLimits;
}

export type Plan =
  | { readonly kind: 'put'; readonly length: number | undefined }
  /** Parts of `partBytes`, the last one shorter. */
  | { readonly kind: 'multipart'; readonly length: number; readonly partBytes: number }
  /** Each part is held until it is whole, as the backend must be told its length. */
  | { readonly kind: 'unknown-length'; readonly partBytes: number };

const mib = 1024 * 1024;

/** @throws S3Error EntityTooLarge when the announced length is more than is allowed or than the backend can take. */
export function choosePlan({ length, multipartThresholdBytes, partBytes, maxObjectBytes, limits }: PlanOptions): Plan {
  if (length !== undefined && length > Math.min(maxObjectBytes, limits.maxObjectBytes))
    throw new S3Error('EntityTooLarge');
  if (limits.streamsAnyLength) return { kind: 'put', length };
  if (length === undefined) return { kind: 'unknown-length', partBytes };
  if (length <= multipartThresholdBytes && length <= limits.maxPutBytes) return { kind: 'put', length };
  // In whole MiB, so that part boundaries stay where a person expects them.
  const neededBytes = Math.ceil(length / limits.maxParts / mib) * mib;
  const chosenBytes = Math.max(partBytes, neededBytes, limits.minPartBytes);
  if (chosenBytes > limits.maxPartBytes) throw new S3Error('EntityTooLarge');
  return { kind: 'multipart', length, partBytes: chosenBytes };
}
