// Builds every part once and joins them; the only file that knows them all.
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createAuthenticator } from './auth/authenticate.ts';
import type { AuthServices } from './auth/authentication.ts';
import { createReplayGuard } from './auth/sigv4/create-replay-guard.ts';
import type { ReplayGuard } from './auth/sigv4/replay-guard.ts';
import { checkEngines } from './authz/check-engines.ts';
import { createAuthorizer, type Authorization } from './authz/create-authorizer.ts';
import { checkBackends } from './check-backends.ts';
import { checkFiles } from './config/check-files.ts';
import type { BucketConfig, Config, S3StorageConfig } from './config/config.ts';
import { readOrMakeSecret } from './config/local-secret.ts';
import { createCorsPolicy } from './cors.ts';
import { S3Error } from './errors.ts';
import { createForwardedReader } from './forwarded.ts';
import { createRefusal, createRequestHandler, type Bucket, type HandlerOptions } from './handle-request.ts';
import { sayAloud, toLog, type Log } from './log.ts';
import { requireNode } from './node-version.ts';
import { nameBackend } from './routing/name-backend.ts';
import { createAddressParser, createBucketFinder } from './routing/parse-address.ts';
import { createAccessCheck } from './policy/access-list.ts';
import { createUploadPolicy } from './policy/upload-policy.ts';
import { listen } from './server/listen.ts';
import { createStatusRoutes, type ReadinessCheck } from './status-routes.ts';
import { createFilesystemStorage } from './storage/filesystem/filesystem-storage.ts';
import { awsEndpoint } from './storage/s3/backend-route.ts';
import { createS3Storage } from './storage/s3/s3-storage.ts';
import type { Storage } from './storage/storage.ts';
import { logEngineFault } from './telemetry/log-events.ts';
import type { Gauges } from './telemetry/observer.ts';
import { startTelemetry } from './telemetry/telemetry.ts';
import { describeBuckets } from './ui/describe-buckets.ts';
import { createPageRoute } from './ui/serve-page.ts';
import { ByteBudget } from './upload/body/byte-budget.ts';
import { createOpenUploads } from './upload/open-uploads/open-uploads.ts';
import { UploadSlots } from './upload/upload-slots.ts';
import { version } from './version.ts';

export interface Proxy {
  /** The port it listens on: the one that was free when the configuration says 0. */
  readonly port: number;
  /** Goes on in new files after those that it wrote so far were renamed. */
  reopenFiles(): void;
  /**
   * Stops: accepts nothing more, lets what is under way end within `drainMs` of the configuration, aborts the rest and
   * cleans up after it.
   */
  stop(): Promise<void>;
}

export interface ProxyOptions {
  /** What `createLog` makes, or any of pino's: of that, the level counts that it has at the start. */
  readonly log: Logger;
  /** True when other processes serve the same port. */
  readonly sharePort?: boolean;
  /** True when the process that started this one serves the metrics of all (see supervise-metrics.ts). */
  readonly isSupervised?: boolean;
}

/** After an abort, what handlers may take to clean up before connections are closed. */
const cleanUpMs = 10_000;

/** What is open, in the order in which it was opened. */
type Closers = (() => void | Promise<void>)[];

/**
 * @throws Error when this is another Node than it needs, the address is taken, a file is missing or unfit, or the state folder or
 * a storage cannot be used; nothing is left open then.
 */
export async function startProxy(config: Config, options: ProxyOptions): Promise<Proxy> {
  requireNode();
  checkFiles(config);
  const closers: Closers = [];
  try {
    return await start(config, options, closers);
  } catch (error) {
    await closeAll(closers).catch(() => undefined);
    throw error;
  }
}

