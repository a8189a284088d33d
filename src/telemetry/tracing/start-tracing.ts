// Spans of requests and of all that is done for them, exported to a collector over OTLP.
import type { CallTrace } from '../../call-trace.ts';
import type { BucketConfig, TracingConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import { version } from '../../version.ts';
import type { Tracing } from '../observer.ts';
import { addressAttributes } from './address-attributes.ts';
import { names } from './attributes.ts';
import type { SpanTransport } from './otlp-transport.ts';
import { decline, noTrace, PassedTrace, passOn } from './passed-trace.ts';
import { createTraceId } from './random-ids.ts';
import { NeighbourSpan, RecordedSpan, type RecordedTrace } from './recorded-span.ts';
import { RecordedRequest } from './request-span.ts';
import { describeResource } from './resource.ts';
import { createSampler } from './sampling.ts';
import { SpanExporter } from './span-exporter.ts';
import { encodeAttribute } from './span-writer.ts';
import { describeStorageCalls, RecordedStorageSpan } from './storage-span.ts';
import { readRemoteParent, type RemoteParent } from './trace-context.ts';

export interface TracingOptions {
  readonly tracing: TracingConfig;
  readonly buckets: readonly Pick<BucketConfig, 'name' | 'storage'>[];
  readonly log: Log;
}

/** How far the process's clock may be from the system's, which is set now and then, before a new trace follows it. */
const maxClockDriftMs = 5;

export async function startTracing({ tracing, buckets, log }: TracingOptions): Promise<Tracing> {
  if (tracing.sampling.strategy === 'never') return passEverythingOn();
  const { createSpanTransport } = await import('./otlp-transport.ts');
  return traceTo(await createSpanTransport(tracing.otlp), { tracing, buckets, log });
}

export function traceTo(transport: SpanTransport, { tracing, buckets, log }: TracingOptions): Tracing {
  const { includeKeys, includeSubject } = tracing;
  const exporter = new SpanExporter({
    transport,
    batch: tracing.batch,
    resource: describeResource(tracing),
    scope: { name: 'mizuchi-uploadr', version },
    log,
  });
  const isSampled = createSampler(tracing.sampling);
  const callKinds = new Map(buckets.map((bucket) => [bucket.name, describeStorageCalls(bucket)]));
  const spanOptions = { includeKeys, includeSubject, callKinds };
  const clock = createClock();
  const addresses = new Map<string, Uint8Array>();

  function begin(remoteParent: RemoteParent | undefined): RecordedTrace | PassedTrace {
    const traceId = remoteParent?.traceId ?? createTraceId();
    if (isSampled(traceId, remoteParent)) return { traceId, remoteParent, clockOffsetMs: clock(), exporter };
    return remoteParent === undefined ? decline(traceId) : passOn(remoteParent);
  }

  /** @returns where a call belongs that `cause` has made necessary. */
  function follow(cause: CallTrace | undefined): { trace: RecordedTrace; parent?: RecordedSpan } | PassedTrace {
    if (cause instanceof RecordedSpan) return { trace: cause.recorded, parent: cause };
    if (cause instanceof PassedTrace) return cause;
    const trace = begin(undefined);
    return trace instanceof PassedTrace ? trace : { trace };
  }

  return {
    get exports() {
      return exporter.counts;
    },
    startRequest(request) {
      const trace = begin(readRemoteParent(request.headers));
      return trace instanceof PassedTrace ? trace : new RecordedRequest(request, trace, spanOptions);
    },
    startBackgroundCall(bucket, call) {
      const trace = begin(undefined);
      const kinds = callKinds.get(bucket);
      if (trace instanceof PassedTrace || kinds === undefined) return noTrace;
      return new RecordedStorageSpan({ trace, parent: undefined, call: { ...call, attempt: 1 }, kinds, includeKeys });
    },
    startNeighbourCall({ name, url, method }, cause) {
      const place = follow(cause);
      if (place instanceof PassedTrace) return place;
      const known = `${method} ${url}`;
      let attributes = addresses.get(known);
      if (attributes === undefined) {
        attributes = Buffer.concat([encodeAttribute(names.httpMethod, method), addressAttributes(url)]);
        addresses.set(known, attributes);
      }
      return new NeighbourSpan({ parent: undefined, ...place, name: `${method} ${name}` }, attributes);
    },
    stop: () => exporter.stop(),
  };
}

/** Nothing is recorded, and no exporter is loaded: what clients say of their traces still reaches the neighbours. */
function passEverythingOn(): Tracing {
  return {
    exports: { exported: 0, dropped: 0, failed: 0 },
    startRequest(request) {
      const parent = readRemoteParent(request.headers);
      return parent === undefined ? noTrace : passOn(parent);
    },
    startBackgroundCall: () => noTrace,
    startNeighbourCall: (_neighbour, cause) => (cause instanceof PassedTrace ? cause : noTrace),
    stop: () => Promise.resolve(),
  };
}

/** @returns milliseconds from `performance.now()` to the time since 1970. */
function createClock(): () => number {
  let offsetMs = performance.timeOrigin;
  return () => {
    const sinceEpochMs = Date.now() - performance.now();
    if (Math.abs(sinceEpochMs - offsetMs) > maxClockDriftMs) offsetMs = sinceEpochMs;
    return offsetMs;
  };
}
