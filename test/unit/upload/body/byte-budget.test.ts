// The memory budget: what is lent comes back, pressure is felt in steps, and reservations are granted in turn.
import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { ByteBudget, slabBytes } from '../../../../src/upload/body/byte-budget.ts';

const noReader = { onExhausted: () => {}, onRelief: () => {} };
const never = new AbortController().signal;

describe('lending', () => {
  test('uses returned memory again', () => {
    const budget = new ByteBudget(16 * slabBytes);
    const slab = budget.lend();
    const { bytes } = slab;
    slab.release();
    expect(budget.lend().bytes).toBe(bytes);
  });

  test('gives a slab back only with its last reference', () => {
    const budget = new ByteBudget(16 * slabBytes);
    const slab = budget.lend();
    slab.retain();
    slab.release();
    expect(budget.lentBytes).toBe(slabBytes);
    slab.release();
    expect(budget.lentBytes).toBe(0);
  });

  test('has what is kept given back, most first, when it gets tight', () => {
    const budget = new ByteBudget(8 * slabBytes);
    const slabs = Array.from({ length: 5 }, () => budget.lend());
    const dropped: string[] = [];
    const holder = (name: string, slab: { release(): void }, keptBytes: number) => ({
      keptBytes,
      dropKept() {
        dropped.push(name);
        this.keptBytes = 0;
        slab.release();
      },
    });
    budget.register(holder('small', slabs[0]!, 10));
    budget.register(holder('large', slabs[1]!, 20));
    budget.register(holder('smallest', slabs[2]!, 5));
    const gone = budget.register(holder('gone', slabs[3]!, 30));
    budget.unregister(gone);
    budget.lend();
    expect(dropped).toEqual(['large']);
    expect(budget.tryReserve(slabBytes)).toBe(true);
    budget.lend();
    expect(dropped).toEqual(['large', 'small', 'smallest']);
  });

  test('is not held up by who keeps what cannot be given back', () => {
    const budget = new ByteBudget(4 * slabBytes);
    let asked = 0;
    budget.register({ keptBytes: 10, dropKept: () => void asked++ });
    for (let i = 0; i < 3; i++) budget.lend();
    expect(asked).toBe(1);
  });

  test('keeps some memory for the next, and gives the rest back when nothing was lent for a minute', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const budget = new ByteBudget(100 * slabBytes);
      const seen = new Set<Uint8Array>();
      /** @returns how many of so many slabs are made anew. */
      const use = (count: number): number => {
        const known = seen.size;
        const slabs = Array.from({ length: count }, () => budget.lend());
        for (const { bytes } of slabs) seen.add(bytes);
        for (const slab of slabs) slab.release();
        return seen.size - known;
      };
      expect(use(70)).toBe(70);
      vi.advanceTimersByTime(59_999);
      expect(use(70)).toBe(0);
      vi.advanceTimersByTime(59_999);
      const lent = budget.lend();
      vi.advanceTimersByTime(1);
      lent.release();
      expect(use(70)).toBe(0);
      vi.advanceTimersByTime(60_000);
      expect(use(70)).toBe(6);
    } finally {
      vi.useRealTimers();
    }
  });

  test('wakes who waits for memory once, and nobody who waits no more', () => {
    const budget = new ByteBudget(4 * slabBytes);
    const woken: string[] = [];
    const [wake, forgotten] = [() => void woken.push('woken'), () => void woken.push('forgotten')];
    const slabs = Array.from({ length: 4 }, () => budget.lend());
    budget.onceRelieved(wake);
    budget.onceRelieved(forgotten);
    budget.forgetRelief(forgotten);
    slabs[0]?.release();
    expect(woken).toEqual([]);
    slabs[1]?.release();
    slabs[2]?.release();
    const more = Array.from({ length: 3 }, () => budget.lend());
    expect(budget.isTight).toBe(true);
    for (const slab of more) slab.release();
    expect(woken).toEqual(['woken']);
  });

  test('stops the readers when nothing is left, and wakes them when something is', () => {
    const budget = new ByteBudget(4 * slabBytes);
    const told: string[] = [];
    budget.setReader({ onExhausted: () => told.push('exhausted'), onRelief: () => told.push('relief') });
    const slabs = Array.from({ length: 4 }, () => budget.lend());
    expect(told).toEqual(['exhausted']);
    expect(budget.isExhausted).toBe(true);
    slabs[0]?.release();
    expect(told).toEqual(['exhausted', 'relief']);
    expect(budget.freeBytes).toBe(slabBytes);
  });
});

