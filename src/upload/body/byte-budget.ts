// The memory that bodies may occupy in this process: every byte held for a client is lent from here.
//
// Memory is lent in slabs of one size that are used again and again (fresh memory costs more in page faults than a copy
// into memory that is warm). Three levels steer who may have how much:
//
//   free        uploads read ahead and keep what they have sent, so that they can send it again
//   tight       above `tightBytes`: what is kept is given back, and every upload shrinks to its window
//   exhausted   above `budgetBytes`: nothing more is read from any client until something is released, but for one a second
//               whose upload waits for it: what it holds may come free only with its next bytes
//
// The gap between tight and exhausted is what lets every upload make progress, however many there are.
import { SlotList } from '../../slot-list.ts';

/** Bytes in one slab: two take what one read of the server brings at most (512 KiB). */
export const slabBytes = 256 * 1024;

/** Bytes an upload may always hold, however tight memory is. */
export const windowBytes = slabBytes;

const tightShare = 0.75;
/** Most of the budget that bodies of unknown length may reserve for whole parts. */
const reservableShare = 0.5;
/** Free slabs that stay allocated when nothing is going on. */
const spareSlabs = 64;
const idleMs = 60_000;

/** A piece of reused memory. Back in the budget when its last reference is released. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly #budget: ByteBudget;
  #references = 0;
  /** How often this slab was lent: a later loan of the same slab has another number. */
  loan = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
    this.bytes = Buffer.allocUnsafeSlow(slabBytes);
  }

  get isLent(): boolean {
    return this.#references > 0;
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    if (--this.#references === 0) this.#budget.takeBack(this);
  }
}

/** One upload's share, as far as it can give some of it back. */
export interface Holder {
  /** Bytes that are held only so that they could be sent again. */
  readonly keptBytes: number;
  dropKept(): void;
}

interface ReserveWaiter {
  readonly bytes: number;
  readonly grant: () => void;
}

