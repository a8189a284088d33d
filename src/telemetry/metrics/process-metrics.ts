// What the library tells of the process: CPU, memory, files, the event loop, garbage collection. One for each process, however
// many proxies it has.
import { collectDefaultMetrics, Registry } from 'prom-client';
import { gcMetric } from './gc-metric.ts';
import type { MetricSnapshot } from './snapshot.ts';

const registry = new Registry();
collectDefaultMetrics({ register: registry });

/** Means and least values hide what matters; the active ones are told by nodejs_active_resources; collections are counted here. */
const leftOut = new Set([
  'nodejs_gc_duration_seconds',
  'nodejs_eventloop_lag_seconds',
  'nodejs_eventloop_lag_min_seconds',
  'nodejs_eventloop_lag_mean_seconds',
  'nodejs_eventloop_lag_stddev_seconds',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]);
const ofOneWorker = new Set([
  'nodejs_eventloop_lag_p50_seconds',
  'nodejs_eventloop_lag_p90_seconds',
  'nodejs_eventloop_lag_p99_seconds',
]);

export async function readProcessMetrics(): Promise<MetricSnapshot[]> {
  // The typings know a metric as it is described, not as it is written out.
  const snapshot = (await registry.getMetricsAsJSON()) as unknown as MetricSnapshot[];
  const told = snapshot.filter(({ name }) => !leftOut.has(name));
  return [
    ...told.map((metric): MetricSnapshot => (ofOneWorker.has(metric.name) ? { ...metric, aggregator: 'max' } : metric)),
    gcMetric.read(),
  ];
}
