// The one place where push becomes pull: what uWebSockets.js hands over is copied once, into lent memory, and waits
// there until it is asked for. Framing is left out of that copy, as to take it out later would be another one.
import { ClientGone, type BodyDecoder, type Chunk, type RequestBody } from '../http.ts';
import { S3Error } from '../errors.ts';
import { SlotList } from '../slot-list.ts';

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

/** What a reader may do to its connection. */
export interface Throttle {
  pause(): void;
  resume(): void;
}

/** Unread bytes at which a connection is paused: one read of the server (512 KiB), or half a slab while memory is tight. */
const pauseAtBytes = 512 * 1024;
const pauseAtTightBytes = 128 * 1024;
/** A read that is under way when a connection is paused may still bring this much. */
const overshootBytes = 1024 * 1024;
/** What is left of a slab is not begun with when it is less than this and the arrival does not fit: two writes cost more. */
const smallRestBytes = 16 * 1024;
/**
 * Bodies that may wait for memory at a time before any of them is read. What the server had already taken from a connection
 * still comes, 512 KiB at the most, so that they are few.
 */
const maxWaitingToBegin = 64;
/** uWebSockets.js closes a body that is silent for 10 s or slower than 16 KB/s; pausing and resuming re-arms its timer. */
const rearmSeconds = 4;

export interface BodyReaderOptions extends Pick<BodyReader, 'length' | 'onTimeout'> {
  readonly throttle: Throttle;
}

class LentChunk implements Chunk {
  readonly bytes: Uint8Array;
  readonly #slab: LentSlab;

  constructor(slab: LentSlab, start: number, end: number) {
    this.#slab = slab;
    this.bytes = slab.bytes.subarray(start, end);
  }

  release(): void {
    this.#slab.release();
  }
}

interface Unread {
  readonly slab: LentSlab;
  readonly start: number;
  end: number;
}

/**
 * One body. States: receiving → ended | failed. While receiving, the connection is paused when too much lies unread or
 * when memory is exhausted, and resumed when both have passed.
 */
export class BodyReader implements RequestBody {
  readonly length: number | undefined;
  readonly #room: ReadingRoom;
  readonly #throttle: Throttle;
  /** On the room's clock. */
  readonly startedAt: number;
  /** In the room; undefined outside of it. */
  slot: number | undefined;
  /** Takes in what arrives of a body that is framed. */
  #decode: ((arrived: Uint8Array) => void) | undefined;
  #unread: Unread[] = [];
  #unreadBytes = 0;
  #receivedBytes = 0;
  #tail: LentSlab | undefined;
  #tailLoan = 0;
  #fill = 0;
  #ended = false;
  #failure: unknown;
  #paused = false;
  /** All has arrived, and the server would close the connection nevertheless. */
  #isTimed = false;
  #isReserved = false;
  /** Read on, however little memory is left, until something has come. */
  #hasTurn = false;
  /** Memory was told of its wait. */
  #isHeldBack = false;
  #lastByteAt: number;
  #armedAt: number;
  #waiting: { resolve: (chunk: Chunk | null) => void; reject: (reason: unknown) => void } | undefined;
  /** Told of a fault that the reader itself found: the client was silent for too long, or too slow altogether. */
  readonly onTimeout: (error: S3Error) => void;

  constructor(room: ReadingRoom, { throttle, length, onTimeout }: BodyReaderOptions) {
    this.#room = room;
    this.#throttle = throttle;
    this.length = length;
    this.onTimeout = onTimeout;
    this.startedAt = this.#lastByteAt = this.#armedAt = room.nowSeconds;
  }

