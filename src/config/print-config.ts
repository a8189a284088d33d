// The effective configuration as YAML, secrets hidden.
import { stringify } from 'yaml';
import type { AuthConfig, BucketConfig, Config, S3StorageConfig, ServerConfig, UploadConfig } from './config.ts';
import type { ConfigInput } from './schema.ts';

type BucketInput = ConfigInput['buckets'][number];

/** Too short for a secret, so that nobody can start with what was printed. */
const hidden = '(hidden)';

/** YAML with the keys of the configuration file, every default written out. */
export function printConfig({ server, buckets, logging }: Config): string {
  const input: ConfigInput = {
    server: fromServer(server),
    buckets: buckets.map(fromBucket),
    logging: { level: logging.level, format: logging.format },
  };
  return stringify(input, { aliasDuplicateObjects: false, lineWidth: 0, keepUndefined: false });
}

function fromServer({ address, workers, tls, limits, drainMs, stateDir }: ServerConfig): ConfigInput['server'] {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    address: `${host}:${address.port}`,
    workers,
    ...(tls && { tls: { cert_file: tls.certFile, key_file: tls.keyFile } }),
    limits: {
      max_header_bytes: limits.maxHeaderBytes,
      max_connections: limits.maxConnections,
      max_concurrent_uploads: limits.maxConcurrentUploads,
      memory_budget: limits.memoryBudgetBytes,
      idle_timeout_seconds: limits.idleTimeoutMs / 1000,
      upload_timeout_seconds: limits.uploadTimeoutMs / 1000,
      queue_timeout_seconds: limits.queueTimeoutMs / 1000,
    },
    shutdown: { drain_seconds: drainMs / 1000 },
    state_dir: stateDir,
  };
}

function fromBucket({ name, isPattern, pathPrefix, storage, auth, upload }: BucketConfig): BucketInput {
  return {
    name,
    ...(!isPattern && { path_prefix: pathPrefix }),
    ...(storage.kind === 's3' ? { s3: fromS3(storage) } : { filesystem: { root: storage.root } }),
    auth: fromAuth(auth),
    upload: fromUpload(upload),
  };
}

function fromS3({
  bucket,
  region,
  endpoint,
  credentials,
  forcePathStyle,
  timeouts,
}: S3StorageConfig): BucketInput['s3'] {
  return {
    bucket,
    region,
    endpoint,
    ...(credentials && {
      access_key: hidden,
      secret_key: hidden,
      ...(credentials.sessionToken !== undefined && { session_token: hidden }),
    }),
    force_path_style: forcePathStyle,
    timeouts: {
      connect_seconds: timeouts.connectMs / 1000,
      idle_seconds: timeouts.idleMs / 1000,
      total_seconds: timeouts.totalMs / 1000,
    },
  };
}

function fromAuth(auth: AuthConfig): BucketInput['auth'] {
  if (!auth.enabled) return { enabled: false };
  const { algorithm, issuer, audience, clockSkewSeconds } = auth.jwt;
  return {
    enabled: true,
    jwt: {
      algorithm,
      secret: hidden,
      issuer,
      audience: audience && [...audience],
      clock_skew_seconds: clockSkewSeconds,
    },
  };
}

function fromUpload(upload: UploadConfig): BucketInput['upload'] {
  return {
    multipart_threshold: upload.multipartThresholdBytes,
    part_size: upload.partBytes,
    concurrent_parts: upload.concurrentParts,
    max_object_size: upload.maxObjectBytes,
    retry: {
      max_attempts: upload.retry.maxAttempts,
      base_delay_ms: upload.retry.baseDelayMs,
      max_delay_ms: upload.retry.maxDelayMs,
    },
  };
}
