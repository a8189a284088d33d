// Spans as the SDK makes them: of requests, of calls that no request waits for, and of questions to neighbours.
import type { Attributes } from '@opentelemetry/api';
import type { CallTrace } from '../../call-trace.ts';
import type { Tracing } from '../observer.ts';
import { addressAttributes } from './address-attributes.ts';
import { names } from './attributes.ts';
import { NeighbourSpan } from './neighbour-span.ts';
import { decline, noTrace, PassedTrace, passOn } from './passed-trace.ts';
import { RecordedSpan, type RecordedTrace } from './recorded-span.ts';
import { RecordedRequest } from './request-span.ts';
import type { TracingSdk } from './start-sdk.ts';
import type { TracingOptions } from './start-tracing.ts';
import { describeStorageCalls, RecordedStorageSpan } from './storage-span.ts';
import { SweepSpan } from './sweep-span.ts';
import { readRemoteParent, type RemoteParent } from './trace-context.ts';

/** How far the process's clock may be from the system's, which is set now and then, before a new trace follows it. */
const maxClockDriftMs = 5;

export function recordTraces(sdk: TracingSdk, { tracing, buckets }: Omit<TracingOptions, 'log'>): Tracing {
  const { includeKeys, includeSubject } = tracing;
  const callKinds = new Map(buckets.map((bucket) => [bucket.name, describeStorageCalls(bucket)]));
  const spanOptions = { includeKeys, includeSubject, callKinds };
  const clock = createClock();
  const addresses = new Map<string, Attributes>();

  function begin(remoteParent: RemoteParent | undefined): RecordedTrace {
    return { tracer: sdk.tracer, remoteParent, clockOffsetMs: clock() };
  }

  /** @returns where a call belongs that `cause` has made necessary. */
  function follow(cause: CallTrace | undefined): { trace: RecordedTrace; parent: RecordedSpan | undefined } {
    if (cause instanceof RecordedSpan) return { trace: cause.recorded, parent: cause };
    return { trace: begin(undefined), parent: undefined };
  }

  return {
    get exports() {
      return sdk.counts;
    },
    startRequest(request) {
      const remoteParent = readRemoteParent(request.headers);
      const span = new RecordedRequest(request, begin(remoteParent), spanOptions);
      if (span.isRecorded) return span;
      return remoteParent === undefined ? decline(span.identity) : passOn(remoteParent);
    },
    startBackgroundCall(bucket, call, cause) {
      const kinds = callKinds.get(bucket);
      if (kinds === undefined || cause instanceof PassedTrace) return noTrace;
      const span = new RecordedStorageSpan({ ...follow(cause), kinds, includeKeys, call });
      return span.isRecorded ? span : noTrace;
    },
    startSweep(abandoned) {
      const span = new SweepSpan(begin(undefined), abandoned);
      return span.isRecorded ? span : noTrace;
    },
    startNeighbourCall({ name, url, method }, cause) {
      if (cause instanceof PassedTrace) return cause;
      const known = `${method} ${url}`;
      let attributes = addresses.get(known);
      if (attributes === undefined) {
        attributes = { [names.httpMethod]: method, ...addressAttributes(url) };
        addresses.set(known, attributes);
      }
      const span = new NeighbourSpan({ ...follow(cause), name: `${method} ${name}` }, attributes);
      return span.isRecorded ? span : decline(span.identity);
    },
    stop: () => sdk.stop(),
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
