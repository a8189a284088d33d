// A client with spans of its own, made and exported by OpenTelemetry's SDK as in any application.
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { AlwaysOnSampler, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Collector } from '../servers/start-rotel.ts';

export interface TracedClient {
  /** Runs within a span, and gives the fields that carry it on. @returns the span's trace. */
  within(name: string, run: (fields: Readonly<Record<string, string>>) => Promise<void>): Promise<string>;
  stop(): Promise<void>;
}

export function startTracedClient(collector: Pick<Collector, 'httpUrl'>): TracedClient {
  const exporter = new OTLPTraceExporter({ url: `${collector.httpUrl}/v1/traces` });
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer('client');
  const propagator = new W3CTraceContextPropagator();
  return {
    async within(name, run) {
      const span = tracer.startSpan(name, { kind: SpanKind.CLIENT }, ROOT_CONTEXT);
      const fields: Record<string, string> = {};
      propagator.inject(trace.setSpan(ROOT_CONTEXT, span), fields, {
        set: (_carrier, field, value) => {
          fields[field] = value;
        },
      });
      try {
        await run(fields);
      } finally {
        span.end();
      }
      return span.spanContext().traceId;
    },
    stop: () => provider.shutdown(),
  };
}
