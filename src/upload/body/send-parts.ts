// Cuts a body into parts and sends several at a time: each while it is received when its length is known, or when it is
// whole when only the end of the body will tell.
import { S3Error } from '../../errors.ts';
import type { Chunk } from '../../http.ts';
import type { BodyChecksum, CompletedPart, OutgoingBody, Stored } from '../../storage/storage.ts';
import type { PartedCrc } from './crc.ts';
import { HeldPart } from './held-part.ts';
import type { IncomingBody } from './incoming-body.ts';
import { withRetries, type RetryOptions } from './retry.ts';
import { splitChunk } from './split-chunk.ts';
import type { UploadMemory } from './upload-memory.ts';

export type SendPart = (partNumber: number, body: OutgoingBody, signal: AbortSignal) => Promise<Stored>;

export interface PartSenderOptions {
  readonly send: SendPart;
  readonly memory: UploadMemory;
  readonly concurrentParts: number;
  readonly retry: RetryOptions;
  readonly signal: AbortSignal;
  /** What each part shall carry its own of. */
  readonly crc?: PartedCrc | undefined;
}

/** The parts in flight. The first failure stops all of them, and is what `finished` throws. */
export class PartSender {
  readonly #options: PartSenderOptions;
  readonly #stop = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #completed: CompletedPart[] = [];
  readonly #onStop: (reason: unknown) => void;

