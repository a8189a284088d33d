// Counts what the proxy does. Between two readings nothing is looked up but the bucket, and nothing is made.
import type { BucketConfig, Config } from '../../config/config.ts';
import { S3Error } from '../../errors.ts';
import type { Outcome } from '../../handle-request.ts';
import type { BodyInFlight, Gauges, Metrics, RequestFigures, RequestInFlight, Tracing } from '../observer.ts';
import { SlotList } from '../../slot-list.ts';
import { version } from '../../version.ts';
import type { StorageCall, StorageCallEnd } from '../watched-storage.ts';
import {
  createBucketFigures,
  createCommonFigures,
  noBucket,
  sumOf,
  type AuthMethod,
  type BucketFigures,
  type CommonFigures,
  type Status,
} from './bucket-figures.ts';
import { EndedUploads } from './ended-uploads.ts';
import type { Figure } from './families.ts';
import { createMetricSet, readMetricSet, type MetricSet } from './metric-set.ts';
import type { MetricSnapshot } from './snapshot.ts';

export interface CounterOptions {
  readonly config: Pick<Config, 'buckets'>;
  readonly gauges: () => Gauges | undefined;
  /** Undefined: nothing is traced. */
  readonly spans: () => Tracing['exports'] | undefined;
  /** Whether the process that supervises this one serves its metrics. */
  readonly isSupervised: boolean;
}

/** Of a call without a body. */
const noSlot = -1;

export class Counters implements Omit<Metrics, 'stop'> {
  readonly #set = createMetricSet();
  readonly #buckets = new Map<string, BucketFigures>();
  readonly #nowhere: CommonFigures;
  readonly #inFlight = new SlotList<RequestInFlight>();
  readonly #endedUploads = new EndedUploads();
  readonly #replaysRejected: Figure;
  readonly #journalFailures: Figure;
  readonly #auditLinesLost: Figure;
  readonly #authSeconds;

  constructor({ config, gauges, spans, isSupervised }: CounterOptions) {
    const set = this.#set;
    for (const bucket of config.buckets) this.#buckets.set(bucket.name, this.#createBucket(bucket));
    this.#nowhere = createCommonFigures(set, noBucket);
    this.#replaysRejected = set.replaysRejected.add({});
    this.#journalFailures = set.journalFailures.add({});
    this.#auditLinesLost = set.auditLinesLost.add({});
    this.#authSeconds = {
      jwt: set.authSeconds.add({ method: 'jwt' }),
      sigv4: set.authSeconds.add({ method: 'sigv4' }),
      anonymous: set.authSeconds.add({ method: 'anonymous' }),
      none: set.authSeconds.add({ method: 'none' }),
    };
    set.requestsInFlight.add({}, () => this.#inFlight.size);
    set.workers.add({}, () => 1);
    // Of several workers, their supervisor knows.
    if (!isSupervised) {
      set.workersConfigured.add({}, () => 1);
      set.workerRestarts.add({});
    }
    set.buildInfo.add({ version, node: process.version }, () => 1);
    addGauges(set, gauges);
    for (const result of ['exported', 'dropped', 'failed'] as const)
      set.spans.add({ result }, () => spans()?.[result] ?? 0);
  }

