// The keys of an identity provider: when they are fetched, how long they are believed, and what holds while it is away.
import type { CallTrace } from '../../call-trace.ts';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import type { KeySet, KeySource } from './key-source.ts';

export interface JwksOptions<Keys extends KeySet> {
  /**
   * One fetch; given the keys that are held, it returns the same object when nothing has changed. `cause` is of the request that
   * it is made for, when one cannot go on without it.
   */
  readonly fetch: (previous: Keys | undefined, cause?: CallTrace) => Promise<Keys>;
  readonly cacheTtlMs: number;
  readonly cooldownMs: number;
  readonly maxStaleMs: number;
  /** Called with what went wrong, at most once in each cool-down. */
  readonly onFetchFailed?: ((error: unknown) => void) | undefined;
  /** A clock that is never set, in milliseconds. */
  readonly nowMs?: () => number;
}

/** Of the TTL: from then on keys are fetched while they are still good, so that under load nobody waits. */
const refreshShare = 0.8;

/**
 * By the age of the keys that are held:
 * - fresh, up to 80 % of the TTL: they are used.
 * - ageing, up to the TTL: they are used, and fetched meanwhile.
 * - old, past the TTL: who needs them waits for a fetch, so that a key which is gone is good for no longer. When the last
 *   fetch has failed, the provider is away until one succeeds, however long ago that was: then they are used, and fetched
 *   meanwhile. Or every fetch from a provider that takes connections and never answers would have everybody wait.
 * - none, or past the longest time that they may be stale: who needs them waits for a fetch, and is refused if that fails.
 *
 * There is no timer: a fetch begins when somebody needs keys, and at the start. One runs at a time. After one that failed
 * the next begins when the cool-down is over, whoever asks; so a provider that is away, or back, is not run down. A key
 * that is not there begins one at most once in each cool-down, or anybody could have the provider asked at will.
 */
export class Jwks<Keys extends KeySet> implements KeySource {
  readonly #options: JwksOptions<Keys>;
  readonly #nowMs: () => number;
  #keys: Keys | undefined;
  #fetchedAtMs = -Infinity;
  #failedAtMs = -Infinity;
  #failure: unknown;
  /** Whether the last fetch that ended has failed. */
  #isAway = false;
  /** When the last fetch for a key that was not there began. */
  #soughtAtMs = -Infinity;
  #pending: Promise<void> | undefined;

  constructor(options: JwksOptions<Keys>) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#begin();
  }

  current(trace?: CallTrace): Keys | undefined {
    const { cacheTtlMs, maxStaleMs } = this.#options;
    const now = this.#nowMs();
    const ageMs = now - this.#fetchedAtMs;
    if (ageMs < refreshShare * cacheTtlMs && ageMs < maxStaleMs) return this.#keys;
    if (this.#hasCooledDown(this.#failedAtMs, now)) this.#begin(trace);
    return ageMs < maxStaleMs && (ageMs < cacheTtlMs || this.#isAway) ? this.#keys : undefined;
  }

  async load(trace?: CallTrace): Promise<Keys> {
    const held = this.current(trace);
    if (held !== undefined) return held;
    await this.#pending;
    const keys = this.current();
    if (keys !== undefined) return keys;
    const retryAfterMs = this.#failedAtMs + this.#options.cooldownMs - this.#nowMs();
    const cause = new Fault('the keys of the identity provider cannot be fetched', { cause: this.#failure });
    throw new S3Error('ServiceUnavailable', { cause, retryAfterMs });
  }

  async renew(trace?: CallTrace): Promise<boolean> {
    const now = this.#nowMs();
    if (this.#pending === undefined) {
      if (!this.#hasCooledDown(this.#failedAtMs, now) || !this.#hasCooledDown(this.#soughtAtMs, now)) return false;
      this.#soughtAtMs = now;
      this.#begin(trace);
    }
    await this.#pending;
    return true;
  }

  #hasCooledDown(sinceMs: number, now: number): boolean {
    return now - sinceMs >= this.#options.cooldownMs;
  }

  #begin(trace?: CallTrace): void {
    this.#pending ??= this.#fetch(trace).finally(() => (this.#pending = undefined));
  }

  async #fetch(trace: CallTrace | undefined): Promise<void> {
    try {
      this.#keys = await this.#options.fetch(this.#keys, trace);
      this.#fetchedAtMs = this.#nowMs();
      this.#isAway = false;
    } catch (error) {
      this.#failedAtMs = this.#nowMs();
      this.#failure = error;
      this.#isAway = true;
      this.#options.onFetchFailed?.(error);
    }
  }
}