  /** @param onStop told when no more bytes are wanted, for whatever reason. */
  constructor(options: PartSenderOptions, onStop: (reason: unknown) => void) {
    this.#options = options;
    this.#onStop = onStop;
    if (options.signal.aborted) this.stop(options.signal.reason);
    else options.signal.addEventListener('abort', this.#stopWithRequest, { once: true });
  }

  /** Resolves when another part may be started; throws the first failure. */
  async slot(): Promise<void> {
    while (this.#inFlight.size >= this.#options.concurrentParts) await this.oneSettled();
    this.#stop.signal.throwIfAborted();
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Resolves when a part in flight has been sent or given up; throws the first failure. */
  async oneSettled(): Promise<void> {
    await Promise.race(this.#inFlight);
    this.#stop.signal.throwIfAborted();
  }

  /** Starts to send a part; takes it over. */
  start(partNumber: number, part: HeldPart): void {
    const { send, retry, crc } = this.#options;
    const signal = this.#stop.signal;
    const checksum = crc?.ofPart(partNumber);
    const sending = withRetries(() => send(partNumber, part.startAttempt(checksum), signal), {
      retry,
      signal,
      mayRetry: () => part.canBeSent,
    })
      .then(
        ({ etag }) => void this.#completed.push(toCompleted(partNumber, etag, checksum)),
        (error: unknown) => this.stop(error),
      )
      .finally(() => {
        part.close();
        this.#inFlight.delete(sending);
      });
    this.#inFlight.add(sending);
  }

  /** Gives up what is in flight. The first reason counts. */
  stop(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(reason);
    this.#onStop(reason);
  }

  /** Waits until nothing is in flight. @returns the parts in order. @throws the first failure. */
  async finished(): Promise<CompletedPart[]> {
    await Promise.all(this.#inFlight);
    this.#options.signal.removeEventListener('abort', this.#stopWithRequest);
    this.#stop.signal.throwIfAborted();
    return this.#completed.toSorted((a, b) => a.partNumber - b.partNumber);
  }

  readonly #stopWithRequest = () => this.stop(this.#options.signal.reason);
}

/** Complete must name what a part was sent with, where the upload was opened with that algorithm. */
function toCompleted(partNumber: number, etag: string, checksum: BodyChecksum | undefined): CompletedPart {
  if (checksum?.base64 === undefined) return { partNumber, etag };
  return { partNumber, etag, checksums: [[checksum.algorithm, checksum.base64]] };
}

/** Sends a body of known length in parts of `partBytes`, each while it is received. */
export async function sendPartsWhileReceiving(
  body: IncomingBody,
  { length, partBytes, ...options }: PartSenderOptions & { length: number; partBytes: number },
): Promise<CompletedPart[]> {
  const { memory } = options;
  const sender = new PartSender(options, (reason) => {
    body.cancel(reason);
    memory.close();
  });
  let current: HeldPart | undefined;
  let rest: Chunk | undefined;
  try {
    for (let partNumber = 1, offset = 0; offset < length; partNumber++, offset += partBytes) {
      await sender.slot();
      const size = Math.min(partBytes, length - offset);
      current = new HeldPart(memory, size);
      while (current.appendedBytes < size) {
        await memory.room();
        const chunk: Chunk | null = rest ?? (await body.next());
        rest = undefined;
        if (chunk === null) throw new S3Error('IncompleteBody');
        const wanted = size - current.appendedBytes;
        const [head, tail] = chunk.bytes.byteLength > wanted ? splitChunk(chunk, wanted) : [chunk, undefined];
        const isFirst = current.appendedBytes === 0;
        current.append(head);
        rest = tail;
        // Not before there is something to send: a connection that is opened for a silent client would only grow stale.
        if (isFirst) sender.start(partNumber, current);
      }
      current.end();
    }
  } catch (error) {
    sender.stop(error);
    rest?.release();
    if (current?.appendedBytes === 0) current.close();
    else current?.fail(error);
  }
  return sender.finished();
}

/** Fills a part up to `partBytes`. @returns what lies beyond it of the last chunk. @throws when the body fails; nothing is left over then. */
export async function fillPart(
  part: HeldPart,
  body: IncomingBody,
  partBytes: number,
  rest?: Chunk,
): Promise<Chunk | undefined> {
  let next: Chunk | null | undefined = rest;
  while (part.appendedBytes < partBytes) {
    next ??= await body.next();
    if (next === null) break;
    const wanted = partBytes - part.appendedBytes;
    const [head, tail]: [Chunk, Chunk | undefined] =
      next.bytes.byteLength > wanted ? splitChunk(next, wanted) : [next, undefined];
    part.append(head);
    next = tail;
  }
  return next ?? undefined;
}

export interface WholePartsOptions extends PartSenderOptions {
  readonly partBytes: number;
  readonly maxParts: number;
  /** The first part, already full, and what was received beyond it. */
  readonly first: HeldPart;
  readonly rest: Chunk | undefined;
  /** Sets memory aside for one more part, if it is to be had at once. */
  readonly tryReserve: () => boolean;
  readonly unreserve: () => void;
}

/**
 * Sends a body of unknown length in parts that are whole before they are sent. Memory for one part is the caller's for the
 * whole upload; further ones are filled beside it only when memory for them can be set aside at once.
 */
export async function sendWholeParts(body: IncomingBody, options: WholePartsOptions): Promise<CompletedPart[]> {
  const { memory, partBytes, maxParts, tryReserve, unreserve } = options;
  const sender = new PartSender(options, (reason) => body.cancel(reason));
  let part: HeldPart | undefined = options.first;
  let rest = options.rest;
  let shares = 1;
  try {
    for (let partNumber = 1; part.appendedBytes > 0; partNumber++) {
      if (partNumber > maxParts) throw new S3Error('EntityTooLarge');
      part.end();
      sender.start(partNumber, part);
      part = undefined;
      if (body.isVerified && rest === undefined) break;
      await sender.slot();
      if (sender.inFlight >= shares && tryReserve()) shares++;
      while (sender.inFlight >= shares) await sender.oneSettled();
      part = new HeldPart(memory, undefined, true);
      part.setReserved();
      const carried = rest;
      rest = undefined;
      rest = await fillPart(part, body, partBytes, carried);
    }
  } catch (error) {
    sender.stop(error);
  }
  part?.close();
  rest?.release();
  try {
    return await sender.finished();
  } finally {
    for (; shares > 1; shares--) unreserve();
  }
}
