// Retries: when, how often, how long apart.
import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { delay, retryDelayMs, withRetries } from '../../../../src/upload/body/retry.ts';

const retry = { maxAttempts: 3, baseDelayMs: 1, maxDelayMs: 2 };
const { signal } = new AbortController();
const busy = new S3Error('SlowDown', { retryable: true });

describe('retryDelayMs', () => {
  test('stays within the exponential bound, and waits at least as long as was asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.nat(100),
        (failed, random, asked) => {
          const options = { maxAttempts: 9, baseDelayMs: 100, maxDelayMs: 5000 };
          const ms = retryDelayMs(failed, options, { retryAfterMs: asked, random: () => random });
          expect(ms).toBeGreaterThanOrEqual(asked);
          expect(ms).toBeLessThanOrEqual(Math.max(asked, Math.min(5000, 100 * 2 ** (failed - 1))));
        },
      ),
    );
  });

  test('is any part of a bound that doubles with each failure', () => {
    const options = { maxAttempts: 9, baseDelayMs: 100, maxDelayMs: 5000 };
    const delays = (share: number) => [1, 2, 3, 6, 7, 60].map((n) => retryDelayMs(n, options, { random: () => share }));
    expect(delays(1)).toEqual([100, 200, 400, 3200, 5000, 5000]);
    expect(delays(0.5)).toEqual([50, 100, 200, 1600, 2500, 2500]);
    expect(delays(0)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('does not let a backend ask for hours', () => {
    expect(retryDelayMs(1, { maxAttempts: 9, baseDelayMs: 1, maxDelayMs: 10 }, { retryAfterMs: 3_600_000 })).toBe(100);
  });
});

describe('withRetries', () => {
  test('tries again what may be tried again, as often as is allowed', async () => {
    let attempts = 0;
    const result = withRetries(() => (++attempts < 3 ? Promise.reject(busy) : Promise.resolve('done')), {
      retry,
      signal,
    });
    expect(await result).toBe('done');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    attempts = 0;
    await expect(withRetries(() => (attempts++, Promise.reject(busy)), { retry, signal })).rejects.toBe(busy);
    expect(attempts).toBe(3);
  });

  test('does not try again what is final, or what can no longer be sent', async () => {
    let attempts = 0;
    const final = new S3Error('AccessDenied');
    await expect(withRetries(() => (attempts++, Promise.reject(final)), { retry, signal })).rejects.toBe(final);
    await expect(
      withRetries(() => (attempts++, Promise.reject(busy)), { retry, signal, mayRetry: () => false }),
    ).rejects.toBe(busy);
    expect(attempts).toBe(2);
  });

  test('does not try again what can no longer be sent when the wait is over', async () => {
    let attempts = 0;
    let isWhole = true;
    const failing = withRetries(() => (attempts++, Promise.reject(busy)), { retry, signal, mayRetry: () => isWhole });
    setImmediate(() => {
      isWhole = false;
    });
    await expect(failing).rejects.toBe(busy);
    expect(attempts).toBe(1);
  });

  test('waits as long as the backend asked for', async () => {
    const asking = new S3Error('SlowDown', { retryable: true, retryAfterMs: 19 });
    const startedAt = performance.now();
    let attempts = 0;
    await withRetries(() => (++attempts === 1 ? Promise.reject(asking) : Promise.resolve()), { retry, signal });
    expect(performance.now() - startedAt).toBeGreaterThan(15);
  });

  test('is over with the reason of the signal where that is aborted already', async () => {
    const reason = new Error('client left');
    const aborted = AbortSignal.abort(reason);
    await expect(withRetries(() => Promise.reject(busy), { retry, signal: aborted })).rejects.toBe(reason);
    await expect(delay(100_000, aborted)).rejects.toBe(reason);
  });

  test('leaves nothing on the signal', async () => {
    const stop = new AbortController();
    await delay(1, stop.signal);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  test('ends a wait with the reason of the signal', async () => {
    const stop = new AbortController();
    const reason = new Error('client left');
    const slow = { maxAttempts: 3, baseDelayMs: 100_000, maxDelayMs: 100_000 };
    const failing = withRetries(
      () => Promise.reject(new S3Error('SlowDown', { retryable: true, retryAfterMs: 100_000 })),
      {
        retry: slow,
        signal: stop.signal,
      },
    );
    setImmediate(() => stop.abort(reason));
    await expect(failing).rejects.toBe(reason);
  });
});
