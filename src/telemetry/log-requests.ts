// The log's line for each request.
import { describeError } from '../describe-error.ts';
import { S3Error } from '../errors.ts';
import type { Outcome } from '../handle-request.ts';
import type { Log } from '../log.ts';
import { toPrintableJson } from '../printable.ts';
import type { RequestFigures } from './observer.ts';
import type { PrivacyRules } from './privacy.ts';

export interface RequestLogOptions {
  readonly log: Log;
  readonly privacy: PrivacyRules;
  /** 0: none is slow. */
  readonly slowUploadMs: number;
}

/** At info, whatever the client did; what is the fault of this side at error with its cause; what is slow or too much at warn. */
export function createRequestLog({
  log,
  privacy,
  slowUploadMs,
}: RequestLogOptions): (outcome: Outcome, figures: RequestFigures) => void {
  return (outcome, figures) => {
    const { code, error } = outcome;
    const { status } = outcome.response;
    const isOurs = status >= 500 && status !== 501 && code !== 'ClientGone';
    const isSlow = slowUploadMs > 0 && outcome.durationMs >= slowUploadMs && takesBody(outcome);
    const level = isOurs && code !== 'SlowDown' ? 'error' : isOurs || isSlow ? 'warn' : 'info';
    if (!log.isLevelEnabled(level)) return;
    let fields = whoAndWhat(outcome, figures, privacy) + howMuch(outcome, figures);
    if (isSlow) fields += `,"waitedFor":"${findHindrance(outcome, figures)}"`;
    if (outcome.decision !== undefined)
      fields += writeDecision(outcome.decision, !privacy.hidesReasons || log.isLevelEnabled('debug'));
    const cause = isOurs ? (error instanceof S3Error ? error.cause : error) : undefined;
    if (cause !== undefined) fields += `,"err":${toPrintableJson(describeError(cause, privacy.hidesDetails))}`;
    log.writeEntry(level, fields, isOurs ? 'request failed' : isSlow ? 'slow upload' : 'request');
  };
}

// The line is put together here and not by pino, which takes three times as long for so many fields.

function whoAndWhat(outcome: Outcome, { traceId }: RequestFigures, { tellKey, tellPerson }: PrivacyRules): string {
  const { request, operation, principal, object } = outcome;
  const subject = principal === undefined || principal.kind === 'anonymous' ? undefined : principal.subject;
  return (
    known('requestId', request.id) +
    known('traceId', traceId) +
    (operation === undefined ? text('method', request.method) : known('operation', operation.name)) +
    known('bucket', outcome.bucket) +
    known('backendBucket', object?.bucket) +
    text('key', object === undefined || object.key === '' ? undefined : tellKey(object.key)) +
    known('credential', principal?.kind) +
    text('subject', tellPerson(subject)) +
    text('clientIp', tellPerson(request.clientIp || undefined)) +
    // Who has left is not answered.
    (outcome.code === 'ClientGone' ? '' : `,"status":${outcome.response.status}`) +
    text('code', outcome.code)
  );
}

function howMuch(outcome: Outcome, figures: RequestFigures): string {
  const { operation } = outcome;
  const { plan } = figures;
  let fields = `,"receivedBytes":${figures.receivedBytes},"sentBytes":${figures.sentBytes}`;
  if (operation?.name === 'PutObject') fields += known('plan', plan);
  if (operation?.name === 'PutObject' && plan === 'multipart') fields += `,"parts":${figures.parts}`;
  if (plan !== undefined) fields += `,"retries":${figures.retries}`;
  fields +=
    time('durationMs', outcome.durationMs) +
    time('authenticateMs', outcome.authenticateMs) +
    time('authorizeMs', outcome.authorizeMs) +
    time('queueMs', outcome.queueMs) +
    time('firstByteMs', figures.firstByteMs);
  if (plan === undefined || !takesBody(outcome)) return fields;
  return (
    fields +
    time('clientWaitMs', figures.clientWaitMs) +
    time('backendWaitMs', figures.backendWaitMs) +
    time('memoryWaitMs', figures.memoryWaitMs)
  );
}

/** Of values that are made here or were found right (names of buckets), and hold nothing that JSON would escape. */
const known = (name: string, value: string | undefined): string => (value === undefined ? '' : `,"${name}":"${value}"`);
const text = (name: string, value: string | undefined): string =>
  value === undefined ? '' : `,"${name}":${toPrintableJson(value)}`;
const time = (name: string, ms: number | undefined): string =>
  ms === undefined ? '' : `,"${name}":${writeTenths(Math.round(ms * 10))}`;

/** Up to 100 ms: what is not an integer takes long to write. */
const knownTenths = Array.from({ length: 1000 }, (_, tenths) => String(tenths / 10));
const writeTenths = (tenths: number): string => knownTenths[tenths] ?? String(tenths / 10);

function writeDecision(decision: NonNullable<Outcome['decision']>, tellsReason: boolean): string {
  const { engine, allow, cached, failedOpen } = decision;
  const reason = tellsReason ? decision.reason : undefined;
  const failed = failedOpen.map((name) => `"${name}"`).join();
  return `,"decision":{"engine":"${engine}","allow":${allow},"cached":${cached}${text('reason', reason)},"failedOpen":[${failed}]}`;
}

const takesBody = ({ operation }: Outcome): boolean =>
  operation?.name === 'PutObject' || operation?.name === 'UploadPart';

/** What took most of an upload's time. */
function findHindrance(outcome: Outcome, figures: RequestFigures): string {
  const { durationMs, authenticateMs = 0, authorizeMs = 0, queueMs = 0 } = outcome;
  const { clientWaitMs, backendWaitMs, memoryWaitMs } = figures;
  // The backend is waited for with its answer too. Parts wait at the same time, so the sum of all can be more than there was.
  const unexplainedMs = durationMs - clientWaitMs - authenticateMs - authorizeMs - queueMs;
  const waits: readonly (readonly [on: string, ms: number])[] = [
    ['client', clientWaitMs - memoryWaitMs],
    ['backend', Math.max(backendWaitMs, unexplainedMs)],
    ['memory', memoryWaitMs],
    ['queue', queueMs],
    ['authentication', authenticateMs],
    ['authorization', authorizeMs],
  ];
  return waits.reduce((longest, one) => (one[1] > longest[1] ? one : longest))[0];
}
