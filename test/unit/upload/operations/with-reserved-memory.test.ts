// Memory that is set aside for an operation: what is told of the wait for it, and that it comes back.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { MemoryProgress } from '../../../../src/upload/operation-context.ts';
import { withReservedMemory } from '../../../../src/upload/operations/with-reserved-memory.ts';
import { ByteBudget } from '../../../../src/upload/body/byte-budget.ts';

type Context = Parameters<typeof withReservedMemory>[0];

function createContext(queueTimeoutMs: number): Context & { readonly stop: AbortController } {
  const stop = new AbortController();
  const progress: MemoryProgress = {};
  const parts = { budget: new ByteBudget(100), settings: { queueTimeoutMs }, request: { signal: stop.signal } };
  return { ...parts, progress, stop } as unknown as Context & { readonly stop: AbortController };
}

test('the wait is told of, and the memory is given back', async () => {
  const context = createContext(10_000);
  const { budget } = context;
  expect(await withReservedMemory(context, 50, async () => budget.reservedBytes)).toBe(50);
  expect(context.progress.reserveMs).toBeLessThan(20);
  budget.tryReserve(50);
  const waiting = withReservedMemory(context, 50, async () => 'run');
  await delay(40);
  budget.unreserve(50);
  expect(await waiting).toBe('run');
  expect(context.progress.reserveMs).toBeGreaterThan(30);
  expect(budget.reservedBytes).toBe(0);
});

test('so is one that was in vain: SlowDown when the time is over, the reason of a client that has left', async () => {
  const context = createContext(40);
  context.budget.tryReserve(50);
  await expect(withReservedMemory(context, 50, async () => 'run')).rejects.toMatchObject({ code: 'SlowDown' });
  expect(context.progress.reserveMs).toBeGreaterThan(30);
  const waiting = withReservedMemory(context, 50, async () => 'run');
  context.stop.abort(new Error('left'));
  await expect(waiting).rejects.toThrow('left');
  expect(context.budget.reservedBytes).toBe(50);
});
