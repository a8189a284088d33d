// From the file's names and units to the program's.
import type {
  AuthConfig,
  BucketConfig,
  ClaimRule,
  Config,
  CorsConfig,
  JwtConfig,
  JwtKeyConfig,
  S3Credentials,
  S3StorageConfig,
  ServerConfig,
  SigV4Config,
  SigV4Credential,
  StorageConfig,
  UploadConfig,
} from './config.ts';
import { findJwtAlgorithms } from './auth-schema.ts';
import { findEffectivePrefix, type ParsedConfig } from './schema.ts';

type ParsedBucket = ParsedConfig['buckets'][number];
type ParsedJwt = NonNullable<ParsedBucket['auth']['jwt']>;
type ParsedSigV4 = NonNullable<ParsedBucket['auth']['sigv4']>;
type ParsedS3 = NonNullable<ParsedBucket['s3']>;

const toMs = (seconds: number) => Math.round(seconds * 1000);

export function toConfig(parsed: ParsedConfig): Config {
  return freezeDeep({
    server: toServer(parsed.server),
    redis: parsed.redis,
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
    trustedProxies: rest.trusted_proxies,
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
    auth: toAuth(auth),
    cors: bucket.cors && toCors(bucket.cors),
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

function toAuth({ enabled, jwt, sigv4 }: ParsedBucket['auth']): AuthConfig {
  if (!enabled) return { enabled };
  return { enabled, ...(jwt && { jwt: toJwt(jwt) }), ...(sigv4 && { sigv4: toSigV4(sigv4) }) };
}

function toJwt(jwt: ParsedJwt): JwtConfig {
  const { issuer, audience } = jwt;
  return {
    algorithms: findJwtAlgorithms(jwt) ?? [],
    key: toJwtKey(jwt),
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: typeof audience === 'string' ? [audience] : audience }),
    clockSkewSeconds: jwt.clock_skew_seconds,
    tokenSources: jwt.token_sources.map((source) =>
      source.type === 'header' ? { ...source, name: source.name.toLowerCase() } : source,
    ),
    claims: jwt.claims.map((rule) => definedOnly(rule) as ClaimRule),
  };
}

function toJwtKey({ secret, public_key: pem, jwks_url: url, ...rest }: ParsedJwt): JwtKeyConfig {
  if (secret !== undefined) return { kind: 'secret', secret };
  if (pem !== undefined) return { kind: 'public-key', pem };
  if (url === undefined) throw new TypeError('the schema lets no jwt pass without a key');
  return {
    kind: 'jwks',
    url,
    cacheTtlMs: toMs(rest.cache_ttl_seconds),
    cooldownMs: toMs(rest.cooldown_seconds),
    maxStaleMs: toMs(rest.max_stale_seconds),
    timeoutMs: toMs(rest.fetch_timeout_seconds),
  };
}

function toSigV4({ access_key: accessKey, secret_key: secretKey, credentials, ...rest }: ParsedSigV4): SigV4Config {
  const single =
    accessKey !== undefined && secretKey !== undefined ? [{ access_key: accessKey, secret_key: secretKey }] : [];
  return {
    credentials: (credentials ?? single).map(toSigV4Credential),
    region: rest.region,
    service: rest.service,
    maxClockSkewMs: toMs(rest.max_clock_skew_seconds),
    rejectReplays: rest.reject_replays,
    allowUnsignedPayload: rest.allow_unsigned_payload,
  };
}

function toSigV4Credential(credential: NonNullable<ParsedSigV4['credentials']>[number]): SigV4Credential {
  const { access_key: accessKey, secret_key: secretKey, session_token: sessionToken, subject } = credential;
  return { accessKey, secretKey, ...(sessionToken !== undefined && { sessionToken }), subject: subject ?? accessKey };
}

function toCors(cors: NonNullable<ParsedBucket['cors']>): CorsConfig {
  return {
    allowedOrigins: cors.allowed_origins,
    allowedHeaders: cors.allowed_headers.map((name) => name.toLowerCase()),
    maxAgeSeconds: cors.max_age_seconds,
    allowCredentials: cors.allow_credentials,
  };
}

function definedOnly(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
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
  const notices = buckets.flatMap(({ name, auth }) => {
    if (!auth.enabled) return [`bucket ${name}: auth.enabled is false, so whoever reaches the proxy may upload to it`];
    return auth.jwt === undefined ? [] : findJwtNotices(name, auth.jwt);
  });
  if (server.zero_copy !== undefined) {
    notices.push('server.zero_copy has no effect: bodies are verified on their way, so no kernel path applies to them');
  }
  return notices;
}

function findJwtNotices(name: string, { jwks_url: url, token_sources: sources }: ParsedJwt): string[] {
  const notices: string[] = [];
  if (
    url !== undefined &&
    new URL(url).protocol === 'http:' &&
    !/^(?:localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)
  ) {
    notices.push(`bucket ${name}: jwks_url is http://, so whoever stands on the way can replace the keys`);
  }
  if (sources.some(({ type }) => type === 'query')) {
    notices.push(`bucket ${name}: tokens are taken from the query, which other servers on the way may log`);
  }
  return notices;
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freezeDeep);
  return Object.freeze(value);
}
