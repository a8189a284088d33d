// OpenTelemetry's SDK for Node.js with everything given: what it samples, how it gathers spans, and nothing beside spans.
import type { ContextManager, Tracer } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import type { SamplingConfig, TracingConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import { version } from '../../version.ts';
import type { Tracing } from '../observer.ts';
import { CountingExporter } from './counting-exporter.ts';
import type { OnRejected } from './otlp-exporter.ts';
import { takeProvider, withoutVariables } from './own-surroundings.ts';
import { QueueWatch } from './queue-watch.ts';
import { describeResource } from './resource.ts';

export interface TracingSdk {
  readonly tracer: Tracer;
  readonly counts: Tracing['exports'];
  /** Exports what waits, for a limited time; what is then not exported is dropped. */
  stop(): Promise<void>;
}

export interface SdkOptions {
  readonly tracing: TracingConfig;
  readonly createExporter: (onRejected: OnRejected) => SpanExporter;
  readonly log: Log;
  /** Between the attempts to send one batch. */
  readonly retryDelaysMs?: readonly number[];
  /** What the last spans may take when the process stops. */
  readonly stopMs?: number;
}

/** More than a span of ours ever has, and as in the specification of the SDK. */
const spanLimits = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: Infinity,
  eventCountLimit: 128,
  linkCountLimit: 128,
  attributePerEventCountLimit: 128,
  attributePerLinkCountLimit: 128,
};
const defaultRetryDelaysMs = [500, 1000, 2000, 4000];
/** Every attempt ends by itself before, with its answer. */
const exportSlackMs = 1000;
const longestTimerMs = 2 ** 31 - 1;
/** Null, which the typings do not know: the SDK registers none then. One that followed asynchronous calls would cost every request something, and nothing here asks it. */
const noContextManager = null as unknown as ContextManager;

export function startSdk({
  tracing,
  createExporter,
  log,
  retryDelaysMs = defaultRetryDelaysMs,
  stopMs = 3000,
}: SdkOptions): TracingSdk {
  const { maxQueueSize, maxExportBatchSize, scheduledDelayMs } = tracing.batch;
  const exporter = new CountingExporter({ createExporter, retryDelaysMs, log });
  const queueWatch = new QueueWatch({ exporter, maxQueueSize, log });
  const sum = (total: number, delayMs: number): number => total + delayMs + tracing.otlp.timeoutMs;
  const exportMs = retryDelaysMs.reduce(sum, tracing.otlp.timeoutMs) + exportSlackMs;
  const batches = new BatchSpanProcessor({
    exporter,
    maxQueueSize,
    maxExportBatchSize: Math.min(maxExportBatchSize, maxQueueSize),
    scheduledDelayMillis: scheduledDelayMs,
    exportTimeoutMillis: Math.min(exportMs, longestTimerMs),
  });
  const start = (): NodeSDK => {
    const sdk = new NodeSDK({
      autoDetectResources: false,
      resource: resourceFromAttributes(describeResource(tracing)),
      spanProcessors: [queueWatch, batches],
      sampler: createSampler(tracing.sampling),
      spanLimits,
      metricReaders: [],
      instrumentations: [],
      textMapPropagator: null,
      contextManager: noContextManager,
    });
    sdk.start();
    return sdk;
  };
  let sdk: NodeSDK | undefined;
  const provider = takeProvider(() => (sdk = withoutVariables(start)));
  return {
    tracer: provider.getTracer('mizuchi-uploadr', version),
    get counts() {
      return { exported: exporter.exported, dropped: queueWatch.dropped, failed: exporter.failed };
    },
    async stop() {
      exporter.stopRetrying();
      const sent = (sdk?.shutdown() ?? Promise.resolve()).catch(() => undefined).then(() => exporter.forceFlush());
      await waitAtMost(stopMs, sent);
      exporter.close();
      queueWatch.giveUp();
    },
  };
}

function createSampler({ strategy, ratio }: SamplingConfig): Sampler {
  switch (strategy) {
    case 'always':
      return new AlwaysOnSampler();
    case 'never':
      return new AlwaysOffSampler();
    case 'ratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parent_based':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

async function waitAtMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
