// The effective configuration as YAML, secrets hidden.
import { stringify } from 'yaml';
import type {
  AuthConfig,
  AuthzConfig,
  BucketConfig,
  Config,
  CorsConfig,
  EngineConfig,
  JwtConfig,
  JwtKeyConfig,
  LoggingConfig,
  OpaConfig,
  OpenFgaConfig,
  S3StorageConfig,
  ServerConfig,
  SigV4Config,
  TracingConfig,
  UploadConfig,
  UploadPolicyConfig,
} from './config.ts';
import type { ConfigInput } from './schema.ts';

type BucketInput = ConfigInput['buckets'][number];
type AuthzInput = NonNullable<BucketInput['authz']>;
type JwtInput = NonNullable<NonNullable<BucketInput['auth']>['jwt']>;

/** Too short for a secret, so that nobody can start with what was printed. */
const hidden = '(hidden)';

/** YAML with the keys of the configuration file, every default written out. */
export function printConfig({ server, redis, ui, buckets, metrics, tracing, logging }: Config): string {
  const input: ConfigInput = {
    server: fromServer(server),
    ...(redis && { redis: { url: hidden } }),
    ui,
    buckets: buckets.map(fromBucket),
    metrics,
    tracing: fromTracing(tracing),
    logging: fromLogging(logging),
  };
  return stringify(input, { aliasDuplicateObjects: false, lineWidth: 0, keepUndefined: false });
}

function fromTracing(tracing: TracingConfig | undefined): ConfigInput['tracing'] {
  if (tracing === undefined) return { enabled: false };
  const { otlp, sampling, batch } = tracing;
  return {
    enabled: true,
    service_name: tracing.serviceName,
    resource_attributes: tracing.resourceAttributes,
    otlp: {
      endpoint: otlp.endpoint,
      protocol: otlp.protocol,
      timeout_seconds: otlp.timeoutMs / 1000,
      compression: otlp.compression,
      ca_file: otlp.caFile,
      // Collectors are sent their tokens so.
      headers: Object.fromEntries(Object.keys(otlp.headers).map((name) => [name, hidden])),
    },
    sampling,
    batch: {
      max_queue_size: batch.maxQueueSize,
      scheduled_delay_millis: batch.scheduledDelayMs,
      max_export_batch_size: batch.maxExportBatchSize,
    },
    include_keys: tracing.includeKeys,
    include_subject: tracing.includeSubject,
  };
}

function fromLogging({ slowUploadMs, auditDestination, ...logging }: LoggingConfig): ConfigInput['logging'] {
  return {
    ...logging,
    slow_upload_seconds: slowUploadMs / 1000,
    audit: {
      enabled: auditDestination !== undefined,
      ...(auditDestination !== undefined && { destination: auditDestination }),
    },
  };
}

