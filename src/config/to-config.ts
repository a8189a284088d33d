// From the file's names and units to the program's.
import type {
  BucketConfig,
  Config,
  JwtConfig,
  S3Credentials,
  S3StorageConfig,
  ServerConfig,
  StorageConfig,
  UploadConfig,
} from './config.ts';
import { findEffectivePrefix, type ParsedConfig } from './schema.ts';

type ParsedBucket = ParsedConfig['buckets'][number];
type ParsedJwt = NonNullable<ParsedBucket['auth']['jwt']>;
type ParsedS3 = NonNullable<ParsedBucket['s3']>;

const toMs = (seconds: number) => Math.round(seconds * 1000);

export function toConfig(parsed: ParsedConfig): Config {
  return freezeDeep({
    server: toServer(parsed.server),
    buckets: parsed.buckets.map(toBucket),
    logging: { level: parsed.logging.level, format: parsed.logging.format },
    notices: findNotices(parsed),
  });
}

function toServer({ address, workers, tls, limits, shutdown, ...rest }: ParsedConfig['server']): ServerConfig {
  return {
    address,
    workers,
    ...(tls && { tls: { certFile: tls.cert_file, keyFile: tls.key_file } }),
    limits: {
      maxHeaderBytes: limits.max_header_bytes,
      maxConnections: limits.max_connections,
      maxConcurrentUploads: limits.max_concurrent_uploads,
      memoryBudgetBytes: limits.memory_budget,
      idleTimeoutMs: toMs(limits.idle_timeout_seconds),
      uploadTimeoutMs: toMs(limits.upload_timeout_seconds),
      queueTimeoutMs: toMs(limits.queue_timeout_seconds),
    },
    drainMs: toMs(shutdown.drain_seconds),
    stateDir: rest.state_dir,
  };
}

function toBucket(bucket: ParsedBucket): BucketConfig {
  const { name, auth } = bucket;
  return {
    name,
    isPattern: name.includes('*'),
    pathPrefix: findEffectivePrefix(bucket),
    storage: toStorage(bucket),
    auth: auth.enabled && auth.jwt ? { enabled: true, jwt: toJwt(auth.jwt) } : { enabled: false },
    upload: toUpload(bucket.upload),
  };
}

function toStorage({ name, s3, filesystem }: ParsedBucket): StorageConfig {
  if (s3) return toS3(s3, name.includes('*') ? undefined : name);
  if (filesystem) return { kind: 'filesystem', root: filesystem.root };
  throw new TypeError('the schema lets no bucket pass without storage');
}

function toS3(s3: ParsedS3, ownName: string | undefined): S3StorageConfig {
  return {
    kind: 's3',
    bucket: s3.bucket ?? ownName,
    region: s3.region,
    endpoint: s3.endpoint === undefined ? undefined : new URL(s3.endpoint).origin,
    credentials: toCredentials(s3),
    forcePathStyle: s3.force_path_style ?? s3.endpoint !== undefined,
    timeouts: {
      connectMs: toMs(s3.timeouts.connect_seconds),
      idleMs: toMs(s3.timeouts.idle_seconds),
      totalMs: toMs(s3.timeouts.total_seconds),
    },
  };
}

function toCredentials(s3: ParsedS3): S3Credentials | undefined {
  const { access_key: accessKey, secret_key: secretKey, session_token: sessionToken } = s3;
  if (accessKey === undefined || secretKey === undefined) return undefined;
  return { accessKey, secretKey, ...(sessionToken !== undefined && { sessionToken }) };
}

function toJwt({ algorithm, secret, issuer, audience, ...rest }: ParsedJwt): JwtConfig {
  return {
    algorithm,
    secret,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: typeof audience === 'string' ? [audience] : audience }),
    clockSkewSeconds: rest.clock_skew_seconds,
  };
}

function toUpload(upload: ParsedBucket['upload']): UploadConfig {
  return {
    multipartThresholdBytes: upload.multipart_threshold,
    partBytes: upload.part_size,
    concurrentParts: upload.concurrent_parts,
    maxObjectBytes: upload.max_object_size,
    retry: {
      maxAttempts: upload.retry.max_attempts,
      baseDelayMs: upload.retry.base_delay_ms,
      maxDelayMs: upload.retry.max_delay_ms,
    },
  };
}

function findNotices({ server, buckets }: ParsedConfig): string[] {
  const notices = buckets
    .filter(({ auth }) => !auth.enabled)
    .map(({ name }) => `bucket ${name}: auth.enabled is false, so whoever reaches the proxy may upload to it`);
  if (server.zero_copy !== undefined) {
    notices.push('server.zero_copy has no effect: bodies are verified on their way, so no kernel path applies to them');
  }
  return notices;
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freezeDeep);
  return Object.freeze(value);
}
