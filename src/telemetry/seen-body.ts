// A body of which it is measured who waits for whom: the backend for bytes, or the bytes for the backend.
import type { Chunk } from '../http.ts';
import type { OutgoingBody } from '../storage/storage.ts';

export class SeenBody implements OutgoingBody {
  readonly length: number | undefined;
  readonly checksum: OutgoingBody['checksum'];
  readonly #body: OutgoingBody;
  /** Of chunks that the backend has taken: those behind which it was given another, and in the end the last one. */
  bytes = 0;
  firstBytesAtMs: number | undefined;
  clientWaitMs = 0;
  backendWaitMs = 0;
  hasFailed = false;
  /** The backend was given it whole. */
  isSent = false;
  /** Of a read that is under way. */
  #askedAtMs: number | undefined;
  /** Of the last chunk, until the next is asked for. */
  #givenAtMs: number | undefined;
  /** Of the last chunk, until the next is given. */
  #givenBytes = 0;

  constructor(body: OutgoingBody) {
    this.#body = body;
    this.length = body.length;
    this.checksum = body.checksum;
  }

  /** All parts of an upload wait for memory together, also those that have all their bytes. */
  get memoryWaitMs(): number {
    return Math.min(this.#body.memoryWaitMs ?? 0, this.clientWaitMs);
  }

  async read(): Promise<Chunk | null> {
    const askedAtMs = performance.now();
    if (this.#givenAtMs !== undefined) this.backendWaitMs += askedAtMs - this.#givenAtMs;
    this.#askedAtMs = askedAtMs;
    this.#givenAtMs = undefined;
    let chunk: Chunk | null;
    let givenAtMs: number;
    try {
      chunk = await this.#body.read();
    } catch (error) {
      this.hasFailed = true;
      throw error;
    } finally {
      givenAtMs = performance.now();
      this.clientWaitMs += givenAtMs - askedAtMs;
      this.#askedAtMs = undefined;
    }
    if (chunk === null) {
      this.isSent = true;
    } else {
      this.#givenAtMs = givenAtMs;
      this.firstBytesAtMs ??= givenAtMs;
      this.#takeGiven();
      this.#givenBytes = chunk.bytes.byteLength;
    }
    return chunk;
  }

  sentNothing(): void {
    this.isSent = false;
    this.#givenBytes = 0;
    this.firstBytesAtMs = undefined;
  }

  /** Adds the wait that the end of the call has cut short. */
  close(nowMs: number): void {
    this.#takeGiven();
    if (this.#askedAtMs !== undefined) this.clientWaitMs += nowMs - this.#askedAtMs;
    // With its last chunk the body has nothing more to give: the rest is the backend's time for its answer.
    else if (this.#givenAtMs !== undefined && this.bytes !== this.length) this.backendWaitMs += nowMs - this.#givenAtMs;
  }

  #takeGiven(): void {
    this.bytes += this.#givenBytes;
    this.#givenBytes = 0;
  }
}
