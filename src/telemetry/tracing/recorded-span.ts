// A span while it lasts: who it is and when it began. What it says is written when it ends, and nothing is kept for that.
import type { CallTrace, NeighbourAnswer } from '../../call-trace.ts';
import { keys } from './attributes.ts';
import { createSpanId } from './random-ids.ts';
import type { SpanExporter } from './span-exporter.ts';
import { spanKinds, type SpanHead, type SpanWriter } from './span-writer.ts';
import { formatTraceparent, type RemoteParent } from './trace-context.ts';
import { writeFailure } from './failure.ts';

/** What the spans of one trace share. */
export interface RecordedTrace {
  readonly traceId: string;
  readonly remoteParent: RemoteParent | undefined;
  /** Milliseconds from `performance.now()` to the time since 1970; one for the whole trace, so that no child begins before its parent. */
  readonly clockOffsetMs: number;
  readonly exporter: SpanExporter;
}

export interface SpanStart {
  readonly trace: RecordedTrace;
  /** Undefined for the first of this process. */
  readonly parent: RecordedSpan | undefined;
  readonly name: string;
  readonly kind: SpanHead['kind'];
}

const none: CallTrace['fields'] = [];

export class RecordedSpan implements CallTrace {
  readonly recorded: RecordedTrace;
  readonly spanId = createSpanId();
  readonly startMs = performance.now();
  readonly #parentId: string | undefined;
  readonly #hasRemoteParent: boolean;
  readonly #name: string;
  readonly #kind: SpanHead['kind'];
  #answer: NeighbourAnswer | undefined;

  constructor({ trace, parent, name, kind }: SpanStart) {
    this.recorded = trace;
    this.#parentId = parent?.spanId ?? trace.remoteParent?.spanId;
    this.#hasRemoteParent = parent === undefined && trace.remoteParent !== undefined;
    this.#name = name;
    this.#kind = kind;
  }

  /** Calls that are made within this span. */
  get trace(): CallTrace {
    return this;
  }

  get fields(): CallTrace['fields'] {
    const { traceId, remoteParent } = this.recorded;
    const traceparent = ['traceparent', formatTraceparent(traceId, this.spanId, true)] as const;
    return [traceparent, ...(remoteParent?.state === undefined ? none : [['tracestate', remoteParent.state] as const])];
  }

  onAnswer(answer: NeighbourAnswer): void {
    this.#answer = answer;
  }

  end(error?: unknown): void {
    this.finish((writer) => {
      if (error !== undefined) writeFailure(writer, error, this.epochMs(performance.now()));
    });
  }

  /** @param write adds attributes and the rest, at once. */
  protected finish(write: (writer: SpanWriter) => void, name = this.#name): void {
    const { traceId, remoteParent, exporter } = this.recorded;
    const writer = exporter.open();
    if (writer === undefined) return;
    writer.begin({
      traceId,
      spanId: this.spanId,
      parentId: this.#parentId,
      hasRemoteParent: this.#hasRemoteParent,
      state: remoteParent?.state,
      name,
      kind: this.#kind,
      startMs: this.epochMs(this.startMs),
      endMs: this.epochMs(performance.now()),
    });
    if (this.#answer !== undefined) {
      writer.integer(keys.httpStatus, this.#answer.status);
      const { requestId } = this.#answer;
      if (requestId !== undefined) writer.text(keys.awsRequestId, requestId.slice(0, 128));
    }
    write(writer);
    writer.end();
    exporter.added();
  }

  /** @param ms on `performance.now()`'s clock. */
  protected epochMs(ms: number): number {
    return ms + this.recorded.clockOffsetMs;
  }
}

export class NeighbourSpan extends RecordedSpan {
  readonly #attributes: Uint8Array;

  constructor(start: Omit<SpanStart, 'kind'>, attributes: Uint8Array) {
    super({ ...start, kind: spanKinds.client });
    this.#attributes = attributes;
  }

  override end(error?: unknown): void {
    this.finish((writer) => {
      writer.encoded(this.#attributes);
      if (error !== undefined) writeFailure(writer, error, this.epochMs(performance.now()));
    });
  }
}
