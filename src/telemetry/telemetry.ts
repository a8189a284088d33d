// Everything by which the proxy's work can be seen, as the proxy is given it: what is off is not loaded.
import type { AuthServices } from '../auth/authentication.ts';
import type { ReplayGuard } from '../auth/sigv4/replay-guard.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { AuthorizationEvents } from '../authz/create-authorizer.ts';
import type { AuthConfig, AuthzConfig, Config } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { RequestWatch } from '../handle-request.ts';
import type { HttpRequest } from '../http.ts';
import type { Log } from '../log.ts';
import type { Storage } from '../storage/storage.ts';
import type { OpenUploadsEvents } from '../upload/open-uploads/open-uploads.ts';
import { logAuthentication, logFailedOpen, logOpenUploads } from './log-events.ts';
import { createRequestLog } from './log-requests.ts';
import type { Gauges, Metrics, Tracing } from './observer.ts';
import { WatchedRequest, type Watchers } from './request-watch.ts';
import { WatchedStorage } from './watched-storage.ts';

export interface Telemetry {
  watchRequest(request: HttpRequest): RequestWatch;
  /** The storage for what no request waits for. */
  watchBackground(bucket: string, storage: Storage): Storage;
  watchReplays(guard: ReplayGuard): ReplayGuard;
  authServices(bucket: string, auth: AuthConfig): Omit<AuthServices, 'replays'>;
  authorizationEvents(bucket: string, authz: AuthzConfig): AuthorizationEvents;
  readonly openUploadsEvents: OpenUploadsEvents;
  /** Flushes, for a limited time. */
  stop(): Promise<void>;
}

export interface TelemetryOptions {
  readonly config: Config;
  readonly log: Log;
  /** Read when metrics are scraped. */
  readonly gauges: () => Gauges;
}

/** @throws Error when a port or a file that is to be told something cannot be used. */
export async function startTelemetry({ log }: TelemetryOptions): Promise<Telemetry> {
  const tracing: Tracing | undefined = undefined as Tracing | undefined;
  const metrics: Metrics | undefined = undefined as Metrics | undefined;
  const watchers: Watchers = { tracing, metrics, logRequest: createRequestLog(log) };

  return {
    watchRequest: (request) => new WatchedRequest(request, watchers),
    watchBackground: (bucket, storage) => new WatchedStorage(storage, backgroundWatcher(bucket, watchers)),
    watchReplays: (guard) => (metrics === undefined ? guard : countReplays(guard, metrics)),
    authServices(bucket, auth) {
      const url = auth.enabled && auth.jwt?.key.kind === 'jwks' ? auth.jwt.key.url : undefined;
      return {
        ...logAuthentication(log, bucket),
        ...(url !== undefined && { watchFetch: watchFetches(bucket, url, watchers) }),
      };
    },
    authorizationEvents(bucket, authz) {
      const logFailure = logFailedOpen(log, bucket);
      return {
        onFailedOpen(engine, error) {
          metrics?.failedOpen(bucket, engine);
          logFailure(engine, error);
        },
        watch: (engine) => watchEngine(engine, bucket, authz, watchers),
      };
    },
    openUploadsEvents: both(logOpenUploads(log), metrics),
    async stop() {
      await Promise.all([tracing?.stop(), metrics?.stop()]);
    },
  };
}

function backgroundWatcher(
  bucket: string,
  { tracing, metrics }: Watchers,
): ConstructorParameters<typeof WatchedStorage>[1] {
  return {
    begin(call) {
      const span = tracing?.startBackgroundCall(bucket, call);
      metrics?.storageCallStarted(bucket, call.name);
      return {
        trace: span?.trace,
        end(end) {
          metrics?.storageCallEnded(bucket, { ...call, attempt: 1 }, end);
          span?.endCall(end);
        },
      };
    },
  };
}

function countReplays(guard: ReplayGuard, metrics: Metrics): ReplayGuard {
  return {
    async claim(signature, expiresAtMs) {
      try {
        await guard.claim(signature, expiresAtMs);
      } catch (error) {
        if (error instanceof S3Error && error.code === 'AccessDenied') metrics.replayRejected();
        throw error;
      }
    },
    close: () => guard.close(),
  };
}

function watchFetches(bucket: string, url: string, { tracing, metrics }: Watchers): AuthServices['watchFetch'] {
  return async (fetch, cause) => {
    const span = tracing?.startNeighbourCall({ name: 'fetch keys', url, method: 'GET' }, cause);
    let failure: unknown;
    try {
      return await fetch(span?.trace);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      metrics?.keysFetched(bucket, failure);
      span?.end(failure);
    }
  };
}

function watchEngine(
  engine: Authorizer,
  bucket: string,
  authz: AuthzConfig,
  { tracing, metrics }: Watchers,
): Authorizer {
  const url = (engine.engine === 'opa' ? authz.opa?.url : authz.openfga?.url) ?? '';
  return {
    engine: engine.engine,
    async authorize(question, cause) {
      const span = tracing?.startNeighbourCall({ name: engine.engine, url, method: 'POST' }, cause);
      const startedAt = performance.now();
      let failure: unknown;
      try {
        return await engine.authorize(question, span?.trace ?? cause);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        metrics?.engineAsked(bucket, engine.engine, performance.now() - startedAt, failure);
        span?.end(failure);
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