test('waits are counted while they last', async () => {
  const budget = new ByteBudget(100);
  expect(budget.tryReserve(50)).toBe(true);
  expect(budget.reservedBytes).toBe(50);
  expect(budget.waits).toEqual({ count: 0, ms: 0 });
  const waiting = [budget.reserve(50, 10_000, never), budget.reserve(50, 10_000, never)];
  await delay(50);
  const ofTwo = budget.waits;
  expect(ofTwo.count).toBe(2);
  expect(ofTwo.ms).toBeGreaterThan(90);
  budget.unreserve(50);
  await waiting[0];
  await delay(20);
  expect(budget.waits.ms).toBeGreaterThan(ofTwo.ms + 15);
  budget.unreserve(50);
  await waiting[1];
  const inAll = budget.waits;
  await delay(5);
  expect(budget.waits).toEqual(inAll);
});

describe('reservations', () => {
  test('are granted in turn as earlier ones end', async () => {
    const budget = new ByteBudget(100);
    budget.setReader(noReader);
    expect(await budget.reserve(30, 1000, never)).toBe(true);
    const order: number[] = [];
    const second = budget.reserve(40, 10_000, never).then((granted) => granted && order.push(2));
    const third = budget.reserve(5, 10_000, never).then((granted) => granted && order.push(3));
    // There is room, but not before those who wait.
    expect(budget.tryReserve(1)).toBe(false);
    budget.unreserve(30);
    await Promise.all([second, third]);
    expect(order).toEqual([2, 3]);
  });

  test('are refused when the time is over, and let the next one pass', async () => {
    const budget = new ByteBudget(100);
    expect(budget.tryReserve(30)).toBe(true);
    const late = budget.reserve(50, 5, never);
    const small = budget.reserve(20, 10_000, never);
    expect(await late).toBe(false);
    expect(await small).toBe(true);
  });

  test('are out of reach for all others, whether they are used yet or not', () => {
    const budget = new ByteBudget(8 * slabBytes);
    expect(budget.tryReserve(4 * slabBytes)).toBe(true);
    expect(budget.freeBytes).toBe(4 * slabBytes);
    budget.lend();
    budget.cover(slabBytes);
    expect(budget.freeBytes).toBe(4 * slabBytes);
    for (let i = 0; i < 4; i++) budget.lend();
    expect(budget.isExhausted).toBe(true);
    let reliefs = 0;
    budget.setReader({ onExhausted: () => {}, onRelief: () => reliefs++ });
    budget.unreserve(4 * slabBytes);
    expect(budget.isExhausted).toBe(false);
    expect(reliefs).toBe(1);
  });

  test('wake who waits for memory when what they use is no longer counted twice', async () => {
    const budget = new ByteBudget(8 * slabBytes);
    expect(budget.tryReserve(4 * slabBytes)).toBe(true);
    budget.lend();
    budget.lend();
    expect(budget.isTight).toBe(true);
    let reliefs = 0;
    budget.setReader({ onExhausted: () => {}, onRelief: () => reliefs++ });
    const woken = vi.fn<() => void>();
    budget.onceRelieved(woken);
    budget.cover(slabBytes);
    expect([budget.isTight, woken.mock.calls.length, reliefs]).toEqual([false, 1, 1]);
  });

  test('are granted beyond the first only while memory lasts', () => {
    const budget = new ByteBudget(8 * slabBytes);
    for (let i = 0; i < 8; i++) budget.lend();
    expect(budget.tryReserve(slabBytes)).toBe(true);
    expect(budget.tryReserve(slabBytes)).toBe(false);
  });

  test('that wait for memory are granted when some comes back, or is no longer counted twice', async () => {
    const budget = new ByteBudget(8 * slabBytes);
    const slabs = Array.from({ length: 7 }, () => budget.lend());
    expect(budget.tryReserve(slabBytes)).toBe(true);
    const waiting = [budget.reserve(slabBytes, 10_000, never), budget.reserve(slabBytes, 10_000, never)];
    slabs[0]?.release();
    expect(await waiting[0]).toBe(true);
    expect(budget.freeBytes).toBe(0);
    budget.cover(slabBytes);
    expect(await waiting[1]).toBe(true);
    expect(budget.reservedBytes).toBe(3 * slabBytes);
  });

  test('do not overtake those that wait', async () => {
    const budget = new ByteBudget(100);
    expect(budget.tryReserve(30)).toBe(true);
    const waiting = budget.reserve(40, 10_000, never);
    expect(budget.tryReserve(5)).toBe(false);
    budget.unreserve(30);
    expect(await waiting).toBe(true);
    expect(budget.tryReserve(10)).toBe(true);
  });

  test('leave nothing on the signal', async () => {
    const budget = new ByteBudget(100);
    expect(budget.tryReserve(50)).toBe(true);
    const { signal } = new AbortController();
    const waiting = budget.reserve(10, 10_000, signal);
    budget.unreserve(50);
    expect(await waiting).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('end with the signal', async () => {
    const budget = new ByteBudget(100);
    expect(budget.tryReserve(50)).toBe(true);
    const stop = new AbortController();
    const waiting = budget.reserve(10, 10_000, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
    budget.unreserve(50);
    expect(budget.tryReserve(50)).toBe(true);
  });
});
