// Remembers which multipart uploads have ended, as a client may end one again: its backend may say each time that it is done.
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** For the repeats of clients that did not see the first answer, which come within minutes. A megabyte or so when full. */
const maxRemembered = 10_000;

export class EndedUploads {
  readonly #remembered = new LRUCache<string, true>({ max: maxRemembered });

  /** @returns whether this is the first time, as far as is remembered. */
  add(bucket: string, uploadId: string): boolean {
    // Ids are as long as their backend, or a client, likes.
    const key = hash('sha256', `${bucket}\n${uploadId}`, 'base64');
    if (this.#remembered.get(key) === true) return false;
    this.#remembered.set(key, true);
    return true;
  }
}
