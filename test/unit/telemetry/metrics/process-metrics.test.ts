// What is told of the process itself.
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { readProcessMetrics } from '../../../../src/telemetry/metrics/process-metrics.ts';

async function collections(): Promise<{ count: number; seconds: number; kinds: Set<unknown> }> {
  const { values = [] } = (await readProcessMetrics()).find(({ name }) => name === 'nodejs_gc_duration_seconds') ?? {};
  const sum = (suffix: string): number =>
    values.reduce((total, { metricName, value }) => total + (metricName?.endsWith(suffix) === true ? value : 0), 0);
  return { count: sum('_count'), seconds: sum('_sum'), kinds: new Set(values.map(({ labels }) => labels['kind'])) };
}

test('every collection of garbage is counted, also of those that are told of together', async () => {
  const before = await collections();
  expect(before.kinds).toEqual(new Set(['major', 'minor', 'incremental', 'weakcb']));
  const seen = { count: 0, seconds: 0, atOnce: 0 };
  const observer = new PerformanceObserver((list) => {
    const entries = list.getEntries();
    seen.count += entries.length;
    seen.seconds += entries.reduce((ms, { duration }) => ms + duration, 0) / 1000;
    seen.atOnce = Math.max(seen.atOnce, entries.length);
  });
  observer.observe({ entryTypes: ['gc'] });
  await vi.waitUntil(async () => {
    Array.from({ length: 200_000 }, (_, index) => ({ index }));
    await delay(1);
    return seen.atOnce > 1;
  });
  const after = await collections();
  observer.disconnect();
  expect(after.count - before.count).toBeGreaterThanOrEqual(seen.count);
  expect(after.seconds - before.seconds).toBeGreaterThanOrEqual(seen.seconds - 0.001);
});
