// One request as those who tell of it see it: it stands before the parts of the bucket, and measures.
import type { CallTrace } from '../call-trace.ts';
import type { Bucket, Outcome, RequestWatch } from '../handle-request.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { Metrics, RequestFigures, RequestInFlight, RequestSpan, StageSpan, Tracing } from './observer.ts';
import { shielded } from './shielded.ts';
import {
  WatchedStorage,
  type StorageAnswer,
  type StorageCall,
  type StorageCallEnd,
  type StorageWatcher,
} from './watched-storage.ts';

export interface Watchers {
  readonly tracing: Tracing | undefined;
  readonly metrics: Metrics | undefined;
  readonly logRequest: (outcome: Outcome, figures: RequestFigures) => void;
  /** Whether it will tell of the address of a request that goes well. */
  readonly tellsAddress: () => boolean;
  /** Told of a fault of those above, which no request may suffer from. */
  readonly failed: (error: unknown) => void;
}

const noFields: HttpResponse['headers'] = [];

export class WatchedRequest implements RequestWatch, RequestInFlight, StorageWatcher {
  readonly #request: HttpRequest;
  readonly #watchers: Watchers;
  readonly #startedAtMs = performance.now();
  readonly #span: RequestSpan | undefined;
  readonly #started: number;
  #bucketName = '';
  #sentBytes = 0;
  #firstByteMs: number | undefined;
  #plan: 'put' | 'multipart' | undefined;
  #parts = 0;
  #retries = 0;
  #clientWaitMs = 0;
  #backendWaitMs = 0;
  #memoryWaitMs = 0;
  #callsInFlight = 0;
  /** Since when there is one, or will be another after one that failed. */
  #callingSinceMs: number | undefined;
  #callingMs = 0;
  #storedBytes = 0;
  #answer: StorageAnswer | undefined;
  #uploadId: string | undefined;
  #unsettled: Set<string> | undefined;
  /** How often each call has failed, if any has. */
  #failures: Map<string, number> | undefined;

  constructor(request: HttpRequest, watchers: Watchers) {
    this.#request = request;
    this.#watchers = watchers;
    this.#started = shielded(this, () => watchers.metrics?.requestStarted(this)) ?? 0;
    this.#span = shielded(this, () => watchers.tracing?.startRequest(request));
  }

  get bucket(): string {
    return this.#bucketName;
  }

  get receivedBytes(): number {
    return this.#request.body.receivedBytes;
  }

  get answerFields(): HttpResponse['headers'] {
    const traceId = this.#span?.traceId;
    return traceId === undefined ? noFields : [['x-mizuchi-trace-id', traceId]];
  }

