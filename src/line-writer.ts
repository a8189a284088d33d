// Lines on their way to a descriptor: gathered, so that one costs little; whole, so that processes can share it; never waited for.
import cluster from 'node:cluster';
import { write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

export interface LineWriterOptions {
  readonly fd: number;
  /** Each line is written before `write` returns: for people who watch. */
  readonly isImmediate?: boolean;
  /** While the descriptor takes nothing, lines wait until they are so many bytes; further ones are dropped. */
  readonly maxWaitingBytes?: number;
}

/** Of one write. Up to PIPE_BUF bytes are never mixed with what other processes write to the same pipe (pipe(7)). */
const blockBytes = cluster.isWorker ? 4096 : 16_384;
/** A line waits no longer than this for others to go with it. */
const gatherMs = 200;
/** A descriptor that can take nothing now is tried again after this. */
const pauseMs = 20;
/** How long the end of the process may be held up by a descriptor that takes nothing. */
const farewellMs = 2000;

interface Block {
  text: string;
  bytes: number;
}

export class LineWriter {
  readonly #fd: number;
  readonly #isImmediate: boolean;
  readonly #maxWaitingBytes: number;
  /** Told how many lines were dropped, once lines are taken again. */
  onDropped: ((lines: number) => void) | undefined;
  #blocks: Block[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  /** Of a block that is being written, what was not taken at the first attempt. */
  #untaken: Buffer | undefined;
  /** What waits is written, however little it is. */
  #isUrgent = false;
  #timer: NodeJS.Timeout | undefined;
  #flushed: (() => void)[] = [];
  #dropped = 0;
  /** Whether the last write failed: to write of dropped lines would fail too, and be one more of them. */
  #isFailing = false;
  #isBroken = false;

  constructor({ fd, isImmediate = false, maxWaitingBytes = 8 * 1024 * 1024 }: LineWriterOptions) {
    this.#fd = fd;
    this.#isImmediate = isImmediate;
    this.#maxWaitingBytes = maxWaitingBytes;
  }

  /** @param line with its line feed. */
  write(line: string, isUrgent = false): void {
    if (this.#isBroken) return;
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > this.#maxWaitingBytes) return void this.#dropped++;
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.bytes + bytes <= blockBytes) {
      last.text += line;
      last.bytes += bytes;
    } else {
      this.#blocks.push({ text: line, bytes });
    }
    this.#waitingBytes += bytes;
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
   * Writes whatever waits before it returns: for the end of the process. A write that is under way then is finished by the
   * threads that make it, for which the end of the process waits.
   */
  flushSync(): void {
    const deadline = performance.now() + farewellMs;
    const texts = this.#blocks.map(({ text }) => text);
    this.#blocks = [];
    this.#waitingBytes = 0;
    let rest = Buffer.concat([this.#untaken ?? Buffer.alloc(0), Buffer.from(texts.join(''))]);
    this.#untaken = undefined;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest, 0, findBlockEnd(rest)));
        this.#isFailing = false;
      } catch (error) {
        if (!isTakingNothing(error) || performance.now() > deadline) return this.#lose(rest, error);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
      }
    }
  }

  #continue(): void {
    if (this.#isWriting) return;
    if (!this.#isUrgent && this.#waitingBytes < blockBytes) {
      if (this.#waitingBytes > 0) this.#timer ??= setTimeout(() => this.flush(), gatherMs).unref();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const block = this.#blocks.shift();
    if (block === undefined) return this.#comeToRest();
    this.#waitingBytes -= block.bytes;
    this.#isWriting = true;
    this.#send(Buffer.from(block.text));
  }

  #send(bytes: Buffer): void {
    write(this.#fd, bytes, (error, written) => {
      if (error === null) this.#isFailing = false;
      if (error === null && written === bytes.length) return this.#sent();
      if (error !== null && !isTakingNothing(error)) {
        this.#lose(bytes, error);
        return this.#sent();
      }
      this.#untaken = error === null ? bytes.subarray(written) : bytes;
      setTimeout(
        () => {
          const untaken = this.#untaken;
          this.#untaken = undefined;
          if (untaken === undefined) this.#sent();
          else this.#send(untaken);
        },
        error === null ? 0 : pauseMs,
      );
    });
  }

  #sent(): void {
    this.#isWriting = false;
    this.#continue();
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
    this.#waitingBytes = 0;
  }
}

/** Where whole lines of at most a block end; a longer line is a block by itself. */
function findBlockEnd(bytes: Buffer): number {
  if (bytes.length <= blockBytes) return bytes.length;
  const end = bytes.lastIndexOf(0x0a, blockBytes - 1);
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
