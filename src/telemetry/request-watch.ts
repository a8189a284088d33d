// One request as those who tell of it see it: it stands before the parts of the bucket, and measures.
import type { Bucket, Outcome, RequestWatch } from '../handle-request.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { Metrics, RequestFigures, RequestSpan, Span, Tracing } from './observer.ts';
import { WatchedStorage, type StorageCall, type StorageCallEnd, type StorageWatcher } from './watched-storage.ts';

export interface Watchers {
  readonly tracing: Tracing | undefined;
  readonly metrics: Metrics | undefined;
  readonly logRequest: (outcome: Outcome, figures: RequestFigures) => void;
}

const noFields: HttpResponse['headers'] = [];

export class WatchedRequest implements RequestWatch, StorageWatcher {
  readonly #watchers: Watchers;
  readonly #startedAtMs = performance.now();
  readonly #span: RequestSpan | undefined;
  #bucketName = '';
  #sentBytes = 0;
  #firstByteMs: number | undefined;
  #plan: 'put' | 'multipart' | undefined;
  #parts = 0;
  #retries = 0;
  #clientWaitMs = 0;
  #backendWaitMs = 0;
  #memoryWaitMs = 0;
  /** How often each call has been made: its attempts. */
  readonly #attempts = new Map<string, number>();

  constructor(request: HttpRequest, watchers: Watchers) {
    this.#watchers = watchers;
    this.#span = watchers.tracing?.startRequest(request);
    watchers.metrics?.requestStarted();
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
      authenticate: (request) => during(span.startStage('authenticate'), (trace) => authenticate(request, trace)),
      authorize:
        authorize && ((question) => during(span.startStage('authorize'), (trace) => authorize(question, trace))),
    };
  }

  begin(called: StorageCall): ReturnType<StorageWatcher['begin']> {
    const { metrics } = this.#watchers;
    const call = { ...called, attempt: this.#countAttempt(called) };
    const span = this.#span?.startStorageCall(call);
    metrics?.storageCallStarted(this.#bucketName, call.name);
    return {
      trace: span?.trace,
      end: (end) => {
        this.#count(call, end);
        metrics?.storageCallEnded(this.#bucketName, call, end);
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
    };
    const { metrics, logRequest } = this.#watchers;
    metrics?.requestEnded(outcome, figures);
    logRequest(outcome, figures);
    this.#span?.end(outcome, figures);
  }

  #countAttempt({ name, partNumber }: StorageCall): number {
    const call = partNumber === undefined ? name : `${name} ${partNumber}`;
    const attempt = (this.#attempts.get(call) ?? 0) + 1;
    this.#attempts.set(call, attempt);
    if (attempt > 1) this.#retries++;
    return attempt;
  }

  #count({ name }: StorageCall, end: StorageCallEnd): void {
    this.#sentBytes += end.bytes;
    this.#clientWaitMs += end.clientWaitMs;
    this.#backendWaitMs += end.backendWaitMs;
    this.#memoryWaitMs += end.memoryWaitMs;
    if (end.firstBytesAtMs !== undefined) this.#firstByteMs ??= end.firstBytesAtMs - this.#startedAtMs;
    if (name === 'CreateMultipartUpload') this.#plan = 'multipart';
    if (name === 'PutObject') this.#plan = 'put';
    if (name !== 'UploadPart') return;
    this.#plan ??= 'multipart';
    if (end.error === undefined) this.#parts++;
  }
}

async function during<T>(span: Span, run: (trace: Span['trace']) => Promise<T>): Promise<T> {
  try {
    const result = await run(span.trace);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
