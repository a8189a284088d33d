// The metrics of one proxy: counted here, and served here, unless the process that supervises this one serves them for all.
import type { Config } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import type { Metrics } from '../observer.ts';
import { Counters, type CounterOptions } from './counters.ts';
import { readProcessMetrics } from './process-metrics.ts';
import { reportToSupervisor } from './report-to-supervisor.ts';
import { serveMetrics } from './serve-metrics.ts';

export interface MetricsOptions extends CounterOptions {
  readonly config: Config;
  readonly log: Log;
}

/** @throws Error in one sentence when the port cannot be had. */
export async function startMetrics({ log, ...options }: MetricsOptions): Promise<Metrics> {
  const { isSupervised } = options;
  const counters = new Counters(options);
  const read = async () => [...counters.read(), ...(await readProcessMetrics())];
  const server = isSupervised
    ? reportToSupervisor({ read, log })
    : await serveMetrics(options.config.metrics, { read, log });
  return Object.assign(counters, { stop: () => server.stop() });
}
