// Where a file goes: from bucket, folder and the file's own path to the path of the request.
import type { PageBucket } from '../page-settings.ts';

export interface Destination {
  /** Path of the bucket, such as `/uploads`. */
  readonly bucketPath: string;
  /** As typed; may be empty. */
  readonly folder: string;
}

/** @returns undefined when the folder cannot be part of a key: `.` and `..` are refused by the server. */
export function cleanFolder(typed: string): string | undefined {
  const segments = typed
    .split('/')
    .map((segment) => segment.trim())
    .filter((segment) => segment !== '');
  return segments.some((segment) => segment === '.' || segment === '..') ? undefined : segments.join('/');
}

/** @param filePath the file's name, with its folders when a whole folder was chosen. */
export function objectPath({ bucketPath, folder }: Destination, filePath: string): string {
  const key = [cleanFolder(folder) ?? '', ...filePath.split('/')].filter((segment) => segment !== '').join('/');
  return `${bucketPath}/${key.split('/').map(encodeSegment).join('/')}`;
}

/** The bucket that the path of a request leads into; undefined when the server has none of that name any more. */
export function bucketOf(buckets: readonly PageBucket[], requestPath: string): PageBucket | undefined {
  const firstSegment = requestPath.split('/')[1] ?? '';
  const found = buckets.filter(({ path, name }) =>
    path === null ? matchesPattern(name, firstSegment) : requestPath.startsWith(`${path}/`),
  );
  // As the server chooses: the longest path, or else the closest pattern.
  found.sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0) || b.name.length - a.name.length);
  return found[0];
}

/** Whether the server would take the name is the server's to say; what cannot be meant is caught here. */
export function matchesPattern(pattern: string, name: string): boolean {
  const before = pattern.slice(0, pattern.indexOf('*'));
  const after = pattern.slice(pattern.lastIndexOf('*') + 1);
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    name.length >= before.length + after.length &&
    name.startsWith(before) &&
    name.endsWith(after)
  );
}

/** For people: bucket and folders of a path, as they were typed. */
export function readableFolder(path: string): string {
  return path.split('/').slice(1, -1).map(decodeURIComponent).join('/');
}

function encodeSegment(segment: string): string {
  // A lone surrogate, which some file systems allow in names, has no encoding.
  return encodeURIComponent(segment.replaceAll(/\p{Surrogate}/gu, '\ufffd')).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
