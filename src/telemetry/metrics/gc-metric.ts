// How long garbage was collected. The library's own metric counts one collection of those that it is told of together, which under
// load are many, and a kind of which there was none so far is not in it.
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { DistributionFamily } from './families.ts';

const family = new DistributionFamily(
  {
    name: 'nodejs_gc_duration_seconds',
    labels: ['kind'],
    help: 'Garbage collection duration by kind, one of major, minor, incremental or weakcb.',
  },
  [0.001, 0.01, 0.1, 1, 2, 5],
);
const collections = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, family.add({ kind: 'major' })],
  [constants.NODE_PERFORMANCE_GC_MINOR, family.add({ kind: 'minor' })],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, family.add({ kind: 'incremental' })],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, family.add({ kind: 'weakcb' })],
]);

function count(entry: PerformanceEntry): void {
  // The typings know no entry of a collection.
  const { detail, duration } = entry as PerformanceEntry & { readonly detail: { readonly kind: number } };
  collections.get(detail.kind)?.observe(duration);
}

new PerformanceObserver((list) => list.getEntries().forEach(count)).observe({ entryTypes: ['gc'] });

/** Of the process. */
export const gcMetric: Pick<typeof family, 'read'> = family;