  /** True once the last byte has arrived, read or not. */
  get ended(): boolean {
    return this.#ended;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Takes what has arrived. The buffer is the server's: it is gone after this call. */
  push(arrived: ArrayBuffer, isLast: boolean): void {
    this.#lastByteAt = this.#room.nowSeconds;
    this.#hasTurn = false;
    this.#receivedBytes += arrived.byteLength;
    if (this.#failure === undefined && arrived.byteLength > 0) this.#takeIn(new Uint8Array(arrived));
    if (isLast) {
      // The connection lives on: its next request must find it being read. That starts the server's own timer, which it had
      // stopped at the last byte.
      this.#isTimed = this.#paused;
      this.resume();
      this.#ended = true;
      this.#room.forget(this);
    } else {
      // One read can hold several chunks of a transfer coding: they come although it is paused, and start the server's own timer.
      if (this.#paused) this.#throttle.pause();
      else if (this.#mustPause) this.pause();
      // There may be nothing to be taken, after which it would go on.
      if (this.#unreadBytes === 0) this.#goOn();
    }
    this.#deliver();
  }

  read(): Promise<Chunk | null> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const chunk = this.#take();
    if (chunk !== undefined) return Promise.resolve(chunk);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#paused) this.noteWait();
    });
  }

  setDecoder(decoder: BodyDecoder): void {
    // Only for bodies that are framed: a function for each request would be one too many.
    const take = (piece: Uint8Array): void => this.#copy(piece);
    this.#decode = (arrived) => decoder.write(arrived, take);
    if (this.#failure !== undefined) return;
    try {
      this.#decodeUnread(decoder);
    } catch (error) {
      this.cancel(error);
    }
  }

  setReserved(): void {
    this.#isReserved = true;
    if (this.#paused && this.wantsMore) this.#room.resumeSoon(this);
  }

  get isReserved(): boolean {
    return this.#isReserved;
  }

  /** Whether the upload has nothing to do but wait for more of it. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined;
  }

  /** Whether it is left out when the others are paused for want of memory. */
  get isExempt(): boolean {
    return this.#isReserved || this.#hasTurn;
  }

  /** Tells memory when the upload begins and ends to wait for it. One that has bytes to send waits for the backend. */
  noteWait(): void {
    const isHeldBack = this.isAwaited && this.#room.isWaiting(this);
    if (isHeldBack === this.#isHeldBack) return;
    this.#isHeldBack = isHeldBack;
    if (isHeldBack) this.#room.memory.waitBegins();
    else this.#room.memory.waitEnds();
  }

  takeTurn(): void {
    this.#hasTurn = true;
    this.resume();
  }

  cancel(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#room.forget(this);
    for (const { slab } of this.#unread) slab.release();
    this.#unread = [];
    this.#unreadBytes = 0;
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
  }

  /** The connection is gone: nothing may be done to it any more. */
  detach(): void {
    this.#room.leave(this);
    if (!this.#ended || this.#unreadBytes > 0) this.cancel(new ClientGone());
    this.#ended = true;
  }

  pause(): void {
    if (this.#paused || this.#ended) return;
    this.#paused = true;
    this.#throttle.pause();
  }

  resume(): void {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    this.#lastByteAt = this.#armedAt = this.#room.nowSeconds;
    this.#throttle.resume();
  }

  /** Called once a second until the request is answered: keeps the server's own timer from firing and applies ours. */
  tick(nowSeconds: number, limits: ReadLimits): void {
    if (limits.uploadTimeoutSeconds > 0 && nowSeconds - this.startedAt > limits.uploadTimeoutSeconds) {
      this.onTimeout(new S3Error('RequestTimeout', { detail: 'The upload took longer than is allowed.' }));
    } else if (this.#ended) {
      if (this.#isTimed) this.#rearm(nowSeconds);
    } else if (this.#paused) {
      return;
    } else if (nowSeconds - this.#lastByteAt > limits.idleTimeoutSeconds) {
      this.onTimeout(new S3Error('RequestTimeout'));
    } else {
      this.#rearm(nowSeconds);
    }
  }

  #rearm(nowSeconds: number): void {
    if (nowSeconds - this.#armedAt < rearmSeconds) return;
    this.#armedAt = nowSeconds;
    this.#throttle.pause();
    this.#throttle.resume();
  }

  /** Whether the connection should be read, as far as this body is concerned. */
  get wantsMore(): boolean {
    return !this.#ended && (this.#failure !== undefined || this.#unreadBytes < this.#pauseAt);
  }

  get #mustPause(): boolean {
    return this.#unreadBytes >= this.#pauseAt || (this.#room.memory.isExhausted && !this.#isReserved);
  }

  get #pauseAt(): number {
    return this.#room.memory.isTight ? pauseAtTightBytes : pauseAtBytes;
  }

  #takeIn(arrived: Uint8Array): void {
    if (this.#decode === undefined) return this.#copy(arrived);
    try {
      this.#decode(arrived);
    } catch (error) {
      this.cancel(error);
    }
  }

  #copy(arrived: Uint8Array): void {
    let taken = 0;
    while (taken < arrived.byteLength) {
      let slab = this.#tail;
      if (slab === undefined || !this.#canFill(slab, arrived.byteLength - taken)) {
        slab = this.#room.memory.lend();
        this.#tail = slab;
        this.#tailLoan = slab.loan;
        this.#fill = 0;
        this.#unread.push({ slab, start: 0, end: 0 });
      } else if (this.#unread.at(-1)?.slab !== slab) {
        slab.retain();
        this.#unread.push({ slab, start: this.#fill, end: this.#fill });
      }
      const count = Math.min(arrived.byteLength - taken, slab.bytes.byteLength - this.#fill);
      slab.bytes.set(count === arrived.byteLength ? arrived : arrived.subarray(taken, taken + count), this.#fill);
      this.#fill += count;
      taken += count;
      (this.#unread.at(-1) as Unread).end = this.#fill;
    }
    this.#unreadBytes += taken;
  }

  /** What came before it was known to be framed: the payload in it is moved together where it lies. */
  #decodeUnread(decoder: BodyDecoder): void {
    this.#unreadBytes = 0;
    for (const unread of this.#unread) {
      const { slab, start, end } = unread;
      unread.end = start;
      decoder.write(slab.bytes.subarray(start, end), (piece) => {
        slab.bytes.set(piece, unread.end);
        unread.end += piece.byteLength;
      });
      this.#unreadBytes += unread.end - start;
      if (slab === this.#tail) this.#fill = unread.end;
    }
    for (const { slab, start, end } of this.#unread) if (start === end) slab.release();
    this.#unread = this.#unread.filter(({ start, end }) => start < end);
    this.#goOn();
  }

  #canFill(slab: LentSlab, arrivedBytes: number): boolean {
    const restBytes = slab.bytes.byteLength - this.#fill;
    const isOurs = slab.isLent && slab.loan === this.#tailLoan;
    return isOurs && restBytes > 0 && (restBytes >= arrivedBytes || restBytes >= smallRestBytes);
  }

  #goOn(): void {
    if (this.#paused && this.#unreadBytes < this.#pauseAt / 2) this.#room.resumeSoon(this);
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const chunk = this.#take();
    if (chunk === undefined) return;
    this.#waiting = undefined;
    if (this.#isHeldBack) this.noteWait();
    waiting.resolve(chunk);
  }

  #take(): Chunk | null | undefined {
    const next = this.#unread.shift();
    if (next === undefined) return this.#ended ? null : undefined;
    this.#unreadBytes -= next.end - next.start;
    this.#goOn();
    return new LentChunk(next.slab, next.start, next.end);
  }
}

export interface ReadLimits {
  readonly idleTimeoutSeconds: number;
  /** How long a body may wait for memory before any of it is read. */
  readonly queueTimeoutSeconds: number;
  /** 0 = none. */
  readonly uploadTimeoutSeconds: number;
}

/** The bodies of all requests that are not answered yet: pauses every one when memory is exhausted, and wakes them in turn. */
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
