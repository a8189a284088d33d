// The one place where push becomes pull: what uWebSockets.js hands over is copied once, into lent memory, and waits
// there until it is asked for. Framing is left out of that copy, as to take it out later would be another one.
import { ClientGone, type BodyDecoder, type Chunk, type RequestBody } from '../http.ts';
import { S3Error } from '../errors.ts';
import type { LentSlab, ReadingRoom, ReadLimits } from './reading-room.ts';

/** What a reader may do to its connection. */
export interface Throttle {
  pause(): void;
  resume(): void;
}

/** Unread bytes at which a connection is paused: one read of the server (512 KiB), or half a slab while memory is tight. */
const pauseAtBytes = 512 * 1024;
const pauseAtTightBytes = 128 * 1024;
/** What is left of a slab is not begun with when it is less than this and the arrival does not fit: two writes cost more. */
const smallRestBytes = 16 * 1024;
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