/** @throws the first failure, once all have been closed. */
async function closeAll(closers: Closers): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function start(
  config: Config,
  { log: givenLog, sharePort = false, isSupervised = false }: ProxyOptions,
  closers: Closers,
): Promise<Proxy> {
  const log = toLog(givenLog, config.logging);
  const { limits } = config.server;
  const budget = new ByteBudget(limits.memoryBudgetBytes);
  const slots = new UploadSlots({ ...limits, isTight: () => budget.isTight });
  let gauges: (() => Gauges) | undefined;
  const telemetry = await startTelemetry({ config, log, gauges: () => gauges?.(), isSupervised });
  closers.push(() => telemetry.stop());
  const replays = telemetry.watchReplays(createReplayGuard(config));
  closers.push(() => replays.close());
  const buckets = config.buckets.map((bucket) => {
    const authorization =
      bucket.authz && createAuthorizer(bucket.authz, telemetry.authorizationEvents(bucket.name, bucket.authz));
    for (const engine of authorization?.engines ?? []) closers.push(() => engine.close());
    const services = { replays, ...telemetry.authServices(bucket.name, bucket.auth) };
    const served = createBucket(bucket, { config, log }, services, authorization);
    closers.push(() => served.storage.close());
    return { config: bucket, authorization, served };
  });
  const storages = new Map(buckets.map(({ served: { name, storage } }) => [name, storage]));
  const openUploads = await createOpenUploads({
    stateDir: config.server.stateDir,
    storageOf(name, attempt) {
      const storage = storages.get(name);
      return storage && telemetry.watchBackground(name, storage, attempt);
    },
    events: telemetry.openUploadsEvents,
    watchSweep: (abandoned) => telemetry.watchSweep(abandoned),
  });
  closers.push(() => openUploads.close());
  const routes = buckets.map(({ config: bucket, served }) => toRoute(bucket, served));
  const findBucket = createBucketFinder(routes);
  let isStopping = false;
  const handlerOptions: HandlerOptions = {
    parseAddress: createAddressParser(routes),
    findBucket,
    slots,
    budget,
    openUploads,
    answerStatus: createStatusRoutes({
      version,
      checks: [
        ...buckets.flatMap(({ config: bucket, served }) => readinessOf(bucket, served.storage)),
        ...buckets.flatMap(({ config: bucket, authorization }) => enginesOf(bucket, authorization)),
        ...replaysOf(config, replays),
      ],
      isStopping: () => isStopping,
      page: config.ui.enabled ? createPageRoute({ version, buckets: describeBuckets(config.buckets) }) : undefined,
      figures: () => ({ lentBytes: budget.lentBytes, uploads: slots.inUse, abortsPending: openUploads.abortsPending }),
      onCheckFailed: (name, error) => log.warn({ neighbour: name, err: error }, 'a neighbour is not ready'),
    }),
    watch: (request) => telemetry.watchRequest(request),
  };
  const listener = await listen({
    ...config.server.address,
    ...limits,
    tls: config.server.tls,
    sharePort,
    idleTimeoutSeconds: limits.idleTimeoutMs / 1000,
    uploadTimeoutSeconds: limits.uploadTimeoutMs / 1000,
    queueTimeoutSeconds: limits.queueTimeoutMs / 1000,
    memory: budget,
    readForwarded: createForwardedReader(config.server.trustedProxies),
    handle: createRequestHandler(handlerOptions),
    refuse: createRefusal(handlerOptions),
  });
  sayAloud(log, config.notices);
  void openUploads.sweep();
  const backends = buckets.flatMap(({ config: bucket, served }) =>
    readinessOf(bucket, served.storage).map((one) => ({ storage: bucket.storage, ...one })),
  );
  void checkBackends(backends, (bucket, sentence) => log.warn({ bucket }, sentence));
  for (const { config: bucket, authorization } of buckets)
    void checkEngines(authorization?.engines ?? [], logEngineFault(log, bucket.name));

  gauges = () => ({
    lentBytes: budget.lentBytes,
    reservedBytes: budget.reservedBytes,
    budgetBytes: budget.budgetBytes,
    memoryWaits: budget.waits,
    uploads: slots.inUse,
    uploadsQueued: slots.queued,
    abortsPending: openUploads.abortsPending,
    journalEntries: openUploads.journalEntries,
    uploadsAbandoned: openUploads.abandoned,
    connections: listener.connections,
  });

  async function stop(): Promise<void> {
    isStopping = true;
    const drained = listener.drain();
    if (!(await endsWithin(drained, config.server.drainMs))) {
      listener.abort(new S3Error('ServiceUnavailable', { detail: 'The server is shutting down. Try again.' }));
      await endsWithin(drained, cleanUpMs);
    }
    listener.close();
    await closeAll(closers);
  }

  let stopping: Promise<void> | undefined;
  return {
    port: listener.port,
    reopenFiles: () => telemetry.reopenFiles(),
    stop: () => (stopping ??= stop()),
  };
}

