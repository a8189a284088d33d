// One upload's share of the memory budget: how much it holds, what of that it could give back, and when it may take more.
import { windowBytes, type ByteBudget, type Holder } from './byte-budget.ts';
import type { HeldPart } from './held-part.ts';

export class UploadMemory implements Holder {
  readonly #budget: ByteBudget;
  readonly #place: number;
  /** Those in flight: a few. */
  readonly #parts: HeldPart[] = [];
  #heldBytes = 0;
  #keptBytes = 0;
  #isClosed = false;
  #waitedMs = 0;
  #wake: (() => void) | undefined;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
    this.#place = budget.register(this);
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** How long room() has kept this upload waiting, in milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Whether what is sent shall be kept, so that it can be sent again. */
  get mayKeep(): boolean {
    return !this.#budget.isTight;
  }

  enter(part: HeldPart): void {
    this.#parts.push(part);
  }

  leave(part: HeldPart): void {
    const at = this.#parts.indexOf(part);
    if (at !== -1) this.#parts.splice(at, 1);
  }

  held(byteLength: number): void {
    this.#heldBytes += byteLength;
  }

  kept(byteLength: number): void {
    this.#keptBytes += byteLength;
  }

  /** Bytes of a part for which memory was reserved. */
  covered(byteLength: number): void {
    this.#budget.cover(byteLength);
  }

  released(byteLength: number): void {
    this.#heldBytes -= byteLength;
    this.#wakeUp();
  }

  dropKept(): void {
    for (const part of this.#parts) part.dropKept();
  }

  /** Resolves when this upload may take one more chunk: at once while memory is plentiful or less than a window is held. */
  async room(): Promise<void> {
    let isWaiting = false;
    while (this.#mustWait) {
      if (this.#keptBytes > 0) this.dropKept();
      if (!this.#mustWait) break;
      const startedAt = performance.now();
      // Once, however often it is woken for less than it needs.
      if (!isWaiting) this.#budget.waitBegins();
      isWaiting = true;
      await new Promise<void>((resolve) => {
        const wake = () => resolve();
        this.#wake = wake;
        this.#budget.onceRelieved(wake);
      });
      this.#waitedMs += performance.now() - startedAt;
    }
    if (isWaiting) this.#budget.waitEnds();
  }

  get #mustWait(): boolean {
    return !this.#isClosed && this.#heldBytes >= windowBytes && this.#budget.isTight;
  }

  /** Ends a wait in room(): the upload has failed, and whoever waits finds out by its next step. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#budget.unregister(this.#place);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    if (wake === undefined) return;
    this.#wake = undefined;
    this.#budget.forgetRelief(wake);
    wake();
  }
}
