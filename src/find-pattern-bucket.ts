// Finds the bucket that serves a name by its pattern, for the command line.
import { findBucketNameFault } from './bucket-name.ts';
import type { BucketConfig } from './config/config.ts';
import { compileBucketPattern } from './routing/bucket-pattern.ts';

/** As the proxy picks: of the patterns that match, the one that says most; none for a name that no bucket can have. */
export function findPatternBucket(buckets: readonly BucketConfig[], name: string): BucketConfig | undefined {
  if (findBucketNameFault(name) !== undefined) return undefined;
  return buckets
    .filter(({ isPattern }) => isPattern)
    .map((bucket) => ({ bucket, pattern: compileBucketPattern(bucket.name) }))
    .toSorted((a, b) => b.pattern.literalCharacters - a.pattern.literalCharacters)
    .find(({ pattern }) => pattern.matches(name))?.bucket;
}
