// How many bodies are received at a time: the next one waits its turn, but not for long.
import { S3Error } from '../errors.ts';

export interface UploadSlotsOptions {
  readonly maxConcurrentUploads: number;
  readonly queueTimeoutMs: number;
  /** Whether memory is short: what waits holds some of it, so only a few are then let into the queue. */
  readonly isTight: () => boolean;
}

/** At half a megabyte each. */
const maxQueuedWhileTight = 64;

const slowDown = () => new S3Error('SlowDown', { retryAfterMs: 1000 });

export class UploadSlots {
  readonly #options: UploadSlotsOptions;
  readonly #queue = new Set<() => void>();
  #inUse = 0;

  constructor(options: UploadSlotsOptions) {
    this.#options = options;
  }

  get inUse(): number {
    return this.#inUse;
  }

  /** Requests that wait for a slot. */
  get queued(): number {
    return this.#queue.size;
  }

  /**
   * Takes a slot; pair it with leave().
   * @throws S3Error SlowDown when none is free in time; the signal's reason when it is aborted.
   */
  enter(signal: () => AbortSignal): Promise<void> | undefined {
    if (this.#inUse < this.#options.maxConcurrentUploads) {
      this.#inUse++;
      return undefined;
    }
    const isFull = this.#options.isTight() && this.#queue.size >= maxQueuedWhileTight;
    if (isFull || this.#options.queueTimeoutMs === 0) return Promise.reject(slowDown());
    return this.#wait(signal());
  }

  leave(): void {
    const next = this.#queue.values().next().value;
    if (next === undefined) this.#inUse--;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abandon);
        this.#queue.delete(take);
        outcome();
      };
      const take = () => settle(resolve);
      const abandon = () => settle(() => reject(signal.reason as Error));
      const timer = setTimeout(() => settle(() => reject(slowDown())), this.#options.queueTimeoutMs);
      this.#queue.add(take);
      if (signal.aborted) abandon();
      else signal.addEventListener('abort', abandon, { once: true });
    });
  }
}
