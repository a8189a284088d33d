// From the file's names and units to the program's.
import type {
  AuthConfig,
  AuthzConfig,
  BucketConfig,
  ClaimRule,
  Config,
  CorsConfig,
  EngineConfig,
  JwtConfig,
  JwtKeyConfig,
  LoggingConfig,
  OpaConfig,
  OpenFgaConfig,
  OpenFgaCredentials,
  S3Credentials,
  S3StorageConfig,
  ServerConfig,
  SigV4Config,
  SigV4Credential,
  StorageConfig,
  TracingConfig,
  UploadConfig,
  UploadPolicyConfig,
} from './config.ts';
import { findJwtAlgorithms } from './auth-schema.ts';
import { forActions } from './authz-schema.ts';
import { findNotices } from './find-notices.ts';
import { findEffectivePrefix, type ParsedConfig } from './schema.ts';

type ParsedBucket = ParsedConfig['buckets'][number];
type ParsedJwt = NonNullable<ParsedBucket['auth']['jwt']>;
type ParsedSigV4 = NonNullable<ParsedBucket['auth']['sigv4']>;
type ParsedAuthz = NonNullable<ParsedBucket['authz']>;
type ParsedOpa = NonNullable<ParsedAuthz['opa']>;
type ParsedOpenFga = NonNullable<ParsedAuthz['openfga']>;
type ParsedS3 = NonNullable<ParsedBucket['s3']>;

const toMs = (seconds: number) => Math.round(seconds * 1000);

export function toConfig(parsed: ParsedConfig): Config {
  return freezeDeep({
    server: toServer(parsed.server),
    redis: parsed.redis,
    buckets: parsed.buckets.map(toBucket),
    ui: parsed.ui,
    metrics: parsed.metrics,
    tracing: toTracing(parsed.tracing),
    logging: toLogging(parsed.logging),
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
    authz: bucket.authz && toAuthz(bucket.authz),
    access: { allowIps: bucket.access.allow_ips, denyIps: bucket.access.deny_ips },
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
    keepsEmptySegments: s3.keeps_empty_segments ?? s3.endpoint === undefined,
    wantsChecksum: s3.request_checksum_calculation === 'when_supported',
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
  const { access_key: accessKey, secret_key: secretKey, session_token: sessionToken, expiration, subject } = credential;
  return {
    accessKey,
    secretKey,
    ...(sessionToken !== undefined && { sessionToken }),
    ...(expiration !== undefined && { expiresAtMs: Date.parse(expiration) }),
    subject: subject ?? accessKey,
  };
}

function toAuthz({ enabled, fail_mode: failMode, opa, openfga }: ParsedAuthz): AuthzConfig | undefined {
  if (!enabled) return undefined;
  return { failMode, ...(opa && { opa: toOpa(opa) }), ...(openfga && { openfga: toOpenFga(openfga) }) };
}

function toEngine(engine: ParsedOpa | ParsedOpenFga): EngineConfig & { readonly url: string } {
  const cacheTtlMs = toMs(engine.cache_ttl_seconds);
  return {
    url: engine.url.replace(/\/+$/, ''),
    timeoutMs: toMs(engine.timeout_seconds),
    cacheTtlMs,
    denyCacheTtlMs: Math.min(toMs(engine.deny_cache_ttl_seconds), cacheTtlMs),
    cacheMaxEntries: engine.cache_max_entries,
  };
}

function toOpa(opa: ParsedOpa): OpaConfig {
  const { policy_path: policyPath, token, ca_file: caFile } = opa;
  return {
    ...toEngine(opa),
    policyPath,
    ...(token !== undefined && { token }),
    ...(caFile !== undefined && { caFile }),
  };
}

function toOpenFga(openfga: ParsedOpenFga): OpenFgaConfig {
  const toList = (texts: string | string[]): string[] => (typeof texts === 'string' ? [texts] : texts);
  return {
    ...toEngine(openfga),
    storeId: openfga.store_id,
    modelId: openfga.model_id,
    ...(openfga.ca_file !== undefined && { caFile: openfga.ca_file }),
    credentials: toOpenFgaCredentials(openfga),
    user: forActions(openfga.user, (text) => text),
    relation: forActions<string | string[], string[]>(openfga.relation, toList),
    object: forActions<string | string[], string[]>(openfga.object, toList),
    contextualTuples: openfga.contextual_tuples,
    consistency: openfga.consistency === 'higher_consistency' ? 'HIGHER_CONSISTENCY' : 'MINIMIZE_LATENCY',
  };
}

function toOpenFgaCredentials(openfga: ParsedOpenFga): OpenFgaCredentials | undefined {
  const { api_token: token, client_credentials: client } = openfga;
  if (token !== undefined) return { kind: 'token', token };
  if (client === undefined) return undefined;
  const { issuer, audience, client_id: clientId, client_secret: clientSecret } = client;
  return { kind: 'client-credentials', issuer, audience, clientId, clientSecret };
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
    minObjectBytes: upload.min_object_size,
    retry: {
      maxAttempts: upload.retry.max_attempts,
      baseDelayMs: upload.retry.base_delay_ms,
      maxDelayMs: upload.retry.max_delay_ms,
    },
    policy: toUploadPolicy(upload),
  };
}

function toUploadPolicy(upload: ParsedBucket['upload']): UploadPolicyConfig {
  return {
    allowedContentTypes: upload.allowed_content_types.map((type) => type.toLowerCase()),
    sniffContentType: upload.sniff_content_type,
    overwrite: upload.overwrite,
    keyPrefix: upload.key_prefix,
    keyPattern: upload.key_pattern,
    keyTemplate: upload.key_template,
    requiredMetadata: upload.required_metadata.map((name) => name.toLowerCase()),
    refusedHeaders: upload.refused_headers.map((name) => name.toLowerCase()),
    forcedHeaders: Object.fromEntries(
      Object.entries(upload.forced_headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    bindMultipartToCreator: upload.bind_multipart_to_creator,
  };
}

function toTracing({ otlp, sampling, batch, ...tracing }: ParsedConfig['tracing']): TracingConfig | undefined {
  if (!tracing.enabled) return undefined;
  const usual = otlp.protocol === 'grpc' ? 'http://localhost:4317' : 'http://localhost:4318';
  return {
    serviceName: tracing.service_name,
    resourceAttributes: tracing.resource_attributes,
    otlp: {
      endpoint: otlp.endpoint ?? usual,
      protocol: otlp.protocol,
      timeoutMs: toMs(otlp.timeout_seconds),
      compression: otlp.compression,
      ...(otlp.ca_file !== undefined && { caFile: otlp.ca_file }),
      headers: otlp.headers,
    },
    sampling,
    batch: {
      maxQueueSize: batch.max_queue_size,
      scheduledDelayMs: batch.scheduled_delay_millis,
      maxExportBatchSize: batch.max_export_batch_size,
    },
    includeKeys: tracing.include_keys,
    includeSubject: tracing.include_subject,
  };
}

function toLogging({ audit, slow_upload_seconds: slowSeconds, ...logging }: ParsedConfig['logging']): LoggingConfig {
  const slowUploadMs = toMs(slowSeconds);
  return {
    ...logging,
    format: logging.format,
    slowUploadMs,
    auditDestination: audit.enabled ? audit.destination : undefined,
  };
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freezeDeep);
  return Object.freeze(value);
}
