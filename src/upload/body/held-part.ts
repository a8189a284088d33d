// The bytes of one part (or of one PutObject) between the client and the backend: they can be sent while they still
// arrive, and sent again from the first byte as long as all of them are kept.
import type { Chunk } from '../../http.ts';
import type { BodyChecksum, OutgoingBody } from '../../storage/storage.ts';
import type { UploadMemory } from './upload-memory.ts';
import { Fault } from '../../fault.ts';

/** A client that sends in crumbs would make more bookkeeping than bytes: such a part is not kept. */
const maxKeptChunks = 4096;
/** Places of entries that have been given back, from the first on, are kept until there are so many. */
const maxGonePlaces = 1024;
/** Made once: every part ends by being closed, and a stack trace for each would cost more than all else of it. */
const closed = new Fault('the part is closed');
const superseded = new Fault('the part is being sent again');

/** A chunk of the part. It is given back when it has been sent and is not kept. */
interface Entry {
  bytes: Uint8Array;
  /** Releases the memory that all of `bytes` lies in. */
  readonly chunk: Chunk;
  /** How many attempts have it: one that was given up may let go of it late. */
  lent: number;
  /** True while it is held only to be sent again. */
  kept: boolean;
}

/** A class, as an object literal with a getter gets a hidden class of its own each time, which outlives young collections. */
class Attempt implements OutgoingBody {
  readonly read: OutgoingBody['read'];
  readonly length: number | undefined;
  readonly checksum: BodyChecksum | undefined;
  readonly #memory: UploadMemory;
  readonly #waitedBeforeMs: number;

  constructor(
    read: OutgoingBody['read'],
    length: number | undefined,
    checksum: BodyChecksum | undefined,
    memory: UploadMemory,
  ) {
    this.read = read;
    this.length = length;
    this.checksum = checksum;
    this.#memory = memory;
    this.#waitedBeforeMs = memory.waitedMs;
  }

  get memoryWaitMs(): number {
    return this.#memory.waitedMs - this.#waitedBeforeMs;
  }
}

export class HeldPart {
  readonly #memory: UploadMemory;
  readonly #isWhole: boolean;
  #isReserved = false;
  #length: number | undefined;
  #appendedBytes = 0;
  /** From the one with the number `#base` on. */
  readonly #entries: (Entry | undefined)[] = [];
  #base = 0;
  /** Leading places whose entries have been given back. */
  #gone = 0;
  /** Entries before the one with this number have been handed to the present attempt. */
  #next = 0;
  #attempt = 0;
  /** True while every byte from the first is still here. */
  #isKept: boolean;
  #ended = false;
  #isClosed = false;
  #failure: unknown;
  #waiting: { resolve: (chunk: Chunk | null) => void; reject: (reason: unknown) => void } | undefined;

  /**
   * @param length bytes that will be appended; undefined when that is not known before the end.
   * @param isWhole true when it is received whole before any of it is sent: it is kept, however tight memory gets.
   */
  constructor(memory: UploadMemory, length: number | undefined, isWhole = false) {
    this.#memory = memory;
    this.#length = length;
    this.#isWhole = isWhole;
    this.#isKept = isWhole || memory.mayKeep;
    memory.enter(this);
  }

  /** Bytes of the whole part; undefined until it is known. */
  get length(): number | undefined {
    return this.#length;
  }

  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  /** Whether the part can be sent (again) from its first byte. */
  get canBeSent(): boolean {
    return this.#isKept || (this.#attempt === 0 && this.#failure === undefined);
  }

  /** Memory for the whole of it has been set aside; what it holds already lies in that. Nothing has been sent yet. */
  setReserved(): void {
    this.#isReserved = true;
    this.#memory.covered(this.#appendedBytes);
  }

