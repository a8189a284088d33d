// Lines on their way to a descriptor: gathered, so that one costs little; whole, so that processes can share it; never waited for.
import cluster from 'node:cluster';
import { fstatSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { openNonblocking } from './open-nonblocking.ts';

export interface LineWriterOptions {
  readonly fd: number;
  /** Each line is written before `write` returns: for people who watch. */
  readonly isImmediate?: boolean;
  /** While the descriptor takes nothing, lines wait until they are so many bytes; further ones are dropped. */
  readonly maxWaitingBytes?: number;
}

/** Of one write: a write costs tens of microseconds, for the thread that makes it must be woken, and wakes this one. */
const fileBlockBytes = 65_536;
/**
 * To anything but a file: where writes wait, the end of the process may write while one is under way, and in a full pipe the
 * two would mix. That was seen with 64 KiB, and not with what fills a quarter of a pipe.
 */
const pipeBlockBytes = 16_384;
/** Up to PIPE_BUF bytes are never mixed with what other processes write to the same pipe (pipe(7)). */
const sharedPipeBlockBytes = 4096;
/** In UTF-8, of one of the units that a string's length counts. */
const maxUnitBytes = 3;
/** A line waits no longer than this for others to go with it. */
const gatherMs = 200;
/** A descriptor that can take nothing now is tried again: soon, for its reader may only be slower, and ever more seldom. */
const minPauseMs = 1;
const maxPauseMs = 20;
/** How long the end of the process may be held up by a descriptor that takes nothing; what it has not taken then is lost. */
const farewellMs = 2000;

export class LineWriter {
  readonly #fd: number;
  /** Its writes end at once, whatever its reader does: they need no thread. */
  readonly #isNonblocking: boolean;
  readonly #isImmediate: boolean;
  readonly #maxWaitingBytes: number;
  readonly #blockBytes: number;
  /** Told how many lines were dropped, once lines are taken again. */
  onDropped: ((lines: number) => void) | undefined;
  /** Full ones, each of whole lines; what was written last stands in `#filling`. */
  #blocks: Buffer[] = [];
  #filling: Buffer;
  #filledBytes = 0;
  #waitingBytes = 0;
  #isWriting = false;
  /** Of a block that is being written, what was not taken at the first attempt. */
  #untaken: Buffer | undefined;
  /** What waits is written, however little it is. */
  #isUrgent = false;
  #pauseMs = minPauseMs;
  #timer: NodeJS.Timeout | undefined;
  #flushed: (() => void)[] = [];
  #dropped = 0;
  /** Whether the last write failed: to write of dropped lines would fail too, and be one more of them. */
  #isFailing = false;
  #isBroken = false;

  constructor({ fd, isImmediate = false, maxWaitingBytes = 8 * 1024 * 1024 }: LineWriterOptions) {
    const nonblocking = openNonblocking(fd);
    this.#fd = nonblocking ?? fd;
    this.#isNonblocking = nonblocking !== undefined;
    this.#isImmediate = isImmediate;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#blockBytes = chooseBlockBytes(fd);
    this.#filling = Buffer.allocUnsafeSlow(this.#blockBytes);
  }

  /** @param line with its line feed. */
  write(line: string, isUrgent = false): void {
    if (this.#isBroken) return;
    if (this.#waitingBytes + line.length > this.#maxWaitingBytes) return void this.#dropped++;
    this.#append(line);
    if (this.#isImmediate) this.flushSync();
    else if (isUrgent) this.flush();
    else this.#continue();
  }

  /** Has written whatever waits; `flushed` is called then. */
  flush(flushed?: () => void): void {
    if (flushed !== undefined) this.#flushed.push(flushed);
    this.#isUrgent = true;
    this.#continue();
  }

  /**
   * Writes whatever waits before it returns: for the end of the process. Where writes wait, one that is under way then is
   * finished by the thread that makes it, for which the end of the process waits.
   */
  flushSync(): void {
    this.#endBlock();
    let rest = Buffer.concat([...(this.#untaken === undefined ? [] : [this.#untaken]), ...this.#blocks]);
    this.#blocks = [];
    this.#waitingBytes = 0;
    this.#untaken = undefined;
    // It may be asked for twice, by the end of a part and by that of the process: one wait in vain is enough.
    let deadline = performance.now() + (this.#isFailing ? 0 : farewellMs);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest, 0, findBlockEnd(rest, this.#blockBytes)));
        this.#isFailing = false;
        this.#pauseMs = minPauseMs;
        deadline = performance.now() + farewellMs;
      } catch (error) {
        if (!isTakingNothing(error) || performance.now() > deadline) return this.#lose(rest, error);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, this.#lengthenPause());
      }
    }
  }

  #append(line: string): void {
    const roomBytes = this.#blockBytes - this.#filledBytes;
    if (line.length * maxUnitBytes > roomBytes) {
      const bytes = Buffer.byteLength(line);
      if (bytes > roomBytes) this.#endBlock();
      if (bytes > this.#blockBytes) {
        this.#blocks.push(Buffer.from(line));
        this.#waitingBytes += bytes;
        return;
      }
    }
    const bytes = this.#filling.write(line, this.#filledBytes);
    this.#filledBytes += bytes;
    this.#waitingBytes += bytes;
  }

  #endBlock(): void {
    if (this.#filledBytes === 0) return;
    const filled = this.#filling.subarray(0, this.#filledBytes);
    this.#filledBytes = 0;
    if (filled.length < this.#blockBytes / 2) {
      // A line that goes by itself costs less as a copy than as a new block.
      this.#blocks.push(Buffer.from(filled));
    } else {
      this.#blocks.push(filled);
      this.#filling = Buffer.allocUnsafeSlow(this.#blockBytes);
    }
  }

  #continue(): void {
    while (!this.#isWriting) {
      if (!this.#isUrgent && this.#blocks.length === 0) {
        if (this.#waitingBytes > 0) this.#timer ??= setTimeout(() => this.flush(), gatherMs).unref();
        return;
      }
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#blocks.length === 0) this.#endBlock();
      const block = this.#blocks.shift();
      if (block === undefined) return this.#comeToRest();
      this.#waitingBytes -= block.length;
      this.#isWriting = true;
      this.#send(block);
    }
  }

  #send(bytes: Buffer): void {
    if (!this.#isNonblocking) {
      write(this.#fd, bytes, (error, written) => {
        this.#sent(bytes, error, written);
        this.#continue();
      });
      return;
    }
    let written = 0;
    let fault: unknown = null;
    try {
      written = writeSync(this.#fd, bytes);
    } catch (error) {
      fault = error;
    }
    this.#sent(bytes, fault, written);
  }

  /** What was not taken is sent again later; until then a write is under way. */
  #sent(bytes: Buffer, error: unknown, written: number): void {
    if (error !== null && !isTakingNothing(error)) {
      this.#lose(bytes, error);
      this.#isWriting = false;
      return;
    }
    if (error === null) {
      this.#isFailing = false;
      this.#pauseMs = minPauseMs;
      if (written === bytes.length) {
        this.#isWriting = false;
        return;
      }
    }
    this.#untaken = bytes.subarray(written);
    const again = () => {
      const untaken = this.#untaken;
      this.#untaken = undefined;
      if (untaken === undefined) this.#isWriting = false;
      else this.#send(untaken);
      this.#continue();
    };
    // A program that has come to its end is not kept from it: what waits is written then.
    setTimeout(again, this.#lengthenPause()).unref();
  }

  #lengthenPause(): number {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, maxPauseMs);
    return pauseMs;
  }

  #comeToRest(): void {
    this.#isUrgent = false;
    if (!this.#isFailing) this.#tellDropped();
    for (const flushed of this.#flushed.splice(0)) flushed();
  }

  #tellDropped(): void {
    const lines = this.#dropped;
    this.#dropped = 0;
    if (lines > 0) this.onDropped?.(lines);
  }

  #lose(bytes: Buffer, error: unknown): void {
    this.#isFailing = true;
    this.#dropped += bytes.toString('latin1').split('\n').length - 1;
    // Nobody reads any more, and never will. Of another fault, such as a full disk, the next write may know nothing.
    if (!isCode(error, 'EPIPE')) return;
    this.#isBroken = true;
    this.#blocks = [];
    this.#filledBytes = 0;
    this.#waitingBytes = 0;
  }
}

function chooseBlockBytes(fd: number): number {
  if (fstatSync(fd).isFile()) return fileBlockBytes;
  return cluster.isWorker ? sharedPipeBlockBytes : pipeBlockBytes;
}

/** Where whole lines of at most a block end; a longer line is a block by itself. */
function findBlockEnd(bytes: Buffer, maxBytes: number): number {
  if (bytes.length <= maxBytes) return bytes.length;
  const end = bytes.lastIndexOf(0x0a, maxBytes - 1);
  return (end === -1 ? bytes.indexOf(0x0a) : end) + 1 || bytes.length;
}

const isCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));
const isTakingNothing = (error: unknown): boolean => isCode(error, 'EAGAIN', 'EBUSY');

let output: LineWriter | undefined;

/** Standard output: one writer, whoever writes lines to it. */
export function standardOutput(): LineWriter {
  if (output === undefined) {
    const writer = new LineWriter({ fd: 1, isImmediate: isatty(1) });
    process.on('exit', () => writer.flushSync());
    output = writer;
  }
  return output;
}
