// One request as those who tell of it see it: it stands before the parts of the bucket, and measures.
import type { CallTrace } from '../call-trace.ts';
import type { Bucket, Outcome, RequestWatch } from '../handle-request.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { Metrics, RequestFigures, RequestInFlight, RequestSpan, StageSpan, Tracing } from './observer.ts';
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
  #storedBytes = 0;
  #answer: StorageAnswer | undefined;
  #uploadId: string | undefined;
  /** How often each call has failed, if any has. */
  #failures: Map<string, number> | undefined;

  constructor(request: HttpRequest, watchers: Watchers) {
    this.#request = request;
    this.#watchers = watchers;
    this.#span = watchers.tracing?.startRequest(request);
    this.#started = watchers.metrics?.requestStarted(this) ?? 0;
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
    const span = this.#span;
    const watched = { ...bucket, storage: new WatchedStorage(bucket.storage, this) };
    if (span === undefined) return watched;
    const { authenticate, authorize } = bucket;
    return {
      ...watched,
      authenticate: (request) => during(span.startAuthentication(), (trace) => authenticate(request, trace)),
      authorize: authorize && ((question) => during(span.startAuthorization(), (trace) => authorize(question, trace))),
    };
  }

  begin(called: StorageCall, body?: { readonly bytes: number }): ReturnType<StorageWatcher['begin']> {
    const { metrics } = this.#watchers;
    const call = { ...called, attempt: this.#attemptOf(called) };
    const span = this.#span?.startStorageCall(this.#bucketName, call);
    const started = metrics?.storageCallStarted(this.#bucketName, call, body) ?? 0;
    return {
      trace: span?.trace,
      end: (end) => {
        this.#count(call, end);
        metrics?.storageCallEnded(started, this.#bucketName, call, end);
        span?.endCall(end);
      },
    };
  }

  end(outcome: Outcome): void {
    const figures: RequestFigures = {
      traceId: this.#span?.traceId,
      receivedBytes: outcome.request.body.receivedBytes,
      sentBytes: this.#sentBytes,
      firstByteMs: this.#firstByteMs,
      plan: this.#plan,
      parts: this.#parts,
      retries: this.#retries,
      clientWaitMs: this.#clientWaitMs,
      backendWaitMs: this.#backendWaitMs,
      memoryWaitMs: this.#memoryWaitMs,
      storedBytes: this.#storedBytes,
      answer: this.#answer,
      uploadId: this.#uploadId,
    };
    const { metrics, logRequest } = this.#watchers;
    metrics?.requestEnded(this.#started, outcome, figures);
    logRequest(outcome, figures);
    this.#span?.endRequest(outcome, figures);
  }

  #attemptOf(call: StorageCall): number {
    const failed = this.#failures?.get(identify(call)) ?? 0;
    if (failed > 0) this.#retries++;
    return failed + 1;
  }

  #count(call: StorageCall & { readonly attempt: number }, end: StorageCallEnd): void {
    const { name } = call;
    if (end.error !== undefined) (this.#failures ??= new Map()).set(identify(call), call.attempt);
    this.#sentBytes += end.bytes;
    this.#clientWaitMs += end.clientWaitMs;
    this.#backendWaitMs += end.backendWaitMs;
    this.#memoryWaitMs += end.memoryWaitMs;
    if (end.error === undefined) this.#storedBytes += end.bytes;
    this.#answer = end.answer ?? this.#answer;
    if ('uploadId' in call.object) this.#uploadId = String(call.object.uploadId);
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

async function during<T>(span: StageSpan<T>, run: (trace: CallTrace | undefined) => Promise<T>): Promise<T> {
  try {
    const result = await run(span.trace);
    span.succeed(result);
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