  /** Takes over the chunk. */
  append(chunk: Chunk): void {
    if (this.#isClosed) {
      // The part was given up while this chunk was on its way.
      chunk.release();
      return;
    }
    this.#memory.held(chunk.bytes.byteLength);
    if (this.#isReserved) this.#memory.covered(chunk.bytes.byteLength);
    this.#appendedBytes += chunk.bytes.byteLength;
    const last = this.#end > this.#next ? this.#entries.at(-1) : undefined;
    const joined = last === undefined || last.lent > 0 || last.kept ? undefined : joinAdjacent(last.bytes, chunk.bytes);
    if (last === undefined || joined === undefined) {
      this.#entries.push({ bytes: chunk.bytes, chunk, lent: 0, kept: false });
    } else {
      last.bytes = joined;
      // Both hold a reference on the same memory: one is enough.
      chunk.release();
    }
    if (this.#entries.length > maxKeptChunks) this.dropKept();
    this.#deliver();
  }

  /** Nothing more will be appended. */
  end(): void {
    this.#ended = true;
    this.#length ??= this.#appendedBytes;
    this.#deliver();
  }

  /** The upload has failed: whoever reads this part learns the reason. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
  }

  /**
   * The part from its first byte, for one attempt to send it; only while `canBeSent`. An earlier attempt reads nothing more: what
   * it still waits for is this one's.
   */
  startAttempt(checksum?: BodyChecksum): OutgoingBody {
    if (!this.canBeSent) throw new Fault('the part is no longer whole');
    this.#waiting?.reject(superseded);
    this.#waiting = undefined;
    for (let i = this.#base; i < this.#next; i++) {
      const entry = this.#entryAt(i);
      // It must be sent again: until then it cannot be given back.
      if (entry !== undefined) this.#setKept(entry, false);
    }
    this.#next = 0;
    const attempt = ++this.#attempt;
    return new Attempt(() => this.#read(attempt), this.#length, checksum, this.#memory);
  }

  /** Gives back what has been sent; the part can then not be sent again. */
  dropKept(): void {
    if (!this.#isKept || this.#isWhole) return;
    this.#isKept = false;
    this.#giveBackTaken();
  }

  /** Gives everything back. Called once no attempt is under way. */
  close(): void {
    this.#isClosed = true;
    this.fail(closed);
    this.#isKept = false;
    this.#next = this.#end;
    this.#giveBackTaken();
    this.#memory.leave(this);
  }

  #read(attempt: number): Promise<Chunk | null> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (attempt !== this.#attempt) return Promise.reject(superseded);
    const chunk = this.#take();
    if (chunk !== undefined) return Promise.resolve(chunk);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const chunk = this.#take();
    if (chunk === undefined) return;
    this.#waiting = undefined;
    waiting.resolve(chunk);
  }

  #take(): Chunk | null | undefined {
    const index = this.#next;
    const entry = this.#entryAt(index);
    if (entry === undefined) return this.#ended ? null : undefined;
    this.#next++;
    entry.lent++;
    this.#setKept(entry, false);
    return { bytes: entry.bytes, release: () => this.#sent(index, entry) };
  }

  #sent(index: number, entry: Entry): void {
    entry.lent--;
    // Who was given up lets go of what the present attempt has or has yet to send.
    if (entry.lent > 0 || index >= this.#next) return;
    // Where memory is tight it is given back now: it would be asked for when more arrives, and no more may arrive before that.
    if (!this.#memory.mayKeep) this.dropKept();
    if (this.#isKept) this.#setKept(entry, true);
    else this.#giveBack(index);
  }

  #setKept(entry: Entry, kept: boolean): void {
    // What must stay whole is never given back early, so it is not offered.
    if (entry.kept === kept || this.#isWhole) return;
    entry.kept = kept;
    this.#memory.kept(kept ? entry.bytes.byteLength : -entry.bytes.byteLength);
  }

  /** The number after that of the last entry. */
  get #end(): number {
    return this.#base + this.#entries.length;
  }

  #entryAt(index: number): Entry | undefined {
    return this.#entries[index - this.#base];
  }

  #giveBackTaken(): void {
    for (let i = this.#base; i < this.#next; i++) if (this.#entryAt(i)?.lent === 0) this.#giveBack(i);
  }

  /** In crumbs, a part has more entries than there may be places for: those in front are dropped once they are many. */
  #forget(index: number): void {
    this.#entries[index - this.#base] = undefined;
    while (this.#base + this.#gone < this.#next && this.#entries[this.#gone] === undefined) this.#gone++;
    if (this.#gone < maxGonePlaces) return;
    this.#entries.splice(0, this.#gone);
    this.#base += this.#gone;
    this.#gone = 0;
  }

  #giveBack(index: number): void {
    const entry = this.#entryAt(index);
    if (entry === undefined) return;
    this.#forget(index);
    this.#setKept(entry, false);
    const byteLength = entry.bytes.byteLength;
    if (this.#isReserved) this.#memory.covered(-byteLength);
    entry.chunk.release();
    this.#memory.released(byteLength);
  }
}

/** Bytes that lie side by side in the same memory, as one; undefined when they do not. */
function joinAdjacent(a: Uint8Array, b: Uint8Array): Uint8Array | undefined {
  if (a.buffer !== b.buffer || a.byteOffset + a.byteLength !== b.byteOffset) return undefined;
  return new Uint8Array(a.buffer, a.byteOffset, a.byteLength + b.byteLength);
}
