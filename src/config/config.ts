// What the proxy is told to do: the effective, checked, frozen configuration that the other rooms are built from.

/** Deeply frozen. Made by loadConfig and embeddedConfig only. */
export interface Config {
  readonly server: ServerConfig;
  /** Shared by the processes and machines that must agree; undefined: each process stands alone. */
  readonly redis: RedisConfig | undefined;
  /** In the order of the file; at least one. */
  readonly buckets: readonly BucketConfig[];
  /** The upload page. */
  readonly ui: { readonly enabled: boolean };
  readonly metrics: MetricsConfig;
  /** Undefined: nothing is traced. */
  readonly tracing: TracingConfig | undefined;
  readonly logging: LoggingConfig;
  /** Sentences to be said once at start: settings that were accepted but do nothing, and risky ones. */
  readonly notices: readonly string[];
}

export interface RedisConfig {
  /** `redis://` or `rediss://`, perhaps with user, password and database. */
  readonly url: string;
}

export interface ServerConfig {
  readonly address: ListenAddress;
  /** Processes on the same port; `auto` is one for each core. */
  readonly workers: number | 'auto';
  readonly tls?: TlsConfig;
  /** Addresses and CIDR ranges of proxies whose X-Forwarded-For, -Proto and -Host are believed. */
  readonly trustedProxies: readonly string[];
  readonly limits: LimitsConfig;
  /** How long open requests may take to end after a stop signal. */
  readonly drainMs: number;
  /** Folder of the journal of open multipart uploads; relative to the working directory. */
  readonly stateDir: string;
}