  enter(bucket: Bucket): Bucket {
    this.#bucketName = bucket.name;
    // A client that has left has no address any more.
    if (this.#watchers.tellsAddress()) void this.#request.clientIp;
    const watched = { ...bucket, storage: new WatchedStorage(bucket.storage, this) };
    if (this.#span === undefined) return watched;
    const { authenticate, authorize } = bucket;
    return {
      ...watched,
      authenticate: (request) => this.#during(startAuthentication, (trace) => authenticate(request, trace)),
      authorize: authorize && ((question) => this.#during(startAuthorization, (trace) => authorize(question, trace))),
    };
  }

  begin(called: StorageCall, body?: { readonly bytes: number }): ReturnType<StorageWatcher['begin']> {
    const { metrics } = this.#watchers;
    const call = { ...called, attempt: this.#attemptOf(called) };
    const span = this.#span?.startStorageCall(this.#bucketName, call);
    const started = metrics?.storageCallStarted(this.#bucketName, call, body) ?? 0;
    this.#callingSinceMs ??= performance.now();
    this.#callsInFlight++;
    return {
      trace: span?.trace,
      end: (end) => {
        this.#count(call, end);
        metrics?.storageCallEnded(started, this.#bucketName, call, end);
        span?.endCall(end);
      },
    };
  }

  failed(error: unknown): void {
    this.#watchers.failed(error);
  }

  end(outcome: Outcome): void {
    const idleMs = this.#idleMs(outcome);
    const figures: RequestFigures = {
      traceId: this.#span?.traceId,
      receivedBytes: outcome.request.body.receivedBytes,
      sentBytes: this.#sentBytes,
      firstByteMs: this.#firstByteMs,
      plan: this.#plan,
      parts: this.#parts,
      retries: this.#retries,
      clientWaitMs: this.#clientWaitMs + idleMs,
      backendWaitMs: this.#backendWaitMs,
      memoryWaitMs: this.#memoryWaitMs + Math.min(outcome.reserveMs ?? 0, idleMs),
      idleMs,
      storedBytes: this.#storedBytes,
      answer: this.#answer,
      uploadId: this.#uploadId,
      unsettled: this.#unsettled,
    };
    const { metrics, logRequest } = this.#watchers;
    shielded(this, () => metrics?.requestEnded(this.#started, outcome, figures));
    shielded(this, () => this.#span?.endRequest(outcome, figures));
    shielded(this, () => logRequest(outcome, figures));
  }

  /** For how long a body was wanted and there was nothing to call the backend with. */
  #idleMs({ durationMs, authenticateMs = 0, authorizeMs = 0, queueMs }: Outcome): number {
    if (queueMs === undefined) return 0;
    const sinceMs = this.#callingSinceMs;
    const callingMs = this.#callingMs + (sinceMs === undefined ? 0 : performance.now() - sinceMs);
    return Math.max(0, durationMs - authenticateMs - authorizeMs - queueMs - callingMs);
  }

  async #during<T>(
    start: (span: RequestSpan | undefined) => StageSpan<T> | undefined,
    run: (trace: CallTrace | undefined) => T | Promise<T>,
  ): Promise<T> {
    const stage = shielded(this, () => start(this.#span));
    try {
      const result = await run(stage?.trace);
      shielded(this, () => stage?.succeed(result));
      return result;
    } catch (error) {
      shielded(this, () => stage?.end(error));
      throw error;
    }
  }

  #attemptOf(call: StorageCall): number {
    const failed = this.#failures?.get(identify(call)) ?? 0;
    if (failed > 0) this.#retries++;
    return failed + 1;
  }

  #count(call: StorageCall & { readonly attempt: number }, end: StorageCallEnd): void {
    const { name } = call;
    this.#callsInFlight--;
    if (this.#callsInFlight === 0 && (end.error === undefined || end.isGivenUp)) {
      this.#callingMs += performance.now() - (this.#callingSinceMs ?? 0);
      this.#callingSinceMs = undefined;
    }
    if (end.error !== undefined) (this.#failures ??= new Map()).set(identify(call), call.attempt);
    if (end.isUnsettled) (this.#unsettled ??= new Set()).add(name);
    this.#sentBytes += end.bytes;
    this.#clientWaitMs += end.clientWaitMs;
    this.#backendWaitMs += end.backendWaitMs;
    this.#memoryWaitMs += end.memoryWaitMs;
    if (end.error === undefined) this.#storedBytes += end.bytes;
    this.#answer = end.answer ?? this.#answer;
    if ('uploadId' in call.object) this.#uploadId = call.object.uploadId;
    this.#uploadId ??= end.answer?.uploadId;
    if (end.firstBytesAtMs !== undefined) this.#firstByteMs ??= end.firstBytesAtMs - this.#startedAtMs;
    if (name === 'CreateMultipartUpload') this.#plan = 'multipart';
    if (name === 'PutObject') this.#plan = 'put';
    if (name !== 'UploadPart') return;
    this.#plan ??= 'multipart';
    if (end.error === undefined) this.#parts++;
  }
}

const identify = ({ name, partNumber }: StorageCall): string => `${name} ${partNumber}`;
const startAuthentication = (span: RequestSpan | undefined) => span?.startAuthentication();
const startAuthorization = (span: RequestSpan | undefined) => span?.startAuthorization();
