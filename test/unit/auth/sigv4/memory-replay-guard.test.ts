// Used signatures in memory: refused until they expire, and no longer kept than that.
import { describe, expect, test } from 'vitest';
import { createMemoryReplayGuard } from '../../../../src/auth/sigv4/memory-replay-guard.ts';
import { createReplayGuard } from '../../../../src/auth/sigv4/create-replay-guard.ts';
import { sha256 } from '../../../support/sigv4.ts';

const startMs = Date.UTC(2026, 0, 1);
const owner = 'AKIAONE';
const signature = (index: number): string => sha256(String(index));
const used = expect.objectContaining({ code: 'AccessDenied', message: 'The signature has been used before.' });
const full = expect.objectContaining({ code: 'SlowDown', status: 503 });

function guardAt(maxEntries: number) {
  const clock = { ms: startMs };
  return { clock, guard: createMemoryReplayGuard({ maxEntries, now: () => clock.ms }) };
}

test('a signature is accepted once', () => {
  const { guard } = guardAt(10);
  guard.claim(signature(1), startMs + 1000, owner);
  expect(() => guard.claim(signature(1), startMs + 1000, owner)).toThrow(used);
  guard.claim(signature(2), startMs + 1000, owner);
  expect(() => guard.claim(signature(2), startMs + 1000, owner)).toThrow(used);
  expect(() => guard.claim(signature(1), startMs + 1000, owner)).toThrow(used);
});

test('for as long as it would be accepted, whenever that ends', () => {
  for (const lifeMs of [0, 1, 59_999, 60_000, 60_001, 900_000, 604_800_000]) {
    const { guard, clock } = guardAt(10);
    const untilMs = startMs + lifeMs;
    guard.claim(signature(1), untilMs, owner);
    for (const ms of [startMs, startMs + lifeMs / 2, untilMs - 1, untilMs]) {
      clock.ms = Math.max(startMs, ms);
      expect(() => guard.claim(signature(1), untilMs, owner)).toThrow(used);
    }
  }
});

test('what has expired is refused, as it may be forgotten', () => {
  const { guard, clock } = guardAt(10);
  guard.claim(signature(1), startMs + 59_999, owner);
  clock.ms = startMs + 60_000;
  for (const index of [1, 2]) {
    expect(() => guard.claim(signature(index), startMs + 59_999, owner)).toThrow('Request has expired');
  }
});

test('a clock that is set back forgets nothing', () => {
  const { guard, clock } = guardAt(10);
  guard.claim(signature(1), startMs + 300_000, owner);
  clock.ms = startMs - 3_600_000;
  guard.claim(signature(2), startMs, owner);
  expect(() => guard.claim(signature(1), startMs + 300_000, owner)).toThrow(used);
  clock.ms = startMs + 200_000;
  expect(() => guard.claim(signature(1), startMs + 300_000, owner)).toThrow(used);
});

describe('when it is full', () => {
  test('nothing that may come again is forgotten, and what is new is refused', () => {
    // Half of the room is one access key's.
    const { guard, clock } = guardAt(6);
    for (const index of [1, 2, 3]) guard.claim(signature(index), startMs + index * 60_000, owner);
    expect(() => guard.claim(signature(4), startMs + 60_000, owner)).toThrow(full);
    for (const index of [1, 2, 3])
      expect(() => guard.claim(signature(index), startMs + index * 60_000, owner)).toThrow(used);
    // Within the minute in which the first expires it still counts; in the next one there is room for one.
    clock.ms = startMs + 119_999;
    expect(() => guard.claim(signature(4), startMs + 240_000, owner)).toThrow(full);
    clock.ms = startMs + 120_000;
    guard.claim(signature(4), startMs + 240_000, owner);
    expect(() => guard.claim(signature(5), startMs + 240_000, owner)).toThrow(full);
    expect(() => guard.claim(signature(2), startMs + 120_000, owner)).toThrow(used);
  });

  test('it says when there may be room', () => {
    const { guard, clock } = guardAt(0);
    clock.ms = startMs + 45_000;
    expect(() => guard.claim(signature(1), startMs + 60_000, owner)).toThrow(
      expect.objectContaining({ retryAfterMs: 15_000 }),
    );
  });
});

test('who signs without end leaves the others room, and has room again when theirs has expired', () => {
  const { guard, clock } = guardAt(12);
  const fill = (accessKey: string, firstIndex: number, expiresAtMs: number): number => {
    for (let index = firstIndex; ; index++) {
      try {
        guard.claim(signature(index), expiresAtMs, accessKey);
      } catch {
        return index - firstIndex;
      }
    }
  };
  expect(fill('first', 0, startMs + 300_000)).toBe(6);
  expect(fill('second', 100, startMs + 60_000)).toBe(3);
  expect(fill('third', 200, startMs + 300_000)).toBe(2);
  expect(fill('first', 300, startMs + 300_000)).toBe(0);
  clock.ms = startMs + 120_000;
  expect(fill('second', 400, startMs + 300_000)).toBe(2);
  clock.ms = startMs + 600_000;
  expect(fill('first', 500, startMs + 900_000)).toBe(6);
});

test('it goes on for ever within its bounds', () => {
  const { guard, clock } = guardAt(2000);
  let index = 0;
  for (let minute = 0; minute < 500; minute++) {
    clock.ms = startMs + minute * 60_000;
    // Each lives for ten minutes: never more than a thousand at once.
    for (let i = 0; i < 90; i++) guard.claim(signature(index++), clock.ms + 600_000, owner);
  }
  expect(index).toBe(45_000);
});

test('without Redis the memory is used', async () => {
  const guard = createReplayGuard({ redis: undefined });
  await guard.claim(signature(1), Date.now() + 1000, owner);
  await expect(async () => guard.claim(signature(1), Date.now() + 1000, owner)).rejects.toThrow(used);
  await guard.close();
});
