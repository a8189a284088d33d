// The buckets of the configuration as the upload page needs to know them.
import type { BucketConfig } from '../config/config.ts';
import type { PageBucket } from './page-settings.ts';

/** A page has a token or nothing: buckets that take signatures alone, or tokens in places of their own, are left out. */
export function describeBuckets(buckets: readonly BucketConfig[]): PageBucket[] {
  return buckets.flatMap(({ name, pathPrefix, auth, upload }) => {
    const sources = auth.enabled ? (auth.jwt?.tokenSources ?? []) : [];
    const takesBearer = sources.some(({ type }) => type === 'bearer');
    // The browser sends the cookie of its own origin by itself.
    const takesCookie = sources.some(({ type }) => type === 'cookie');
    if (auth.enabled && !takesBearer && !takesCookie) return [];
    return [
      {
        name,
        path: pathPrefix ?? null,
        needsToken: takesBearer && !takesCookie,
        maxObjectBytes: upload.maxObjectBytes,
        minObjectBytes: upload.minObjectBytes,
        allowedContentTypes: upload.policy.allowedContentTypes,
      },
    ];
  });
}
