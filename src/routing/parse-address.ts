// Finds the bucket that a path belongs to, and the key of the object in it.
import { findBucketNameFault } from '../bucket-name.ts';
import { S3Error } from '../errors.ts';
import { compileBucketPattern } from './bucket-pattern.ts';
import { decodeKey } from './decode-key.ts';
import { percentDecode } from '../uri/percent-decode.ts';

/** Where a bucket is served. */
export interface BucketRoute<Target> {
  /** An exact name, or a pattern with `*`. */
  readonly name: string;
  /** Leading slash, no trailing one, unreserved characters and slashes only; undefined: the first segment is the bucket. */
  readonly pathPrefix: string | undefined;
  /** The backend's name for the bucket; undefined for patterns: the first segment itself. */
  readonly backendBucket: string | undefined;
  /** Where the backend's buckets are: two of one name in one place are the same bucket. */
  readonly backend: string;
  /** What serves the bucket. */
  readonly target: Target;
}

export interface Address<Target> {
  readonly bucket: Target;
  /** The bucket as the client names it. */
  readonly bucketName: string;
  readonly backendBucket: string;
  /** Decoded once; undefined when the path names the bucket itself, with or without a slash behind. */
  readonly key: string | undefined;
}

/** @throws S3Error NoSuchBucket, InvalidURI, KeyTooLongError; MethodNotAllowed for the list of all buckets. */
export type AddressParser<Target> = (rawPath: string) => Address<Target>;

/**
 * The longest prefix wins, then the bucket's name as first segment, then the pattern with the most literal characters (the
 * earlier one of equals). A pattern opens no bucket that another entry names: it has rules of its own. Prefixes are compared segment by segment after percent-decoding, as RFC 3986, section 6.2.2.2
 * has it for unreserved characters; an encoded slash divides nothing.
 * @param routes no two of one prefix or name.
 */
export function createAddressParser<Target>(routes: readonly BucketRoute<Target>[]): AddressParser<Target> {
  const findRoute = createRouteFinder(routes);
  return (rawPath) => {
    const { route, bucketName, rawKey } = findRoute(rawPath);
    return {
      bucket: route.target,
      bucketName,
      backendBucket: route.backendBucket ?? bucketName,
      key: rawKey === '' ? undefined : decodeKey(rawKey),
    };
  };
}

/** Finds what serves a path, whatever is wrong with the key in it; undefined when nothing does. */
export function createBucketFinder<Target>(
  routes: readonly BucketRoute<Target>[],
): (rawPath: string) => Target | undefined {
  const findRoute = createRouteFinder(routes);
  return (rawPath) => {
    try {
      return findRoute(rawPath).route.target;
    } catch (error) {
      if (error instanceof S3Error) return undefined;
      throw error;
    }
  };
}

interface FoundRoute<Target> {
  readonly route: BucketRoute<Target>;
  readonly bucketName: string;
  readonly rawKey: string;
}

function createRouteFinder<Target>(routes: readonly BucketRoute<Target>[]): (rawPath: string) => FoundRoute<Target> {
  const byPrefix = new Map<string, BucketRoute<Target>>();
  for (const route of routes) {
    const prefix = route.pathPrefix ?? (route.name.includes('*') ? undefined : `/${route.name}`);
    if (prefix !== undefined) byPrefix.set(prefix, route);
  }
  const maxSegments = Math.max(1, ...[...byPrefix.keys()].map((prefix) => prefix.split('/').length - 1));
  const findByPattern = createPatternFinder(routes);

  return (rawPath) => {
    if (rawPath === '/') throw listBucketsRefusal();
    if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI');
    let found: BucketRoute<Target> | undefined;
    let keyAt = 0;
    let prefix = '';
    for (let end = 0, depth = 0; depth < maxSegments && end < rawPath.length; depth++) {
      const start = end + 1;
      end = endOfSegment(rawPath, start);
      const segment = decodeSegment(rawPath.slice(start, end));
      if (segment === undefined) break;
      prefix += `/${segment}`;
      const route = byPrefix.get(prefix);
      if (route === undefined) continue;
      found = route;
      keyAt = end + 1;
    }
    if (found !== undefined) return { route: found, bucketName: found.name, rawKey: rawPath.slice(keyAt) };

    const end = endOfSegment(rawPath, 1);
    const bucketName = percentDecode(rawPath.slice(1, end));
    const route = findByPattern(bucketName);
    if (route === undefined) throw new S3Error('NoSuchBucket');
    return { route, bucketName, rawKey: rawPath.slice(end + 1) };
  };
}

/** Undefined when it can be no segment of a prefix: it holds a slash, or is nothing that can be decoded. */
function decodeSegment(raw: string): string | undefined {
  try {
    const segment = percentDecode(raw);
    return segment.includes('/') ? undefined : segment;
  } catch (error) {
    if (error instanceof S3Error) return undefined;
    throw error;
  }
}

function createPatternFinder<Target>(
  routes: readonly BucketRoute<Target>[],
): (name: string) => BucketRoute<Target> | undefined {
  const patterns = routes
    .filter(({ name, pathPrefix }) => name.includes('*') && pathPrefix === undefined)
    .map((route) => ({ route, pattern: compileBucketPattern(route.name) }))
    .toSorted((a, b) => b.pattern.literalCharacters - a.pattern.literalCharacters);
  const exact = routes.filter(({ name }) => !name.includes('*'));
  const names = new Set(exact.map(({ name }) => name));
  const backendBuckets = new Set(exact.map(({ backend, backendBucket = '' }) => `${backend} ${backendBucket}`));
  return (name) => {
    const route = patterns.find(({ pattern }) => pattern.matches(name))?.route;
    // The name goes to the backend as it is: one that S3 would not let anybody create names no bucket.
    if (route === undefined || findBucketNameFault(name) !== undefined || names.has(name)) return undefined;
    const opensAnother = route.backendBucket === undefined && backendBuckets.has(`${route.backend} ${name}`);
    return opensAnother ? undefined : route;
  };
}

function endOfSegment(rawPath: string, start: number): number {
  const slash = rawPath.indexOf('/', start);
  return slash === -1 ? rawPath.length : slash;
}

/** RFC 9110, section 10.2.1: an empty Allow says that no method is. */
function listBucketsRefusal(): S3Error {
  return new S3Error('MethodNotAllowed', { headers: [['Allow', '']] });
}
