// The bodies of all requests that are not answered yet: pauses every one when memory is exhausted, and wakes them in turn.
import { S3Error } from '../errors.ts';
import { SlotList } from '../slot-list.ts';
import type { BodyReader } from './body-reader.ts';

/** A piece of lent memory; see ByteBudget. */
export interface LentSlab {
  readonly bytes: Uint8Array;
  /** Counts how often this slab was lent: tells a holder whether it is still the same loan. */
  readonly loan: number;
  readonly isLent: boolean;
  retain(): void;
  release(): void;
}

/** What the readers ask of memory. */
export interface BodyMemory {
  readonly isTight: boolean;
  readonly isExhausted: boolean;
  readonly freeBytes: number;
  lend(): LentSlab;
  /** For each upload that waits until memory lets its body be read on; it ends once. */
  waitBegins(): void;
  waitEnds(): void;
  setReader(reader: { onExhausted: () => void; onRelief: () => void }): void;
}

/** A read that is under way when a connection is paused may still bring this much. */
const overshootBytes = 1024 * 1024;
/**
 * Bodies that may wait for memory at a time before any of them is read. What the server had already taken from a connection
 * still comes, 512 KiB at the most, so that they are few.
 */
const maxWaitingToBegin = 64;

export interface ReadLimits {
  readonly idleTimeoutSeconds: number;
  /** How long a body may wait for memory before any of it is read. */
  readonly queueTimeoutSeconds: number;
  /** 0 = none. */
  readonly uploadTimeoutSeconds: number;
}

export class ReadingRoom {
  readonly memory: BodyMemory;
  readonly #limits: ReadLimits;
  readonly #readers = new SlotList<BodyReader>();
  /** Paused readers that may go on as soon as memory allows, in the order in which they asked. */
  readonly #waiting = new Set<BodyReader>();
  /** Those of them that have not begun. */
  readonly #beginners = new Set<BodyReader>();
  readonly #timer: NodeJS.Timeout;
  /** Seconds of a monotonic clock, advanced once a second: good enough for timeouts, and free to read. */
  nowSeconds = 0;

  constructor(memory: BodyMemory, limits: ReadLimits) {
    this.memory = memory;
    this.#limits = limits;
    memory.setReader({
      onExhausted: () => this.#pauseAll(),
      onRelief: () => this.#wake(),
    });
    this.#timer = setInterval(() => this.#tick(), 1000).unref();
  }

  /** Whether another body may come: while memory is exhausted only as many as may wait for it. */
  get mayEnter(): boolean {
    if (!this.memory.isExhausted) return true;
    return this.#beginners.size < maxWaitingToBegin && this.#limits.queueTimeoutSeconds > 0;
  }

  enter(reader: BodyReader): void {
    reader.slot = this.#readers.add(reader);
    if (!this.memory.isExhausted || reader.length === 0) return;
    reader.pause();
    this.#wait(reader);
    this.#beginners.add(reader);
  }

  leave(reader: BodyReader): void {
    if (reader.slot === undefined) return;
    this.#readers.remove(reader.slot);
    reader.slot = undefined;
    this.forget(reader);
  }

  /** The body is not waited for any more. */
  forget(reader: BodyReader): void {
    this.#beginners.delete(reader);
    if (this.#waiting.delete(reader)) reader.noteWait();
  }

  isWaiting(reader: BodyReader): boolean {
    return this.#waiting.has(reader);
  }

  resumeSoon(reader: BodyReader): void {
    if (reader.isReserved || (this.#waiting.size === 0 && this.memory.freeBytes >= overshootBytes)) {
      this.forget(reader);
      reader.resume();
    } else if (reader.slot !== undefined) {
      this.#wait(reader);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #pauseAll(): void {
    for (const reader of this.#readers) {
      if (reader.isExempt) continue;
      reader.pause();
      if (reader.wantsMore) this.#wait(reader);
    }
  }

  #wait(reader: BodyReader): void {
    this.#waiting.add(reader);
    reader.noteWait();
  }

  /** Resumes as many as the free memory can take if each brings all it may. */
  #wake(): void {
    let freeBytes = this.memory.freeBytes;
    for (const reader of this.#waiting) {
      if (freeBytes < overshootBytes) return;
      freeBytes -= overshootBytes;
      this.forget(reader);
      if (reader.wantsMore) reader.resume();
    }
  }

  /**
   * Lets one read on whose upload waits for it, though there is no memory: what the upload holds may be free only with the next
   * bytes, and that a client has left or is silent shows only while it is read.
   */
  #giveTurn(): void {
    for (const reader of this.#waiting) {
      if (!reader.isAwaited || this.#beginners.has(reader)) continue;
      this.forget(reader);
      reader.takeTurn();
      return;
    }
  }

  #tick(): void {
    this.nowSeconds++;
    for (const reader of this.#readers) {
      if (this.#beginners.has(reader)) this.#tickBeginner(reader);
      else reader.tick(this.nowSeconds, this.#limits);
    }
    this.#wake();
    this.#giveTurn();
  }

  #tickBeginner(reader: BodyReader): void {
    if (this.nowSeconds - reader.startedAt <= this.#limits.queueTimeoutSeconds) return;
    this.forget(reader);
    reader.onTimeout(new S3Error('SlowDown', { retryAfterMs: 1000 }));
  }
}