  #createBucket(bucket: BucketConfig): BucketFigures {
    const figures = createBucketFigures(this.#set, bucket);
    figures.receivedBytes.live = () =>
      sumOf(this.#inFlight, (one) => (one.bucket === bucket.name ? one.receivedBytes : 0));
    return figures;
  }

  read(): MetricSnapshot[] {
    return readMetricSet(this.#set);
  }

  requestStarted(request: RequestInFlight): number {
    return this.#inFlight.add(request);
  }

  requestEnded(started: number, outcome: Outcome, figures: RequestFigures): void {
    this.#inFlight.remove(started);
    const { bucket: name, code } = outcome;
    const bucket = name === undefined ? undefined : this.#buckets.get(name);
    const common = bucket ?? this.#nowhere;
    if (code === 'ClientGone') common.disconnects.value++;
    else if (code !== undefined) common.errors.of(code).value++;
    if (name === undefined || bucket === undefined) return;
    bucket.receivedBytes.value += figures.receivedBytes;
    if (outcome.authenticateMs !== undefined) this.#countAuthentication(bucket, outcome, outcome.authenticateMs);
    if (outcome.authorizeMs !== undefined) bucket.authz?.seconds.observe(outcome.authorizeMs);
    if (outcome.decision !== undefined) countDecision(bucket, outcome.decision);
    countUpload(bucket, outcome, figures);
    if (outcome.operation?.name === 'AbortMultipartUpload' && code === undefined && figures.uploadId !== undefined)
      this.#endUpload(name, figures.uploadId, 'aborted');
  }

  storageCallStarted(bucketName: string, { name }: StorageCall, body: BodyInFlight | undefined): number {
    const bucket = this.#buckets.get(bucketName);
    if (bucket === undefined) return noSlot;
    bucket.calls[name].inFlight.value++;
    return body === undefined ? noSlot : bucket.sending.add(body);
  }

  storageCallEnded(
    started: number,
    bucketName: string,
    { name, attempt, object }: StorageCall & { readonly attempt: number },
    end: StorageCallEnd,
  ): void {
    const bucket = this.#buckets.get(bucketName);
    if (bucket === undefined) return;
    const call = bucket.calls[name];
    call.inFlight.value--;
    if (attempt > 1) call.retries.value++;
    if (started !== noSlot) {
      bucket.sending.remove(started);
      bucket.sentBytes.value += end.bytes;
    }
    const { waits } = bucket;
    waits.client.value += (end.clientWaitMs - end.memoryWaitMs) / 1000;
    waits.memory.value += end.memoryWaitMs / 1000;
    waits.backend.value += end.backendWaitMs / 1000;
    if (end.isGivenUp) return;
    call.seconds.observe(Math.max(0, end.durationMs - end.clientWaitMs));
    const code = end.error === undefined || end.error instanceof S3Error ? end.error?.code : 'InternalError';
    // What is to be given up and is gone is as it should be: uploads are aborted once more after they were.
    if (code !== undefined && !(name === 'AbortMultipartUpload' && code === 'NoSuchUpload'))
      bucket.callErrors.of(code).value++;
    else if (name === 'CreateMultipartUpload') bucket.multipart.started.value++;
    else if (name === 'CompleteMultipartUpload' && 'uploadId' in object)
      this.#endUpload(bucketName, object.uploadId, 'completed');
  }

  engineAsked(bucket: string, engine: string, durationMs: number, error: unknown): void {
    const figures = this.#buckets.get(bucket)?.authz?.engines[engine];
    figures?.seconds.observe(durationMs);
    if (figures !== undefined && error !== undefined) figures.errors.value++;
  }

  failedOpen(bucket: string, engine: string): void {
    const figures = this.#buckets.get(bucket)?.authz?.engines[engine];
    if (figures !== undefined) figures.failedOpen.value++;
  }

  keysFetched(bucket: string, error: unknown): void {
    this.#buckets.get(bucket)?.jwks?.fetched(error === undefined);
  }

  replayRejected(): void {
    this.#replaysRejected.value++;
  }

  auditLineLost(): void {
    this.#auditLinesLost.value++;
  }

  jwtCacheHits(bucket: string): Figure | undefined {
    return this.#buckets.get(bucket)?.jwtCacheHits;
  }

  aborted({ bucketName, uploadId }: { readonly bucketName: string; readonly uploadId: string }): void {
    this.#endUpload(bucketName, uploadId, 'aborted');
  }

  abortFailed({ bucketName }: { readonly bucketName: string }): void {
    (this.#buckets.get(bucketName) ?? this.#nowhere).abortFailures.value++;
  }

  swept({ bucketName }: { readonly bucketName: string }): void {
    (this.#buckets.get(bucketName) ?? this.#nowhere).swept.value++;
  }

  journalFailed(): void {
    this.#journalFailures.value++;
  }

  #endUpload(bucketName: string, uploadId: string, status: 'completed' | 'aborted'): void {
    const bucket = this.#buckets.get(bucketName);
    if (bucket !== undefined && this.#endedUploads.add(bucketName, uploadId)) bucket.multipart[status].value++;
  }

  #countAuthentication(bucket: BucketFigures, outcome: Outcome, ms: number): void {
    const { principal, code, response } = outcome;
    const method = principal?.kind ?? findMethod(bucket, outcome);
    this.#authSeconds[method].observe(ms);
    const figures = bucket.auth[method];
    if (figures === undefined) return;
    if (principal !== undefined) figures.success.value++;
    else if (code !== 'ClientGone') figures[isOurs(response.status) ? 'unavailable' : 'failure'].value++;
  }
}

/** Of a credential that was refused: the core does not say what it was, and only here is it asked. */
function findMethod({ auth }: BucketFigures, { request, error }: Outcome): AuthMethod {
  if (auth.sigv4 !== undefined) {
    const isSigned =
      request.headers.get('authorization')?.startsWith('AWS4-') === true || /[?&]X-Amz-/i.test(`?${request.rawQuery}`);
    if (isSigned) return 'sigv4';
  }
  const hasToken = auth.jwt !== undefined && error instanceof S3Error && error.cause !== undefined;
  return hasToken ? 'jwt' : 'none';
}

function countDecision({ authz }: BucketFigures, decision: NonNullable<Outcome['decision']>): void {
  const { allow, cached, failedOpen } = decision;
  const engine = failedOpen.length === 0 ? decision.engine : deciderOf(decision);
  const figure = authz?.decisions[engine]?.[allow ? 'allow' : 'deny'][cached ? 'true' : 'false'];
  if (figure !== undefined) figure.value++;
}

/** Who could not be asked has not decided; empty when nobody has. */
function deciderOf({ engine, failedOpen }: NonNullable<Outcome['decision']>): string {
  const deciders = engine.split('+').filter((name) => !failedOpen.includes(name));
  return deciders.join('+');
}

function countUpload(bucket: BucketFigures, outcome: Outcome, figures: RequestFigures): void {
  const name = outcome.operation?.name;
  if (name === undefined || name === 'HeadBucket' || name === 'GetBucketLocation') return;
  const upload = bucket.uploads[name];
  const status = statusOf(outcome);
  upload.ended[status].value++;
  if (status === 'success') {
    upload.seconds.observe(outcome.durationMs, figures.traceId);
    if (name === 'PutObject' || name === 'UploadPart') bucket.uploadBytes.value += figures.storedBytes;
  }
  if (figures.firstByteMs !== undefined) bucket.firstByte.observe(figures.firstByteMs);
  // What was waited in calls to the backend was counted with each of them.
  const { idleMs } = figures;
  const { queueMs = 0, reserveMs = 0 } = outcome;
  const memoryMs = Math.min(reserveMs, idleMs);
  bucket.waits.client.value += (idleMs - memoryMs) / 1000;
  bucket.waits.memory.value += memoryMs / 1000;
  bucket.waits.slot.value += queueMs / 1000;
}

function statusOf({ code, response }: Outcome): Status {
  if (code === undefined) return 'success';
  if (code === 'ClientGone') return 'client_gone';
  return isOurs(response.status) ? 'failure' : 'refused';
}

/** What a client asks for and the proxy does not have is the client's to change. */
const isOurs = (status: number): boolean => status >= 500 && status !== 501;

function addGauges(set: MetricSet, gauges: () => Gauges | undefined): void {
  set.lentBytes.add({}, () => gauges()?.lentBytes ?? 0);
  set.reservedBytes.add({}, () => gauges()?.reservedBytes ?? 0);
  set.budgetBytes.add({}, () => gauges()?.budgetBytes ?? 0);
  set.memoryWaits.add({}, () => gauges()?.memoryWaits.count ?? 0);
  set.memoryWaitSeconds.add({}, () => (gauges()?.memoryWaits.ms ?? 0) / 1000);
  set.uploadsInFlight.add({}, () => gauges()?.uploads ?? 0);
  set.uploadsQueued.add({}, () => gauges()?.uploadsQueued ?? 0);
  set.abortsPending.add({}, () => gauges()?.abortsPending ?? 0);
  set.uploadsOpen.add({}, () => gauges()?.journalEntries ?? 0);
  set.uploadsAbandoned.add({}, () => gauges()?.uploadsAbandoned ?? 0);
  set.connections.add({}, () => gauges()?.connections ?? 0);
}