export interface ListenAddress {
  /** A name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** PEM files; relative to the working directory. */
export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface LimitsConfig {
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  readonly maxConcurrentUploads: number;
  /** Per process: every byte of a body that is held is lent from it. */
  readonly memoryBudgetBytes: number;
  /** Longest silence on a request's body. */
  readonly idleTimeoutMs: number;
  /** Longest time for one whole upload; 0 = none. */
  readonly uploadTimeoutMs: number;
  /** Longest wait for memory or an upload slot before 503 SlowDown; 0 = no wait. */
  readonly queueTimeoutMs: number;
}

export interface BucketConfig {
  /** An exact bucket name, or a pattern with `*` (see `isPattern`). */
  readonly name: string;
  /** True when `name` holds a `*`: the first path segment is the bucket then. */
  readonly isPattern: boolean;
  /**
   * Where the bucket is served, such as `/uploads`: leading slash, no trailing one. For an exact name without
   * `path_prefix` it is `/` and the name; undefined for patterns, and for patterns only.
   */
  readonly pathPrefix: string | undefined;
  readonly storage: StorageConfig;
  readonly auth: AuthConfig;
  /** Undefined: whoever is authenticated may do whatever the bucket allows. */
  readonly authz: AuthzConfig | undefined;
  readonly access: AccessConfig;
  readonly cors: CorsConfig | undefined;
  readonly upload: UploadConfig;
}

export type StorageConfig = S3StorageConfig | FilesystemStorageConfig;

export interface S3StorageConfig {
  readonly kind: 's3';
  /** The backend's bucket; undefined only for patterns: the first path segment is the backend's bucket then. */
  readonly bucket: string | undefined;
  readonly region: string;
  /** Scheme, host and port, without a trailing slash; undefined = AWS. */
  readonly endpoint: string | undefined;
  /** undefined = the AWS default credential chain. */
  readonly credentials: S3Credentials | undefined;
  readonly forcePathStyle: boolean;
  /** Whether the backend stores keys with a leading slash or `//` as they are; otherwise they are refused. */
  readonly keepsEmptySegments: boolean;
  /** Whether every object goes there with a checksum: one is made where the client has sent none. */
  readonly wantsChecksum: boolean;
  readonly timeouts: S3Timeouts;
}

export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

export interface S3Timeouts {
  readonly connectMs: number;
  /** Longest time in which no byte is taken or answered; 0 = none. */
  readonly idleMs: number;
  /** Longest time for one whole request; 0 = none. */
  readonly totalMs: number;
}

export interface FilesystemStorageConfig {
  readonly kind: 'filesystem';
  /** Folder; relative to the working directory. */
  readonly root: string;
}

export type AuthConfig = { readonly enabled: false } | EnabledAuthConfig;

/** At least one of the two. */
export interface EnabledAuthConfig {
  readonly enabled: true;
  readonly jwt?: JwtConfig;
  readonly sigv4?: SigV4Config;
}

export const jwtAlgorithms = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type JwtAlgorithm = (typeof jwtAlgorithms)[number];

export interface JwtConfig {
  /** Never empty. All of them HS with a secret; none of them HS with another key. */
  readonly algorithms: readonly JwtAlgorithm[];
  readonly key: JwtKeyConfig;
  /** When set, the token's `iss` must be this. */
  readonly issuer?: string;
  /** When set, the token's `aud` must hold one of these; never empty. */
  readonly audience?: readonly string[];
  /** How far the clocks of the issuer and of this machine may differ. In seconds, as JWT's own times are. */
  readonly clockSkewSeconds: number;
  /** Where a token is looked for, in this order; never empty. */
  readonly tokenSources: readonly TokenSource[];
  /** All must hold. */
  readonly claims: readonly ClaimRule[];
}

export type JwtKeyConfig =
  /** At least as many bytes of UTF-8 as the largest algorithm's digest. */
  | { readonly kind: 'secret'; readonly secret: string }
  /** SPKI or X.509 in PEM. */
  | { readonly kind: 'public-key'; readonly pem: string }
  | JwksConfig;

export interface JwksConfig {
  readonly kind: 'jwks';
  readonly url: string;
  /** Keys older than this are fetched anew. */
  readonly cacheTtlMs: number;
  /** An unknown `kid` leads to a fetch at most this often, and after a fetch that failed the next begins so much later. */
  readonly cooldownMs: number;
  /** While the identity provider is away, the last good keys are used until they are this old. */
  readonly maxStaleMs: number;
  /** For one whole fetch. */
  readonly timeoutMs: number;
}

export type TokenSource =
  | { readonly type: 'bearer' }
  /** Header names in lower case. */
  | { readonly type: 'query' | 'header' | 'cookie'; readonly name: string };

/** What must be true of a claim: every operator that is given. A claim that is absent meets `exists: false` alone. */
export interface ClaimRule {
  /**
   * Names between dots. A name may hold dots itself: at each step the longest that is there counts. Nothing within a list
   * can be named.
   */
  readonly claim: string;
  /** The same value of the same type. */
  readonly equals?: ClaimValue;
  /** The claim is a list that holds it, or text that has it as one of its words between spaces, as a `scope` has. */
  readonly contains?: ClaimValue;
  /** The claim equals one of these. */
  readonly in?: readonly ClaimValue[];
  /** A regular expression in RE2's syntax that matches the whole text. */
  readonly matches?: string;
  /** The claim is a finite number, and greater. */
  readonly gt?: number;
  /** The claim is a finite number, and less. */
  readonly lt?: number;
  /** Whether the claim is there; null is as good as absent. */
  readonly exists?: boolean;
}

export type ClaimValue = string | number | boolean;

export interface SigV4Config {
  /** Never empty; no two of one access key. */
  readonly credentials: readonly SigV4Credential[];
  /** Of the scope that clients must sign for. */
  readonly region: string;
  readonly service: string;
  readonly maxClockSkewMs: number;
  /** A signature is accepted once. */
  readonly rejectReplays: boolean;
  /** Whether `UNSIGNED-PAYLOAD` and `STREAMING-UNSIGNED-PAYLOAD-TRAILER` are accepted. */
  readonly allowUnsignedPayload: boolean;
}

export interface SigV4Credential {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of temporary credentials: then every request must carry it as `x-amz-security-token`. */
  readonly sessionToken?: string;
  /** Of temporary credentials: from then on they are refused; milliseconds since 1970. */
  readonly expiresAtMs?: number;
  /** Who that is, for policies and logs. */
  readonly subject: string;
}

/** At least one of the two; both must allow. */
export interface AuthzConfig {
  /** What a question that cannot be answered comes to. */
  readonly failMode: 'closed' | 'open';
  readonly opa?: OpaConfig;
  readonly openfga?: OpenFgaConfig;
}

/** Decisions that are remembered, and how an engine that fails is left alone. */
export interface EngineConfig {
  /** For one answer, a second attempt included. */
  readonly timeoutMs: number;
  /** 0 = every request is asked. */
  readonly cacheTtlMs: number;
  /** For refusals; not longer than `cacheTtlMs`. */
  readonly denyCacheTtlMs: number;
  readonly cacheMaxEntries: number;
}

export interface OpaConfig extends EngineConfig {
  /** Scheme, host and port, perhaps a path that OPA is served under; without a trailing slash. */
  readonly url: string;
  /** Such as `/v1/data/mizuchi/allow`. */
  readonly policyPath: string;
  /** Sent as a bearer token. */
  readonly token?: string;
  /** PEM file of the authority that signed OPA's certificate; relative to the working directory. */
  readonly caFile?: string;
}

export interface OpenFgaConfig extends EngineConfig {
  readonly url: string;
  readonly storeId: string;
  /** Undefined: the store's latest. */
  readonly modelId: string | undefined;
  /** PEM file of the authority that signed OpenFGA's certificate; relative to the working directory. */
  readonly caFile?: string;
  readonly credentials: OpenFgaCredentials | undefined;
  /** Templates over claims and `{sub}`, `{bucket}`, `{key}`, `{backend_bucket}`, `{access_key_id}`; `{key.ancestors}` stands for each folder of the key in turn. */
  readonly user: Readonly<Record<Action, string>>;
  /** One or several, of which all must hold. */
  readonly relation: Readonly<Record<Action, readonly string[]>>;
  /** One or several, of which one must hold. */
  readonly object: Readonly<Record<Action, readonly string[]>>;
  readonly contextualTuples: readonly OpenFgaTuple[];
  readonly consistency: 'MINIMIZE_LATENCY' | 'HIGHER_CONSISTENCY';
}

export type OpenFgaCredentials =
  | { readonly kind: 'token'; readonly token: string }
  | {
      readonly kind: 'client-credentials';
      readonly issuer: string;
      readonly audience: string;
      readonly clientId: string;
      readonly clientSecret: string;
    };

/** Templates too. A tuple of a claim that is a list is sent once for each item; of a claim that is absent, not at all. */
export interface OpenFgaTuple {
  readonly user: string;
  readonly relation: string;
  readonly object: string;
}

type Action = 'upload' | 'abort' | 'list_parts';

/** Addresses and CIDR ranges of clients, looked at before all but preflights. */
export interface AccessConfig {
  /** Empty = everybody. */
  readonly allowIps: readonly string[];
  /** Wins over `allowIps`. */
  readonly denyIps: readonly string[];
}

/** Cross-origin requests of browsers. Source: Fetch Standard, "HTTP-CORS protocol". */
export interface CorsConfig {
  /** `*`, exact origins, or origins with one `*` in them such as `https://*.example.com`; never empty. */
  readonly allowedOrigins: readonly string[];
  /** In lower case, `*` as a wildcard; never empty. */
  readonly allowedHeaders: readonly string[];
  readonly maxAgeSeconds: number;
  /** Cookies and the like; never with an origin that has a wildcard. */
  readonly allowCredentials: boolean;
}

export interface UploadConfig {
  /** A body of known length up to this is one PutObject, a longer one is sent in parts. */
  readonly multipartThresholdBytes: number;
  /** Raised as needed to stay within 10,000 parts. */
  readonly partBytes: number;
  /** Parts in flight for one upload. */
  readonly concurrentParts: number;
  readonly maxObjectBytes: number;
  readonly minObjectBytes: number;
  readonly retry: RetryConfig;
  readonly policy: UploadPolicyConfig;
}

/**
 * What a bucket asks of uploads by itself. Templates hold `{sub}` and claims by dotted path; a claim that is absent or not fit
 * for a key refuses the upload.
 */
export interface UploadPolicyConfig {
  /** `image/png`, `image/*`; empty = any. */
  readonly allowedContentTypes: readonly string[];
  /** Whether the first bytes of a body must not belie its content type. */
  readonly sniffContentType: boolean;
  /** `deny`: an object that is there is never replaced. */
  readonly overwrite: 'allow' | 'deny';
  /** Template, put before the client's key; '' = none. */
  readonly keyPrefix: string;
  /** RE2; the whole key, prefix included, must match; '' = any. */
  readonly keyPattern: string;
  /** Template with `{yyyy}`, `{mm}`, `{dd}`, `{uuid}`, `{ext}`, for what is PUT to the bucket itself; '' = that is refused. */
  readonly keyTemplate: string;
  /** Names without `x-amz-meta-`, in lower case. */
  readonly requiredMetadata: readonly string[];
  /** Names in lower case, or their beginning and `*`: fields that clients must not send. */
  readonly refusedHeaders: readonly string[];
  /** Names in lower case; the values are templates and win over the client's. */
  readonly forcedHeaders: Readonly<Record<string, string>>;
  /** Parts, completion, abort and listing are for whoever created the upload. */
  readonly bindMultipartToCreator: boolean;
}

export interface RetryConfig {
  /** The first attempt included. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Where Prometheus scrapes; a port of its own, so that it need not be open to clients. */
export interface MetricsConfig {
  readonly enabled: boolean;
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
}

export interface TracingConfig {
  readonly serviceName: string;
  /** Beside those that the process knows of itself. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly otlp: OtlpConfig;
  readonly sampling: SamplingConfig;
  readonly batch: SpanBatchConfig;
  /** Whether spans may hold object keys. */
  readonly includeKeys: boolean;
  /** Whether spans may say who uploads. */
  readonly includeSubject: boolean;
}

/** Source: OpenTelemetry Protocol Exporter specification. */
export interface OtlpConfig {
  /** For http/protobuf without a path, `/v1/traces` is meant. */
  readonly endpoint: string;
  readonly protocol: 'grpc' | 'http/protobuf';
  /** For one export. */
  readonly timeoutMs: number;
  readonly compression: 'gzip' | 'none';
  /** PEM file of the authority that signed the collector's certificate; relative to the working directory. */
  readonly caFile?: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SamplingConfig {
  /** `parent_based` does as the client's own trace says, and by the ratio where it has none. */
  readonly strategy: 'always' | 'never' | 'ratio' | 'parent_based';
  /** From 0 to 1. */
  readonly ratio: number;
}

export interface SpanBatchConfig {
  /** Spans beyond it are dropped. */
  readonly maxQueueSize: number;
  readonly scheduledDelayMs: number;
  readonly maxExportBatchSize: number;
}

/** How far something personal is told: as it is, as a keyed hash by which the same is known again, or not at all. */
export type Privacy = 'plain' | 'hashed' | 'off';

export interface LoggingConfig {
  readonly level: LogLevel;
  /** undefined = pretty on a terminal, else json. */
  readonly format: 'json' | 'pretty' | undefined;
  readonly keys: Privacy;
  readonly subjects: Privacy;
  /** Uploads that take longer are told of as slow; 0 = none. */
  readonly slowUploadMs: number;
  /** Where every accepted write is told of: `stdout` or a file; undefined: nowhere. */
  readonly auditDestination: string | undefined;
}
