// When an identity provider's keys are fetched, and how long they are believed: with a clock that the test turns.
import { describe, expect, test } from 'vitest';
import { Jwks } from '../../../../src/auth/jwt/jwks.ts';
import type { KeySet } from '../../../../src/auth/jwt/key-source.ts';
import { refusalOf } from './tokens.ts';

const cacheTtlMs = 300_000;
const cooldownMs = 10_000;
const maxStaleMs = 3_600_000;

const newKeys = (): KeySet => ({
  find: () => {
    throw new Error('not asked in these tests');
  },
});
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function start(times: Partial<Record<'cacheTtlMs' | 'cooldownMs' | 'maxStaleMs', number>> = {}) {
  let nowMs = 1_000_000;
  const fetches: PromiseWithResolvers<KeySet>[] = [];
  const previous: (KeySet | undefined)[] = [];
  const failures: unknown[] = [];
  const jwks = new Jwks<KeySet>({
    cacheTtlMs,
    cooldownMs,
    maxStaleMs,
    ...times,
    fetch: (held) => {
      previous.push(held);
      const fetch = Promise.withResolvers<KeySet>();
      fetches.push(fetch);
      return fetch.promise;
    },
    onFetchFailed: (error) => failures.push(error),
    nowMs: () => nowMs,
  });
  return {
    jwks,
    previous,
    failures,
    fetchCount: () => fetches.length,
    pass: (ms: number) => (nowMs += ms),
    answer: async (keys: KeySet) => {
      fetches.at(-1)?.resolve(keys);
      await settle();
    },
    fail: async (error: unknown = new Error('away')) => {
      fetches.at(-1)?.reject(error);
      await settle();
    },
  };
}

async function startWith(keys: KeySet, times: Parameters<typeof start>[0] = {}) {
  const started = start(times);
  await started.answer(keys);
  return started;
}