export class ByteBudget {
  readonly budgetBytes: number;
  readonly tightBytes: number;
  readonly #reservableBytes: number;
  readonly #free: Slab[] = [];
  readonly #holders = new SlotList<Holder>();
  readonly #reserveWaiters = new Set<ReserveWaiter>();
  readonly #reliefWaiters = new Set<() => void>();
  #lentBytes = 0;
  #waits = 0;
  #waitersNow = 0;
  #waitedMs = 0;
  /** Until when waits are in `#waitedMs`, on performance.now()'s clock. */
  #waitedUntilMs = 0;
  #reservedBytes = 0;
  #coveredBytes = 0;
  #trimTimer: NodeJS.Timeout | undefined;
  #onExhausted: () => void = () => {};
  #onRelief: () => void = () => {};

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
    this.tightBytes = Math.floor(budgetBytes * tightShare);
    this.#reservableBytes = Math.floor(budgetBytes * reservableShare);
  }

  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Set aside for whole parts, whether it is lent already or not. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /**
   * How often uploads have waited for memory, and for how long together: to take one more chunk, to set a part aside, or to be read
   * on. Waits that are under way are in it.
   */
  get waits(): { readonly count: number; readonly ms: number } {
    this.#addWaits();
    return { count: this.#waits, ms: this.#waitedMs };
  }

  waitBegins(): void {
    this.#addWaits();
    this.#waits++;
    this.#waitersNow++;
  }

  waitEnds(): void {
    this.#addWaits();
    this.#waitersNow--;
  }

  /** The sum never goes back by an error of rounding: it only grows, by those who wait now and the time since it last did. */
  #addWaits(): void {
    const nowMs = performance.now();
    this.#waitedMs += this.#waitersNow * (nowMs - this.#waitedUntilMs);
    this.#waitedUntilMs = nowMs;
  }

  get isTight(): boolean {
    return this.#committedBytes >= this.tightBytes;
  }

  get isExhausted(): boolean {
    return this.#committedBytes >= this.budgetBytes;
  }

  get freeBytes(): number {
    return Math.max(0, this.budgetBytes - this.#committedBytes);
  }

  /** What is lent, and what is set aside and not lent yet: nobody else may have that. */
  get #committedBytes(): number {
    return this.#lentBytes + Math.max(0, this.#reservedBytes - this.#coveredBytes);
  }

  /** Of the memory lent, this much more (or less) is held by those who reserved it. */
  cover(byteLength: number): void {
    const wasTight = this.isTight;
    this.#coveredBytes += byteLength;
    if (byteLength <= 0) return;
    // What was set aside and is lent now is not counted twice any more.
    if (this.#reserveWaiters.size > 0) this.#grantReservations();
    if (wasTight) this.#relieve();
  }

  /** Who reads from clients: told to stop when nothing is left, and to go on when something is. */
  setReader(reader: { onExhausted: () => void; onRelief: () => void }): void {
    this.#onExhausted = reader.onExhausted;
    this.#onRelief = reader.onRelief;
  }

  /**
   * Lends a slab, with one reference on it. Never refuses: bytes that have arrived must lie somewhere. The readers, told
   * in time, see to it that no more arrive than the one read that is under way.
   */
  lend(): Slab {
    const slab = this.#free.pop() ?? new Slab(this);
    slab.loan++;
    slab.retain();
    this.#lentBytes += slabBytes;
    if (this.isTight) this.#reclaim();
    if (this.isExhausted) this.#onExhausted();
    return slab;
  }

  /** Called by a slab whose last reference went. */
  takeBack(slab: Slab): void {
    const wasTight = this.isTight;
    this.#free.push(slab);
    this.#lentBytes -= slabBytes;
    if (this.#reserveWaiters.size > 0) this.#grantReservations();
    if (wasTight) this.#relieve();
    if (this.#lentBytes === 0 && this.#free.length > spareSlabs) this.#trimLater();
  }

  /**
   * Gives memory back to the system after a while in which nothing was lent. Not sooner: what is let go lies about until
   * the next collection, and memory that is made anew meanwhile comes on top of it.
   */
  #trimLater(): void {
    if (this.#trimTimer !== undefined) {
      this.#trimTimer.refresh();
      return;
    }
    this.#trimTimer = setTimeout(() => {
      this.#trimTimer = undefined;
      if (this.#lentBytes === 0) this.#free.length = Math.min(this.#free.length, spareSlabs);
    }, idleMs).unref();
  }

  /** @returns the place by which the holder is unregistered, once. */
  register(holder: Holder): number {
    return this.#holders.add(holder);
  }

  unregister(place: number): void {
    this.#holders.remove(place);
  }

  /** Calls back once, when memory is no longer tight. */
  onceRelieved(wake: () => void): void {
    this.#reliefWaiters.add(wake);
  }

  forgetRelief(wake: () => void): void {
    this.#reliefWaiters.delete(wake);
  }

  /** Largest reservation that can ever be granted. */
  get reservableBytes(): number {
    return this.#reservableBytes;
  }

  /** Sets memory aside for a part that must be whole before it can be sent, if it is to be had at once. */
  tryReserve(bytes: number): boolean {
    if (this.#reserveWaiters.size > 0 || !this.#canReserve(bytes)) return false;
    this.#reservedBytes += bytes;
    return true;
  }

  /** As tryReserve, but waits its turn. Resolves false when the time is over or the signal aborted. */
  reserve(bytes: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.tryReserve(bytes)) return Promise.resolve(true);
    this.waitBegins();
    return new Promise((resolve) => {
      const settle = (granted: boolean) => {
        this.waitEnds();
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        this.#reserveWaiters.delete(waiter);
        resolve(granted);
        if (!granted) this.#grantReservations();
      };
      const waiter: ReserveWaiter = { bytes, grant: () => settle(true) };
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, timeoutMs);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#reserveWaiters.add(waiter);
    });
  }

  unreserve(bytes: number): void {
    const wasTight = this.isTight;
    this.#reservedBytes -= bytes;
    this.#grantReservations();
    if (wasTight) this.#relieve();
  }

  /** Memory was tight and some of it has come back. */
  #relieve(): void {
    if (!this.isTight) {
      for (const wake of this.#reliefWaiters) wake();
      this.#reliefWaiters.clear();
    }
    this.#onRelief();
  }

  /** One is always granted, however full memory is: those who wait for theirs may be what fills it. */
  #canReserve(bytes: number): boolean {
    if (this.#reservedBytes + bytes > this.#reservableBytes) return false;
    return this.#reservedBytes === 0 || this.#committedBytes + bytes <= this.budgetBytes;
  }

  #grantReservations(): void {
    for (const waiter of this.#reserveWaiters) {
      if (!this.#canReserve(waiter.bytes)) return;
      this.#reservedBytes += waiter.bytes;
      waiter.grant();
    }
  }

  /** Has the uploads that keep most give it back, until memory is no longer tight or nothing is kept. */
  #reclaim(): void {
    while (this.isTight) {
      let largest: Holder | undefined;
      for (const holder of this.#holders) {
        if (holder.keptBytes > (largest?.keptBytes ?? 0)) largest = holder;
      }
      if (largest === undefined) return;
      const { keptBytes } = largest;
      largest.dropKept();
      // Never again and again for nothing: no event would be handled any more.
      if (largest.keptBytes >= keptBytes) return;
    }
  }
}
