// Writes a body to a file while it is received: hashing and the next read go on beside the write, and what arrives
// meanwhile goes with the next one.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { S3Error } from '../../errors.ts';
import type { Chunk } from '../../http.ts';
import type { OutgoingBody } from '../storage.ts';

/** Past this, nothing more is read before a write has ended. */
const maxWaitingBytes = 1024 * 1024;

export interface WrittenBody {
  readonly sizeBytes: number;
  readonly md5: Buffer;
}

/**
 * Every chunk is released once, whatever happens, and no write is under way when this settles.
 * @throws the body's failure, the signal's reason, the file system's error, or S3Error IncompleteBody or EntityTooLarge.
 */
export async function writeBody(
  body: OutgoingBody,
  file: FileHandle,
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
): Promise<WrittenBody> {
  const reader = new StoppableReader(body);
  const queue = new WriteQueue(file, (error) => reader.stop(error));
  const stopWithSignal = () => reader.stop(signal.reason);
  if (signal.aborted) stopWithSignal();
  signal.addEventListener('abort', stopWithSignal, { once: true });
  const md5 = createHash('md5');
  let sizeBytes = 0;
  try {
    for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
      sizeBytes += chunk.bytes.byteLength;
      queue.push(chunk);
      if (sizeBytes > (body.length ?? maxBytes))
        throw new S3Error(body.length === undefined ? 'EntityTooLarge' : 'IncompleteBody');
      // The write has begun on another thread; the chunk cannot be released before this has returned.
      md5.update(chunk.bytes);
      await queue.room();
    }
    if (body.length !== undefined && sizeBytes !== body.length) throw new S3Error('IncompleteBody');
  } finally {
    signal.removeEventListener('abort', stopWithSignal);
    await queue.settled();
  }
  queue.throwFailure();
  return { sizeBytes, md5: md5.digest() };
}

/** Reads a body, and can be told to stop while a read is pending: its chunk is then released when it comes. */
class StoppableReader {
  readonly #body: OutgoingBody;
  #stopped: { readonly reason: unknown } | undefined;
  #rejectPending: (reason: unknown) => void = () => undefined;

  constructor(body: OutgoingBody) {
    this.#body = body;
  }

  next(): Promise<Chunk | null> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== undefined) {
        reject(this.#stopped.reason);
        return;
      }
      this.#rejectPending = reject;
      this.#body
        .read()
        .then((chunk) => (this.#stopped === undefined ? resolve(chunk) : chunk?.release()))
        .catch(reject);
    });
  }

  /** The first reason counts. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { reason };
    this.#rejectPending(reason);
  }
}

/** Idle, or one batch is being written while further chunks wait; failed, and every chunk is released at once. */
class WriteQueue {
  readonly #file: FileHandle;
  readonly #onFailure: (error: unknown) => void;
  #waiting: Chunk[] = [];
  #waitingBytes = 0;
  #position = 0;
  /** Never rejects. */
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(file: FileHandle, onFailure: (error: unknown) => void) {
    this.#file = file;
    this.#onFailure = onFailure;
  }

  /** Takes the chunk over. */
  push(chunk: Chunk): void {
    if (this.#failure !== undefined) {
      chunk.release();
      return;
    }
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.bytes.byteLength;
    if (this.#writing === undefined) this.#startBatch();
  }

  /** Resolves when more may be pushed. */
  async room(): Promise<void> {
    while (this.#waitingBytes >= maxWaitingBytes) await this.#writing;
  }

  /** Resolves when nothing waits or is being written. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #startBatch(): void {
    const batch = this.#waiting;
    const position = this.#position;
    this.#position += this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#writing = this.#writeBatch(batch, position);
  }

  async #writeBatch(batch: readonly Chunk[], position: number): Promise<void> {
    try {
      const buffers = batch.map(({ bytes }) => bytes);
      await writeAll(this.#file, buffers, position);
    } catch (error) {
      this.#failure = { error };
      for (const chunk of this.#waiting) chunk.release();
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#onFailure(error);
    } finally {
      for (const chunk of batch) chunk.release();
    }
    this.#writing = undefined;
    if (this.#waiting.length > 0) this.#startBatch();
  }
}

/** A write may take less than it was given (writev(2)). */
export async function writeAll(file: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at);
    at += bytesWritten;
    rest = withoutFirst(rest, bytesWritten);
  }
}

function withoutFirst(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.byteLength) return [buffer.subarray(left), ...buffers.slice(i + 1)];
    left -= buffer.byteLength;
  }
  return [];
}
