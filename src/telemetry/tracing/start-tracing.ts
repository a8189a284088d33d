// Spans of requests and of all that is done for them, exported to a collector over OTLP.
import type { BucketConfig, TracingConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import type { Tracing } from '../observer.ts';
import { noTrace, PassedTrace, passOn } from './passed-trace.ts';
import { readRemoteParent } from './trace-context.ts';

export interface TracingOptions {
  readonly tracing: TracingConfig;
  readonly buckets: readonly Pick<BucketConfig, 'name' | 'storage'>[];
  readonly log: Log;
}

export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { tracing, log } = options;
  if (tracing.sampling.strategy === 'never') return passEverythingOn();
  const [{ startSdk }, { prepareExporter }, { recordTraces }] = await Promise.all([
    import('./start-sdk.ts'),
    import('./otlp-exporter.ts'),
    import('./record-traces.ts'),
  ]);
  return recordTraces(startSdk({ tracing, createExporter: await prepareExporter(tracing.otlp), log }), options);
}

/** Nothing is recorded, and nothing is loaded for it: what clients say of their traces still reaches the neighbours. */
function passEverythingOn(): Tracing {
  return {
    exports: { exported: 0, dropped: 0, failed: 0 },
    startRequest(request) {
      const parent = readRemoteParent(request.headers);
      return parent === undefined ? noTrace : passOn(parent);
    },
    startBackgroundCall: () => noTrace,
    startSweep: () => noTrace,
    startNeighbourCall: (_neighbour, cause) => (cause instanceof PassedTrace ? cause : noTrace),
    stop: () => Promise.resolve(),
  };
}
