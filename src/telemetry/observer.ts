// What the three ways of telling of a request, traces, metrics and logs, are told themselves.
import type { CallTrace } from '../call-trace.ts';
import type { Outcome } from '../handle-request.ts';
import type { HttpRequest } from '../http.ts';
import type { OpenUploadsEvents } from '../upload/open-uploads/open-uploads.ts';
import type { StorageCall, StorageCallEnd, StorageCallName } from './watched-storage.ts';

/** What a request came to beyond its outcome, measured where the bucket's parts were called. Times in milliseconds. */
export interface RequestFigures {
  /** Undefined unless the request is recorded in a trace. */
  readonly traceId: string | undefined;
  /** Of the body, from the client, framing included. */
  readonly receivedBytes: number;
  /** Of bodies, to the backend, repeated ones included. */
  readonly sentBytes: number;
  /** From the request's start to the first byte of its body that the backend was given. */
  readonly firstByteMs: number | undefined;
  /** `put` or `multipart` for a body that was sent; undefined where none was. */
  readonly plan: 'put' | 'multipart' | undefined;
  /** Calls to the backend that succeeded as UploadPart. */
  readonly parts: number;
  /** Calls to the backend that were made again after a failure. */
  readonly retries: number;
  readonly clientWaitMs: number;
  readonly backendWaitMs: number;
  readonly memoryWaitMs: number;
}

/** A span, by another name than OpenTelemetry's, as nothing of that is loaded here. */
export interface Span {
  /** For calls that are made within it. */
  readonly trace: CallTrace | undefined;
  /** @param error undefined: it succeeded. */
  end(error?: unknown): void;
}

export interface StorageSpan extends Span {
  endCall(end: StorageCallEnd): void;
}

export interface RequestSpan {
  /** Undefined unless it is recorded. */
  readonly traceId: string | undefined;
  startStage(name: 'authenticate' | 'authorize'): Span;
  startStorageCall(call: StorageCall & { readonly attempt: number }): StorageSpan;
  end(outcome: Outcome, figures: RequestFigures): void;
}

/** Spans. */
export interface Tracing {
  startRequest(request: HttpRequest): RequestSpan;
  /** A call to a storage that no request waits for: a sweep, an abort that is made again. */
  startBackgroundCall(bucket: string, call: StorageCall): StorageSpan;
  /** A question to a policy engine, or a fetch of keys. `cause`: of what needs the answer. */
  startNeighbourCall(
    neighbour: { readonly name: string; readonly url: string; readonly method: string },
    cause: CallTrace | undefined,
  ): Span;
  /** Exports what waits, for a limited time. */
  stop(): Promise<void>;
}

/** Counts. Buckets are those of the configuration; undefined where none was found. */
export interface Metrics extends OpenUploadsEvents {
  requestStarted(): void;
  requestEnded(outcome: Outcome, figures: RequestFigures): void;
  storageCallStarted(bucket: string, name: StorageCallName): void;
  storageCallEnded(bucket: string, call: StorageCall & { readonly attempt: number }, end: StorageCallEnd): void;
  engineAsked(bucket: string, engine: string, durationMs: number, error: unknown): void;
  failedOpen(bucket: string, engine: string): void;
  keysFetched(bucket: string, error: unknown): void;
  replayRejected(): void;
  stop(): Promise<void>;
}

/** Of the moment, read when metrics are scraped. */
export interface Gauges {
  readonly lentBytes: number;
  readonly budgetBytes: number;
  readonly memoryWaits: { readonly count: number; readonly ms: number };
  readonly uploads: number;
  readonly uploadsQueued: number;
  readonly abortsPending: number;
  /** Open multipart uploads of this process that the journal holds. */
  readonly journalEntries: number;
  readonly connections: number;
}