/** What a promise has come to by now. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = 'pending';
  promise.then(
    (value) => (state = value),
    (error: unknown) => (state = error),
  );
  await settle();
  return state;
}

describe('the first keys', () => {
  test('are fetched at the start, before anybody asks, and waited for by all who ask', async () => {
    const { jwks, fetchCount, answer } = start();
    expect(fetchCount()).toBe(1);
    expect(jwks.current()).toBeUndefined();
    const both = [jwks.load(), jwks.load()];
    expect(await stateOf(both[0]!)).toBe('pending');
    const keys = newKeys();
    await answer(keys);
    expect(await Promise.all(both)).toEqual([keys, keys]);
    expect(jwks.current()).toBe(keys);
    expect(fetchCount()).toBe(1);
  });

  test('that cannot be had are 503, at once until the cool-down is over, and then asked for again', async () => {
    const { jwks, fetchCount, pass, answer, fail, failures } = start();
    const refused = refusalOf(jwks.load());
    const reason = new Error('away');
    await fail(reason);
    expect(await refused).toMatchObject({
      code: 'ServiceUnavailable',
      status: 503,
      cause: { cause: reason },
      retryAfterMs: cooldownMs,
    });
    expect(failures).toEqual([reason]);
    pass(cooldownMs - 1);
    expect(await refusalOf(jwks.load())).toMatchObject({ code: 'ServiceUnavailable', retryAfterMs: 1 });
    expect(await jwks.renew()).toBe(false);
    expect(fetchCount()).toBe(1);
    pass(1);
    const again = jwks.load();
    expect(fetchCount()).toBe(2);
    const keys = newKeys();
    await answer(keys);
    expect(await again).toBe(keys);
  });
});

describe('by their age', () => {
  test('fresh keys are used, and nothing is fetched', async () => {
    const keys = newKeys();
    const { jwks, fetchCount, pass } = await startWith(keys);
    pass(0.8 * cacheTtlMs - 1);
    expect(jwks.current()).toBe(keys);
    expect(fetchCount()).toBe(1);
  });

  test('ageing keys are used, and fetched once meanwhile', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const { jwks, fetchCount, pass, answer, previous } = await startWith(keys);
    pass(0.8 * cacheTtlMs);
    expect(jwks.current()).toBe(keys);
    expect(jwks.current()).toBe(keys);
    expect(await jwks.load()).toBe(keys);
    expect(fetchCount()).toBe(2);
    expect(previous).toEqual([undefined, keys]);
    await answer(next);
    expect(jwks.current()).toBe(next);
    pass(0.8 * cacheTtlMs - 1);
    expect(jwks.current()).toBe(next);
    expect(fetchCount()).toBe(2);
  });

  test('keys that a fetch finds unchanged are fresh again', async () => {
    const keys = newKeys();
    const { jwks, fetchCount, pass, answer } = await startWith(keys);
    pass(0.9 * cacheTtlMs);
    jwks.current();
    await answer(keys);
    pass(0.7 * cacheTtlMs);
    expect(jwks.current()).toBe(keys);
    expect(fetchCount()).toBe(2);
  });

  test('keys past the TTL are not used before they have been fetched again', async () => {
    const next = newKeys();
    const { jwks, fetchCount, pass, answer } = await startWith(newKeys());
    pass(cacheTtlMs);
    expect(jwks.current()).toBeUndefined();
    const waiting = jwks.load();
    expect(await stateOf(waiting)).toBe('pending');
    expect(fetchCount()).toBe(2);
    await answer(next);
    expect(await waiting).toBe(next);
  });
});

describe('while the provider is away', () => {
  test('who waited for keys past the TTL gets the last good ones', async () => {
    const keys = newKeys();
    const { jwks, pass, fail } = await startWith(keys);
    pass(cacheTtlMs);
    const waiting = jwks.load();
    await fail();
    expect(await waiting).toBe(keys);
  });

  test('the last good keys are used without a wait, and fetched once in each cool-down', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const { jwks, fetchCount, pass, fail, failures, answer } = await startWith(keys);
    pass(0.8 * cacheTtlMs);
    jwks.current();
    await fail();
    for (let passed = 0; passed < 10 * cacheTtlMs; passed += cooldownMs / 2) {
      pass(cooldownMs / 2);
      const count = fetchCount();
      expect(jwks.current()).toBe(keys);
      if (fetchCount() > count) await fail();
    }
    expect(fetchCount()).toBe(2 + (10 * cacheTtlMs) / cooldownMs);
    expect(failures.length).toBe(fetchCount() - 1);
    pass(cooldownMs);
    expect(jwks.current()).toBe(keys);
    await answer(next);
    expect(jwks.current()).toBe(next);
  });

  test('nobody waits for a fetch that gets no answer, however long it takes', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const timeoutMs = 5000;
    const { jwks, fetchCount, pass, fail, answer } = await startWith(keys, { cacheTtlMs: 5000 });
    pass(5000);
    jwks.current();
    pass(timeoutMs);
    await fail();
    for (let round = 2; round < 20; round++) {
      pass(cooldownMs);
      expect(jwks.current()).toBe(keys);
      expect(fetchCount()).toBe(1 + round);
      for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 1000) {
        expect(await stateOf(jwks.load())).toBe(keys);
        pass(1000);
      }
      expect(fetchCount()).toBe(1 + round);
      await fail();
    }
    pass(cooldownMs);
    jwks.current();
    await answer(next);
    expect(jwks.current()).toBe(next);
    // It is back: past the TTL they are waited for as before.
    pass(5000);
    expect(jwks.current()).toBeUndefined();
  });

  test('who asks seldom does not wait either: only for the first fetch that fails', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const { jwks, fetchCount, pass, fail, answer } = await startWith(keys);
    pass(2 * cacheTtlMs);
    const first = jwks.load();
    expect(await stateOf(first)).toBe('pending');
    await fail();
    expect(await first).toBe(keys);
    for (let count = 3; count < 6; count++) {
      pass(2 * cacheTtlMs);
      expect(await stateOf(jwks.load())).toBe(keys);
      expect(fetchCount()).toBe(count);
      await fail();
    }
    // The one who finds it back is served by the old keys, and has new ones fetched for all who come after.
    pass(2 * cacheTtlMs);
    expect(await stateOf(jwks.load())).toBe(keys);
    await answer(next);
    expect(jwks.current()).toBe(next);
  });

  test('a cool-down longer than the TTL does not take the keys away', async () => {
    const keys = newKeys();
    const { jwks, pass, fail, fetchCount } = await startWith(keys, { cacheTtlMs: 1000, cooldownMs: 60_000 });
    pass(1000);
    jwks.current();
    await fail();
    pass(59_999);
    expect(jwks.current()).toBe(keys);
    expect(fetchCount()).toBe(2);
  });

  test('keys that are too old are not used, until new ones are there', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const { jwks, pass, fail, answer } = await startWith(keys);
    for (let ageMs = 0; ageMs < maxStaleMs - cooldownMs; ageMs += cooldownMs) {
      pass(cooldownMs);
      jwks.current();
      await fail();
    }
    pass(cooldownMs - 1);
    expect(jwks.current()).toBe(keys);
    pass(1);
    expect(jwks.current()).toBeUndefined();
    const refused = refusalOf(jwks.load());
    await fail();
    expect(await refused).toMatchObject({ code: 'ServiceUnavailable', status: 503 });
    pass(cooldownMs);
    const later = jwks.load();
    await answer(next);
    expect(await later).toBe(next);
  });

  test('the limit holds even where it is less than the TTL', async () => {
    const { jwks, pass } = await startWith(newKeys(), { maxStaleMs: 1000 });
    pass(999);
    expect(jwks.current()).toBeDefined();
    pass(1);
    expect(jwks.current()).toBeUndefined();
  });
});

describe('a key that is not there', () => {
  test('is looked for in new keys, at most once in each cool-down', async () => {
    const [keys, next] = [newKeys(), newKeys()];
    const { jwks, fetchCount, pass, answer } = await startWith(keys);
    pass(1);
    const renewing = jwks.renew();
    expect(await stateOf(renewing)).toBe('pending');
    expect(jwks.current()).toBe(keys);
    await answer(next);
    expect(await renewing).toBe(true);
    expect(jwks.current()).toBe(next);
    pass(cooldownMs - 1);
    expect(await jwks.renew()).toBe(false);
    expect(fetchCount()).toBe(2);
    pass(1);
    void jwks.renew();
    expect(fetchCount()).toBe(3);
  });

  test('is waited for together by all who name one', async () => {
    const { jwks, fetchCount, answer } = await startWith(newKeys());
    const all = Array.from({ length: 100 }, () => jwks.renew());
    expect(fetchCount()).toBe(2);
    await answer(newKeys());
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
    expect(fetchCount()).toBe(2);
  });

  test('is looked for again when the fetch under way was begun for another reason', async () => {
    const { jwks, fetchCount, pass, answer } = await startWith(newKeys());
    pass(0.9 * cacheTtlMs);
    jwks.current();
    const renewing = jwks.renew();
    expect(fetchCount()).toBe(2);
    await answer(newKeys());
    expect(await renewing).toBe(true);
    void jwks.renew();
    expect(fetchCount()).toBe(3);
  });

  test('is not looked for while a failed fetch cools down', async () => {
    const keys = newKeys();
    const { jwks, fetchCount, pass, fail } = await startWith(keys);
    const renewing = jwks.renew();
    pass(5000);
    await fail();
    expect(await renewing).toBe(true);
    expect(jwks.current()).toBe(keys);
    pass(cooldownMs - 1);
    expect(await jwks.renew()).toBe(false);
    expect(fetchCount()).toBe(2);
    pass(1);
    void jwks.renew();
    expect(fetchCount()).toBe(3);
  });
});
