// A span of ours: OpenTelemetry's own, on our clock, which says what it has to say when it ends.
import {
  ROOT_CONTEXT,
  trace as traceApi,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import type { CallTrace, NeighbourAnswer } from '../../call-trace.ts';
import { names } from './attributes.ts';
import { recordFailure } from './failure.ts';
import { formatTraceparent, type RemoteParent } from './trace-context.ts';

/** What the spans of one trace share. */
export interface RecordedTrace {
  readonly tracer: Tracer;
  readonly remoteParent: RemoteParent | undefined;
  /** Milliseconds from `performance.now()` to the time since 1970; one for the whole trace, so that no child begins before its parent. */
  readonly clockOffsetMs: number;
}

export interface SpanStart {
  readonly trace: RecordedTrace;
  /** Undefined for the first of this process. */
  readonly parent: RecordedSpan | undefined;
  readonly name: string;
  readonly kind: SpanKind;
}

const none: CallTrace['fields'] = [];

export class RecordedSpan implements CallTrace {
  readonly recorded: RecordedTrace;
  readonly startMs = performance.now();
  protected readonly span: Span;
  #within: Context | undefined;
  #answer: NeighbourAnswer | undefined;

  constructor({ trace, parent, name, kind }: SpanStart) {
    this.recorded = trace;
    this.span = trace.tracer.startSpan(
      name,
      { kind, startTime: this.epochMs(this.startMs) },
      parent?.within ?? contextOf(trace.remoteParent),
    );
  }

  /** False when the sampler has decided so: then it is never exported. */
  get isRecorded(): boolean {
    return this.span.isRecording();
  }

  get identity(): SpanContext {
    return this.span.spanContext();
  }

  /** For the spans below it. */
  get within(): Context {
    return (this.#within ??= traceApi.setSpan(ROOT_CONTEXT, this.span));
  }

  /** Calls that are made within this span. */
  get trace(): CallTrace {
    return this;
  }

  get fields(): CallTrace['fields'] {
    const { traceId, spanId } = this.identity;
    const state = this.recorded.remoteParent?.state;
    const traceparent = ['traceparent', formatTraceparent(traceId, spanId, true)] as const;
    return [traceparent, ...(state === undefined ? none : [['tracestate', state] as const])];
  }

  onAnswer(answer: NeighbourAnswer): void {
    this.#answer = answer;
  }

  end(error?: unknown): void {
    this.finish({}, error);
  }

  protected fail(error: unknown): void {
    recordFailure(this.span, error, this.epochMs(performance.now()));
  }

  /** @param error undefined: it succeeded. */
  protected finish(attributes: Attributes, error?: unknown): void {
    this.span.setAttributes(attributes);
    if (this.#answer !== undefined) {
      const { status, requestId } = this.#answer;
      this.span.setAttribute(names.httpStatus, status);
      if (requestId !== undefined) this.span.setAttribute(names.awsRequestId, requestId.slice(0, 128));
    }
    if (error !== undefined) this.fail(error);
    this.span.end(this.epochMs(performance.now()));
  }

  /** @param ms on `performance.now()`'s clock. */
  protected epochMs(ms: number): number {
    return ms + this.recorded.clockOffsetMs;
  }
}

function contextOf(parent: RemoteParent | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, isSampled, state } = parent;
  return traceApi.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    isRemote: true,
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    ...(state !== undefined && { traceState: new TraceState(state) }),
  });
}
