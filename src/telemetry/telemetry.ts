// Everything by which the proxy's work can be seen, as the proxy is given it: what is off is not loaded.
import type { AuthServices } from '../auth/authentication.ts';
import type { ReplayGuard } from '../auth/sigv4/replay-guard.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { AuthorizationEvents } from '../authz/create-authorizer.ts';
import type { AuthConfig, AuthzConfig, Config, TracingConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { RequestWatch } from '../handle-request.ts';
import type { HttpRequest } from '../http.ts';
import type { Log } from '../log.ts';
import type { Storage } from '../storage/storage.ts';
import type { OpenUploadsEvents, SweepWatch } from '../upload/open-uploads/open-uploads.ts';
import { createAuditLog } from './audit-log.ts';
import { logAuthentication, logFailedOpen, logFault, logOpenUploads, type FailedOpenLog } from './log-events.ts';
import { createRequestLog } from './log-requests.ts';
import { createPrivacyRules } from './privacy.ts';
import type { Gauges, Metrics, Tracing } from './observer.ts';
import { WatchedRequest, type Watchers } from './request-watch.ts';
import { shielded } from './shielded.ts';
import { WatchedStorage } from './watched-storage.ts';

export interface Telemetry {
  watchRequest(request: HttpRequest): RequestWatch;
  /** The storage for one attempt, from 1, of what no request waits for. */
  watchBackground(bucket: string, storage: Storage, attempt: number): Storage;
  watchReplays(guard: ReplayGuard): ReplayGuard;
  authServices(bucket: string, auth: AuthConfig): Omit<AuthServices, 'replays'>;
  authorizationEvents(bucket: string, authz: AuthzConfig): AuthorizationEvents;
  readonly openUploadsEvents: OpenUploadsEvents;
  watchSweep(abandoned: number): SweepWatch | undefined;
  /** Goes on in new files after those written so far were renamed. */
  reopenFiles(): void;
  /** Flushes, for a limited time. */
  stop(): Promise<void>;
}

export interface TelemetryOptions {
  readonly config: Config;
  readonly log: Log;
  /** Read when metrics are scraped; undefined until the proxy is up. */
  readonly gauges: () => Gauges | undefined;
  /** Whether the process that supervises this one serves its metrics. */
  readonly isSupervised: boolean;
}

/** @throws Error when a port or a file that is to be told something cannot be used. */
export async function startTelemetry({ config, log, gauges, isSupervised }: TelemetryOptions): Promise<Telemetry> {
  let metrics: Metrics | undefined;
  const logs = openLogs(config, log, () => metrics?.auditLineLost());
  const failedOpenLogs: FailedOpenLog[] = [];
  const tracing = config.tracing && (await loadTracing(config.tracing, config, log));
  try {
    if (config.metrics.enabled) metrics = await loadMetrics({ config, log, gauges, isSupervised }, tracing);
  } catch (error) {
    await tracing?.stop();
    logs.close();
    throw error;
  }
  const watchers: Watchers = {
    tracing,
    metrics,
    logRequest: logs.logRequest,
    tellsAddress: tellsAddress(config, log),
    failed: logFault(log),
  };

  return {
    watchRequest: (request) => new WatchedRequest(request, watchers),
    watchBackground: (bucket, storage, attempt) =>
      new WatchedStorage(storage, backgroundWatcher(bucket, attempt, watchers)),
    watchReplays: (guard) => (metrics === undefined ? guard : countReplays(guard, metrics)),
    authServices(bucket, auth) {
      const url = auth.enabled && auth.jwt?.key.kind === 'jwks' ? auth.jwt.key.url : undefined;
      return {
        ...logAuthentication(log, bucket),
        cacheHits: metrics?.jwtCacheHits(bucket),
        ...(url !== undefined && { watchFetch: watchFetches(bucket, url, watchers) }),
      };
    },
    authorizationEvents(bucket, authz) {
      const failedOpenLog = logFailedOpen(log, bucket);
      failedOpenLogs.push(failedOpenLog);
      return {
        onFailedOpen(engine, error) {
          metrics?.failedOpen(bucket, engine);
          failedOpenLog.onFailedOpen(engine, error);
        },
        watch: (engine) => watchEngine(engine, bucket, authz, watchers),
      };
    },
    openUploadsEvents: both(logOpenUploads(log), metrics),
    watchSweep: (abandoned) => tracing?.startSweep(abandoned),
    reopenFiles: logs.reopen,
    async stop() {
      for (const failedOpenLog of failedOpenLogs) failedOpenLog.flush();
      await Promise.all([tracing?.stop(), metrics?.stop()]);
      logs.close();
    },
  };
}

/** @throws Error when a file cannot be written to. */
function openLogs(config: Config, log: Log, onLost: () => void) {
  const { auditDestination: destination, slowUploadMs } = config.logging;
  const privacy = createPrivacyRules(config, (sentence) => log.warn(sentence));
  const logRequest = createRequestLog({ log, privacy, slowUploadMs });
  if (destination === undefined) return { logRequest, reopen: () => undefined, close: () => undefined };
  const audit = createAuditLog({ destination, privacy, log, onLost });
  const logBoth: typeof logRequest = (outcome, figures) => {
    audit.write(outcome, figures);
    logRequest(outcome, figures);
  };
  return { logRequest: logBoth, reopen: () => audit.reopen(), close: () => audit.close() };
}

/** Of a request that goes well, lines at info, audit lines and spans tell of it. */
function tellsAddress({ logging, tracing }: Config, log: Log): Watchers['tellsAddress'] {
  if (tracing?.includeSubject === true) return () => true;
  if (logging.subjects === 'off') return () => false;
  return logging.auditDestination === undefined ? () => log.isLevelEnabled('info') : () => true;
}

async function loadTracing(tracing: TracingConfig, { buckets }: Config, log: Log): Promise<Tracing> {
  const { startTracing } = await import('./tracing/start-tracing.ts');
  return startTracing({ tracing, buckets, log });
}

async function loadMetrics(options: TelemetryOptions, tracing: Tracing | undefined): Promise<Metrics> {
  const { startMetrics } = await import('./metrics/start-metrics.ts');
  return startMetrics({ ...options, spans: () => tracing?.exports });
}

function backgroundWatcher(
  bucket: string,
  attempt: number,
  { tracing, metrics, failed }: Watchers,
): ConstructorParameters<typeof WatchedStorage>[1] {
  return {
    failed,
    begin(called, body, cause) {
      const call = { ...called, attempt };
      const span = tracing?.startBackgroundCall(bucket, call, cause);
      const started = metrics?.storageCallStarted(bucket, call, body) ?? 0;
      return {
        trace: span?.trace,
        end(end) {
          metrics?.storageCallEnded(started, bucket, call, end);
          span?.endCall(end);
        },
      };
    },
  };
}

function countReplays(guard: ReplayGuard, metrics: Metrics): ReplayGuard {
  return {
    async claim(...claimed) {
      try {
        await guard.claim(...claimed);
      } catch (error) {
        if (error instanceof S3Error && error.code === 'AccessDenied') metrics.replayRejected();
        throw error;
      }
    },
    checkReady: () => guard.checkReady(),
    close: () => guard.close(),
  };
}

function watchFetches(bucket: string, url: string, watchers: Watchers): AuthServices['watchFetch'] {
  const { tracing, metrics } = watchers;
  return async (fetch, cause) => {
    const span = shielded(watchers, () => tracing?.startNeighbourCall({ name: 'jwks', url, method: 'GET' }, cause));
    let failure: unknown;
    try {
      return await fetch(span?.trace);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      shielded(watchers, () => metrics?.keysFetched(bucket, failure));
      shielded(watchers, () => span?.end(failure));
    }
  };
}

function watchEngine(engine: Authorizer, bucket: string, authz: AuthzConfig, watchers: Watchers): Authorizer {
  const { tracing, metrics } = watchers;
  const url = (engine.engine === 'opa' ? authz.opa?.url : authz.openfga?.url) ?? '';
  const neighbour = { name: engine.engine, url, method: 'POST' };
  return {
    engine: engine.engine,
    async authorize(question, cause) {
      const span = shielded(watchers, () => tracing?.startNeighbourCall(neighbour, cause));
      const startedAt = performance.now();
      let failure: unknown;
      try {
        return await engine.authorize(question, span?.trace ?? cause);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        shielded(watchers, () => metrics?.engineAsked(bucket, engine.engine, performance.now() - startedAt, failure));
        shielded(watchers, () => span?.end(failure));
      }
    },
    checkReady: (signal) => engine.checkReady(signal),
    close: () => engine.close(),
  };
}

function both(logged: OpenUploadsEvents, counted: OpenUploadsEvents | undefined): OpenUploadsEvents {
  if (counted === undefined) return logged;
  return {
    aborted(entry) {
      counted.aborted(entry);
      logged.aborted(entry);
    },
    abortFailed(entry, error) {
      counted.abortFailed(entry, error);
      logged.abortFailed(entry, error);
    },
    swept(entry) {
      counted.swept(entry);
      logged.swept(entry);
    },
    journalFailed(error) {
      counted.journalFailed(error);
      logged.journalFailed(error);
    },
  };
}
