// What the three ways of telling of a request, traces, metrics and logs, are told themselves.
import type { Authentication } from '../auth/authentication.ts';
import type { Verdict } from '../authz/merge-verdicts.ts';
import type { CallTrace } from '../call-trace.ts';
import type { Outcome } from '../handle-request.ts';
import type { HttpRequest } from '../http.ts';
import type { OpenUploadsEvents } from '../upload/open-uploads/open-uploads.ts';
import type { StorageAnswer, StorageCall, StorageCallEnd } from './watched-storage.ts';

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
  /** Of `clientWaitMs`, what was waited for memory. */
  readonly memoryWaitMs: number;
  /** Of `clientWaitMs`, what was waited while nothing was asked of the backend: no call tells of it. */
  readonly idleMs: number;
  /** Of bodies, in calls to the backend that succeeded. */
  readonly storedBytes: number;
  /** What the backend answered last. */
  readonly answer: StorageAnswer | undefined;
  /** Of the multipart upload that was dealt with, as the backend has it. */
  readonly uploadId: string | undefined;
  /** Calls to the backend that failed, and may have done what they were to do all the same. Undefined: none. */
  readonly unsettled: ReadonlySet<string> | undefined;
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

/** One that ends with something to be said of. */
export interface StageSpan<Result> {
  readonly trace: CallTrace | undefined;
  succeed(result: Result): void;
  end(error: unknown): void;
}

export interface RequestSpan {
  /** Undefined unless it is recorded. */
  readonly traceId: string | undefined;
  startAuthentication(): StageSpan<Authentication>;
  startAuthorization(): StageSpan<Verdict>;
  /** @param bucket as it is configured. */
  startStorageCall(bucket: string, call: StorageCall & { readonly attempt: number }): StorageSpan;
  endRequest(outcome: Outcome, figures: RequestFigures): void;
}

/** Spans. */
export interface Tracing {
  /** What has become of spans since the start; read when metrics are scraped. */
  readonly exports: {
    readonly exported: number;
    /** Never sent, as too many waited. */
    readonly dropped: number;
    /** Sent, and not taken by the collector. */
    readonly failed: number;
  };
  startRequest(request: HttpRequest): RequestSpan;
  /** A call to a storage that no request waits for: an abort that a sweep makes, which is then its cause, or one that is made again. */
  startBackgroundCall(
    bucket: string,
    call: StorageCall & { readonly attempt: number },
    cause: CallTrace | undefined,
  ): StorageSpan;
  /** @param abandoned uploads that it has found. */
  startSweep(abandoned: number): Span;
  /** A question to a policy engine, or a fetch of keys. `cause`: of what needs the answer. */
  startNeighbourCall(
    neighbour: { readonly name: string; readonly url: string; readonly method: string },
    cause: CallTrace | undefined,
  ): Span;
  /** Exports what waits, for a limited time. */
  stop(): Promise<void>;
}

/** A request that has not ended. */
export interface RequestInFlight {
  /** The name under which it is configured; empty while none is known. */
  readonly bucket: string;
  /** Of the body, so far. */
  readonly receivedBytes: number;
}

/** The body of a call to the backend: what that has taken of it so far. */
export interface BodyInFlight {
  readonly bytes: number;
}

/** Counts. Buckets are those of the configuration. */
export interface Metrics extends OpenUploadsEvents {
  /** @returns what requestEnded is to be told. */
  requestStarted(request: RequestInFlight): number;
  requestEnded(started: number, outcome: Outcome, figures: RequestFigures): void;
  /** @returns what storageCallEnded is to be told. */
  storageCallStarted(bucket: string, call: StorageCall, body: BodyInFlight | undefined): number;
  storageCallEnded(
    started: number,
    bucket: string,
    call: StorageCall & { readonly attempt: number },
    end: StorageCallEnd,
  ): void;
  engineAsked(bucket: string, engine: string, durationMs: number, error: unknown): void;
  failedOpen(bucket: string, engine: string): void;
  keysFetched(bucket: string, error: unknown): void;
  replayRejected(): void;
  auditLineLost(): void;
  /** Where tokens are counted that need not be verified again; undefined where the bucket takes none. */
  jwtCacheHits(bucket: string): { value: number } | undefined;
  stop(): Promise<void>;
}

/** Of the moment, read when metrics are scraped. */
export interface Gauges {
  readonly lentBytes: number;
  readonly reservedBytes: number;
  readonly budgetBytes: number;
  readonly memoryWaits: { readonly count: number; readonly ms: number };
  readonly uploads: number;
  readonly uploadsQueued: number;
  readonly abortsPending: number;
  /** Open multipart uploads of this process that the journal holds. */
  readonly journalEntries: number;
  /** Multipart uploads that processes which are no more have left, and that are still to be aborted. */
  readonly uploadsAbandoned: number;
  readonly connections: number;
}