function fromServer(server: ServerConfig): ConfigInput['server'] {
  const { address, workers, tls, trustedProxies, limits, drainMs, stateDir } = server;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    address: `${host}:${address.port}`,
    workers,
    ...(tls && { tls: { cert_file: tls.certFile, key_file: tls.keyFile } }),
    trusted_proxies: [...trustedProxies],
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

function fromBucket({
  name,
  isPattern,
  pathPrefix,
  storage,
  auth,
  authz,
  access,
  cors,
  upload,
}: BucketConfig): BucketInput {
  return {
    name,
    ...(!isPattern && { path_prefix: pathPrefix }),
    ...(storage.kind === 's3' ? { s3: fromS3(storage) } : { filesystem: { root: storage.root } }),
    auth: fromAuth(auth),
    authz: authz && fromAuthz(authz),
    access: { allow_ips: [...access.allowIps], deny_ips: [...access.denyIps] },
    cors: cors && fromCors(cors),
    upload: fromUpload(upload),
  };
}

function fromS3({
  bucket,
  region,
  endpoint,
  credentials,
  forcePathStyle,
  keepsEmptySegments,
  wantsChecksum,
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
    keeps_empty_segments: keepsEmptySegments,
    request_checksum_calculation: wantsChecksum ? 'when_supported' : 'when_required',
    timeouts: {
      connect_seconds: timeouts.connectMs / 1000,
      idle_seconds: timeouts.idleMs / 1000,
      total_seconds: timeouts.totalMs / 1000,
    },
  };
}

function fromAuth(auth: AuthConfig): BucketInput['auth'] {
  if (!auth.enabled) return { enabled: false };
  return {
    enabled: true,
    ...(auth.jwt && { jwt: fromJwt(auth.jwt) }),
    ...(auth.sigv4 && { sigv4: fromSigV4(auth.sigv4) }),
  };
}

function fromJwt({ algorithms, key, issuer, audience, clockSkewSeconds, tokenSources, claims }: JwtConfig): JwtInput {
  return {
    algorithms: [...algorithms],
    ...fromJwtKey(key),
    issuer,
    audience: audience && [...audience],
    clock_skew_seconds: clockSkewSeconds,
    token_sources: tokenSources.map((source) => ({ ...source })),
    claims: claims.map(({ in: values, ...rule }) => ({ ...rule, ...(values && { in: [...values] }) })),
  };
}

function fromJwtKey(key: JwtKeyConfig): JwtInput {
  switch (key.kind) {
    case 'secret':
      return { secret: hidden };
    case 'public-key':
      return { public_key: key.pem };
    case 'jwks':
      return {
        // Some providers are sent an API key so.
        jwks_url: key.url.replace(/\?.*/s, `?${hidden}`),
        cache_ttl_seconds: key.cacheTtlMs / 1000,
        cooldown_seconds: key.cooldownMs / 1000,
        max_stale_seconds: key.maxStaleMs / 1000,
        fetch_timeout_seconds: key.timeoutMs / 1000,
      };
  }
}

function fromSigV4(sigv4: SigV4Config): NonNullable<BucketInput['auth']>['sigv4'] {
  return {
    credentials: sigv4.credentials.map(({ accessKey, sessionToken, expiresAtMs, subject }) => ({
      access_key: accessKey,
      secret_key: hidden,
      ...(sessionToken !== undefined && { session_token: hidden }),
      ...(expiresAtMs !== undefined && { expiration: new Date(expiresAtMs).toISOString() }),
      subject,
    })),
    region: sigv4.region,
    service: sigv4.service,
    max_clock_skew_seconds: sigv4.maxClockSkewMs / 1000,
    reject_replays: sigv4.rejectReplays,
    allow_unsigned_payload: sigv4.allowUnsignedPayload,
  };
}

function fromAuthz({ failMode, opa, openfga }: AuthzConfig): AuthzInput {
  return {
    enabled: true,
    fail_mode: failMode,
    ...(opa && { opa: fromOpa(opa) }),
    ...(openfga && { openfga: fromOpenFga(openfga) }),
  };
}

function fromEngine({ timeoutMs, cacheTtlMs, denyCacheTtlMs, cacheMaxEntries }: EngineConfig) {
  return {
    timeout_seconds: timeoutMs / 1000,
    cache_ttl_seconds: cacheTtlMs / 1000,
    deny_cache_ttl_seconds: denyCacheTtlMs / 1000,
    cache_max_entries: cacheMaxEntries,
  };
}

function fromOpa(opa: OpaConfig): AuthzInput['opa'] {
  const { url, policyPath, token, caFile } = opa;
  return {
    url,
    policy_path: policyPath,
    ...fromEngine(opa),
    ...(token !== undefined && { token: hidden }),
    ca_file: caFile,
  };
}

function fromOpenFga(openfga: OpenFgaConfig): AuthzInput['openfga'] {
  const { credentials } = openfga;
  const listed = ({ upload, abort, list_parts: list }: OpenFgaConfig['relation']) => ({
    upload: [...upload],
    abort: [...abort],
    list_parts: [...list],
  });
  return {
    url: openfga.url,
    store_id: openfga.storeId,
    model_id: openfga.modelId,
    ...fromEngine(openfga),
    ca_file: openfga.caFile,
    ...(credentials?.kind === 'token' && { api_token: hidden }),
    ...(credentials?.kind === 'client-credentials' && {
      client_credentials: {
        issuer: credentials.issuer,
        audience: credentials.audience,
        client_id: credentials.clientId,
        client_secret: hidden,
      },
    }),
    user: { ...openfga.user },
    relation: listed(openfga.relation),
    object: listed(openfga.object),
    contextual_tuples: openfga.contextualTuples.map((tuple) => ({ ...tuple })),
    consistency: openfga.consistency === 'HIGHER_CONSISTENCY' ? 'higher_consistency' : 'minimize_latency',
  };
}

function fromCors({
  allowedOrigins,
  allowedHeaders,
  maxAgeSeconds,
  allowCredentials,
}: CorsConfig): BucketInput['cors'] {
  return {
    allowed_origins: [...allowedOrigins],
    allowed_headers: [...allowedHeaders],
    max_age_seconds: maxAgeSeconds,
    allow_credentials: allowCredentials,
  };
}

function fromUpload(upload: UploadConfig): BucketInput['upload'] {
  return {
    multipart_threshold: upload.multipartThresholdBytes,
    part_size: upload.partBytes,
    concurrent_parts: upload.concurrentParts,
    max_object_size: upload.maxObjectBytes,
    min_object_size: upload.minObjectBytes,
    ...fromUploadPolicy(upload.policy),
    retry: {
      max_attempts: upload.retry.maxAttempts,
      base_delay_ms: upload.retry.baseDelayMs,
      max_delay_ms: upload.retry.maxDelayMs,
    },
  };
}

function fromUploadPolicy(policy: UploadPolicyConfig): BucketInput['upload'] {
  return {
    allowed_content_types: [...policy.allowedContentTypes],
    sniff_content_type: policy.sniffContentType,
    overwrite: policy.overwrite,
    key_prefix: policy.keyPrefix,
    key_pattern: policy.keyPattern,
    key_template: policy.keyTemplate,
    required_metadata: [...policy.requiredMetadata],
    refused_headers: [...policy.refusedHeaders],
    forced_headers: Object.fromEntries(
      Object.entries(policy.forcedHeaders).map(([name, value]) => [name, isSecretField(name) ? hidden : value]),
    ),
    bind_multipart_to_creator: policy.bindMultipartToCreator,
  };
}

/** Of encryption with a key of one's own. */
const isSecretField = (name: string): boolean => name === 'x-amz-server-side-encryption-customer-key';
