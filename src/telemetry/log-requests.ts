// The log's line for each request.
import { S3Error } from '../errors.ts';
import type { Outcome } from '../handle-request.ts';
import type { Log } from '../log.ts';
import type { RequestFigures } from './observer.ts';

/** Failures of ours or of the backend with their cause; what the client did wrong only when somebody looks closely. */
export function createRequestLog(log: Log): (outcome: Outcome, figures: RequestFigures) => void {
  return (outcome, figures) => {
    const { request, bucket, operation, decision, response, code, error, durationMs } = outcome;
    const { status } = response;
    const isOurs = status >= 500 && status !== 501 && code !== 'ClientGone';
    const level = isOurs ? (code === 'SlowDown' ? 'warn' : 'error') : 'debug';
    if (!log.isLevelEnabled(level)) return;
    const err = isOurs ? (error instanceof S3Error ? error.cause : error) : undefined;
    const fields = {
      requestId: request.id,
      traceId: figures.traceId,
      bucket,
      operation: operation?.name,
      status,
      code,
      durationMs: Math.round(durationMs),
      decision: decision && { ...decision, durationMs: Math.round(decision.durationMs) },
      err,
    };
    log[level](fields, isOurs ? 'request failed' : 'request');
  };
}
