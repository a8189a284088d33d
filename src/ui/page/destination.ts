// Where a file goes: from bucket, folder and the file's own path to the path of the request.

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

/** For people: bucket and folders of a path, as they were typed. */
export function readableFolder(path: string): string {
  return path.split('/').slice(1, -1).map(decodeURIComponent).join('/');
}

function encodeSegment(segment: string): string {
  // A lone surrogate, which some file systems allow in names, has no encoding.
  return encodeURIComponent(segment.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