function createBucket(
  bucket: BucketConfig,
  { config, log }: { readonly config: Config; readonly log: Log },
  services: AuthServices,
  authorization: Authorization | undefined,
): Bucket {
  return {
    name: bucket.name,
    region: regionOf(bucket),
    isNamedByClient: backendBucketOf(bucket) === undefined,
    storage: createStorage(bucket),
    authenticate: createAuthenticator(bucket.auth, services),
    settings: { ...bucket.upload, queueTimeoutMs: config.server.limits.queueTimeoutMs },
    checkAccess: createAccessCheck(bucket.access),
    policy: createUploadPolicy({
      bucket: bucket.name,
      policy: bucket.upload.policy,
      uploadIdSecret: () => uploadIdSecretOf(bucket, config, log),
    }),
    authorize: authorization?.authorize,
    cors: bucket.cors && createCorsPolicy(bucket.cors),
    refusedChecksums: new Set(),
  };
}

/** What clients are told, who then sign for it. */
function regionOf({ auth, storage }: BucketConfig): string {
  if (auth.enabled && auth.sigv4 !== undefined) return auth.sigv4.region;
  return storage.kind === 's3' ? storage.region : 'us-east-1';
}

/** All proxies in front of one backend have its key; without one, those on this machine share a file. */
function uploadIdSecretOf({ storage }: BucketConfig, { server }: Config, log: Log): string {
  if (storage.kind === 's3' && storage.credentials !== undefined) return storage.credentials.secretKey;
  return readOrMakeSecret(join(server.stateDir, 'upload-id-secret'), (sentence) => log.warn(sentence));
}

function createStorage({ storage }: BucketConfig): Storage {
  if (storage.kind === 'filesystem') return createFilesystemStorage({ root: storage.root });
  return createS3Storage({ ...storage, credentials: toS3Credentials(storage.credentials) });
}

function toS3Credentials(credentials: S3StorageConfig['credentials']) {
  if (credentials === undefined) return undefined;
  const { accessKey: accessKeyId, secretKey: secretAccessKey, sessionToken } = credentials;
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

function backendBucketOf({ storage, isPattern, name }: BucketConfig): string | undefined {
  if (storage.kind === 's3') return storage.bucket;
  return isPattern ? undefined : name;
}

function toRoute(bucket: BucketConfig, target: Bucket) {
  const { name, pathPrefix, storage } = bucket;
  const backend = storage.kind === 's3' ? nameBackend(storage.endpoint ?? awsEndpoint(storage.region)) : storage.root;
  return { name, pathPrefix, backendBucket: backendBucketOf(bucket), backend, target };
}

/** A pattern stands for buckets that nobody has named yet: there is nothing to ask for. */
function readinessOf(bucket: BucketConfig, storage: Storage): ReadinessCheck[] {
  const backendBucket = backendBucketOf(bucket);
  if (backendBucket === undefined) return [];
  return [{ name: bucket.name, check: (signal) => storage.checkReady(backendBucket, signal) }];
}

/** Where an engine that is away lets through, it does not keep the proxy from its work. */
function enginesOf({ authz }: BucketConfig, authorization: Authorization | undefined): ReadinessCheck[] {
  const isNeeded = authz?.failMode !== 'open';
  return (authorization?.engines ?? []).map((engine) => ({
    name: engine.engine,
    isNeeded,
    check: (signal) => engine.checkReady(signal),
  }));
}

/** Redis; a process's own memory is always there. */
function replaysOf({ redis, buckets }: Config, replays: ReplayGuard): ReadinessCheck[] {
  const isAsked = buckets.some(({ auth }) => auth.enabled && auth.sigv4?.rejectReplays === true);
  return redis !== undefined && isAsked ? [{ name: 'redis', check: () => replays.checkReady() }] : [];
}

/** @returns whether the promise settled in time. */
async function endsWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
