// Leaves an engine alone that has failed again and again, and lets one question through now and then to see whether it is back.
import { S3Error } from '../errors.ts';
import { Fault } from '../fault.ts';
import type { Authorizer } from './authorizer.ts';

/**
 * - **closed**: every call passes. A failure is counted, anything else forgets those before it. With the last of `failures` in
 *   a row the breaker opens.
 * - **open**: no call passes until `openMs` have gone by.
 * - **half-open**: the first call after that passes, the probe, and no other until it ends. If it fails the breaker is open
 *   again, else it is closed.
 *
 * A call that began before the breaker opened says nothing any more when it ends: it is told apart by its round.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  /** One more each time the breaker opens or closes. */
  #round = 0;
  #state: 'closed' | 'open' | 'half-open' = 'closed';
  #failures = 0;
  #openUntilMs = 0;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    return this.#state;
  }

  /** @returns what to hand to `leave` when the call has ended; or after how many milliseconds to come again. */
  enter(nowMs: number): { readonly round: number } | { readonly retryAfterMs: number } {
    if (this.#state === 'closed') return { round: this.#round };
    // The probe will have ended by then, or will have opened the breaker again.
    if (this.#state === 'half-open') return { retryAfterMs: this.#options.openMs };
    if (nowMs < this.#openUntilMs) return { retryAfterMs: this.#openUntilMs - nowMs };
    this.#state = 'half-open';
    return { round: this.#round };
  }

  leave(round: number, hasFailed: boolean, nowMs: number): void {
    if (round !== this.#round) return;
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    // A probe that fails is one more of those that opened it.
    if (hasFailed && this.#failures >= this.#options.failures) {
      this.#state = 'open';
      this.#openUntilMs = nowMs + this.#options.openMs;
      this.#round++;
    } else if (this.#state === 'half-open') {
      this.#state = 'closed';
      this.#round++;
    }
  }
}

export interface CircuitBreakerOptions {
  /** In a row. */
  readonly failures: number;
  readonly openMs: number;
}

const defaults: CircuitBreakerOptions = { failures: 5, openMs: 3000 };

/** While it is open, every question is answered ServiceUnavailable at once. @param nowMs a clock that never goes back. */
export function breakCircuit(
  engine: Authorizer,
  nowMs: () => number = () => performance.now(),
  options: CircuitBreakerOptions = defaults,
): Authorizer {
  const breaker = new CircuitBreaker(options);
  return {
    engine: engine.engine,
    async authorize(question, trace) {
      const entered = breaker.enter(nowMs());
      if ('retryAfterMs' in entered) {
        const cause = new Fault(`${engine.engine} has failed ${options.failures} times in a row and is left alone`);
        throw new S3Error('ServiceUnavailable', { cause, retryAfterMs: entered.retryAfterMs });
      }
      let hasFailed = false;
      try {
        return await engine.authorize(question, trace);
      } catch (error) {
        hasFailed = isAway(error);
        throw error;
      } finally {
        breaker.leave(entered.round, hasFailed, nowMs());
      }
    },
    checkReady: (signal) => engine.checkReady(signal),
    close: () => engine.close(),
  };
}

const gatewayStatuses: ReadonlySet<unknown> = new Set([429, 502, 503, 504]);

/**
 * An engine that answers wrongly is there: only what one sender asks may be to blame, and nobody else shall suffer for it.
 * The fault that lies behind the error tells: its `status` is undefined where there was no answer.
 */
export function isAway(error: unknown): boolean {
  if (!(error instanceof S3Error) || error.code !== 'ServiceUnavailable') return false;
  const { cause } = error;
  const status = typeof cause === 'object' && cause !== null && 'status' in cause ? cause.status : undefined;
  return status === undefined || gatewayStatuses.has(status);
}
