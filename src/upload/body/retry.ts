// Tries a call to the backend again where that is safe: exponential backoff with full jitter, and no sooner than the
// backend asked for.
import { S3Error } from '../../errors.ts';

export interface RetryOptions {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * Milliseconds to wait before the attempt after `failedAttempts` failures: a random time between nothing and the
 * exponential bound ("full jitter"), but at least what the backend asked for (`retryAfterMs`, itself bounded by ten
 * times maxDelayMs, as nobody's client waits for hours).
 */
export function retryDelayMs(
  failedAttempts: number,
  { baseDelayMs, maxDelayMs }: RetryOptions,
  { retryAfterMs = 0, random = Math.random }: { retryAfterMs?: number; random?: () => number } = {},
): number {
  const boundMs = Math.min(maxDelayMs, baseDelayMs * 2 ** (failedAttempts - 1));
  return Math.max(random() * boundMs, Math.min(retryAfterMs, 10 * maxDelayMs));
}

/** Resolves after the time; rejects with the signal's reason when it is aborted first. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

/**
 * Runs `attempt` until it succeeds, fails for good (not an S3Error marked retryable, or `mayRetry` says no), or the
 * attempts are used up; then throws the last failure, or the signal's reason.
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { retry, signal, mayRetry = () => true }: { retry: RetryOptions; signal: AbortSignal; mayRetry?: () => boolean },
): Promise<T> {
  for (let failedAttempts = 1; ; failedAttempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof S3Error) || !error.retryable || failedAttempts >= retry.maxAttempts || !mayRetry())
        throw error;
      const retryAfterMs = error.retryAfterMs;
      await delay(retryDelayMs(failedAttempts, retry, retryAfterMs === undefined ? {} : { retryAfterMs }), signal);
      // What was kept to be sent again may have been given back meanwhile.
      if (!mayRetry()) throw error;
    }
  }
}
