// Things that come and go thousands of times a second, and are gone through now and then.
//
// A Set would do, but for one thing: when it grows or shrinks, V8 links its old table to the new one. Once one of the dead tables
// is in the old generation, it keeps alive all that follow and whatever lay in them, until the next full collection: every
// request that was ever in flight beside them is copied and promoted for nothing.
export class SlotList<T> {
  readonly #slots: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** @returns the slot, by which it is removed. */
  add(item: T): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = item;
    return slot;
  }

  /** Called once for each that was added. */
  remove(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  /** In no order. What is added or removed meanwhile may be seen or not. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const item of this.#slots) if (item !== undefined) yield item;
  }
}
