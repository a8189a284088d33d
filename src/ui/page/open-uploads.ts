// Keeps in mind, beyond a reload, which multipart uploads are open: what is needed to go on, and never the token.
import type { TextStore } from './token.ts';

export interface OpenUpload {
  /** The path that the file is sent to. */
  readonly path: string;
  readonly uploadId: string;
  readonly partBytes: number;
  /** What the file is known again by. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  readonly startedAtMs: number;
  /** Until then a tab is at work on it; every few seconds it says so again. */
  readonly busyUntilMs: number;
  /** Nobody wants it any more, but the server could not be told yet. */
  readonly isCancelled: boolean;
}

export type FileTraits = Pick<OpenUpload, 'path' | 'name' | 'sizeBytes' | 'lastModifiedMs'>;

const itemName = 'mizuchi-open-uploads';
/** Servers clean up too: what is older has most likely gone. */
const keptMs = 7 * 24 * 60 * 60 * 1000;
const busyMs = 15_000;

export interface OpenUploads {
  /** The upload that this file began, if there is one to go on with. */
  find(file: FileTraits): OpenUpload | undefined;
  list(): OpenUpload[];
  /** A tab is at work on it from now on. */
  add(upload: Pick<OpenUpload, 'uploadId' | 'partBytes'> & FileTraits): void;
  touch(uploadId: string): void;
  /** Nobody is at work on it for now. */
  release(uploadId: string): void;
  cancel(uploadId: string): void;
  remove(uploadId: string): void;
}

/** Every change is read and written at once, so that tabs beside each other lose nothing. @param now in milliseconds. */
export function createOpenUploads(store: TextStore | undefined, now: () => number): OpenUploads {
  // Where the browser keeps nothing, an upload can be gone on with for as long as the page is open.
  let inMemory = '';

  function read(): OpenUpload[] {
    const oldestMs = now() - keptMs;
    return parse((store === undefined ? inMemory : store.getItem(itemName)) ?? '').filter(
      ({ startedAtMs }) => startedAtMs > oldestMs,
    );
  }

  function write(uploads: readonly OpenUpload[]): void {
    const text = JSON.stringify(uploads);
    try {
      if (store === undefined) inMemory = text;
      else store.setItem(itemName, text);
    } catch {
      // A full store costs the way back after a reload, not the upload.
    }
  }

  const change = (uploadId: string, changes: Partial<OpenUpload>) =>
    write(read().map((one) => (one.uploadId === uploadId ? { ...one, ...changes } : one)));

  return {
    find: (file) =>
      read().find(
        (one) =>
          !one.isCancelled &&
          one.path === file.path &&
          one.name === file.name &&
          one.sizeBytes === file.sizeBytes &&
          one.lastModifiedMs === file.lastModifiedMs,
      ),
    list: read,
    add: ({ path, name, sizeBytes, lastModifiedMs, uploadId, partBytes }) =>
      write([
        ...read().filter((one) => one.uploadId !== uploadId),
        {
          path,
          name,
          sizeBytes,
          lastModifiedMs,
          uploadId,
          partBytes,
          startedAtMs: now(),
          busyUntilMs: now() + busyMs,
          isCancelled: false,
        },
      ]),
    touch: (uploadId) => change(uploadId, { busyUntilMs: now() + busyMs }),
    release: (uploadId) => change(uploadId, { busyUntilMs: 0 }),
    cancel: (uploadId) => change(uploadId, { isCancelled: true, busyUntilMs: 0 }),
    remove: (uploadId) => write(read().filter((one) => one.uploadId !== uploadId)),
  };
}

function parse(text: string): OpenUpload[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isOpenUpload) : [];
  } catch {
    return [];
  }
}

function isOpenUpload(value: unknown): value is OpenUpload {
  if (typeof value !== 'object' || value === null) return false;
  const one = value as Record<keyof OpenUpload, unknown>;
  const texts = [one.path, one.uploadId, one.name];
  const numbers = [one.partBytes, one.sizeBytes, one.lastModifiedMs, one.startedAtMs, one.busyUntilMs];
  return (
    texts.every((text) => typeof text === 'string') &&
    numbers.every((number) => typeof number === 'number') &&
    typeof one.isCancelled === 'boolean'
  );
}
