// What the proxy is told to do: the effective, checked, frozen configuration that the other rooms are built from.

/** Deeply frozen. Made by loadConfig and embeddedConfig only. */
export interface Config {
  readonly server: ServerConfig;
  /** In the order of the file; at least one. */
  readonly buckets: readonly BucketConfig[];
  readonly logging: LoggingConfig;
  /** Sentences to be said once at start: settings that were accepted but do nothing, and risky ones. */
  readonly notices: readonly string[];
}

export interface ServerConfig {
  readonly address: ListenAddress;
  /** Processes on the same port; `auto` is one for each core. */
  readonly workers: number | 'auto';
  readonly tls?: TlsConfig;
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

export type AuthConfig = { readonly enabled: false } | { readonly enabled: true; readonly jwt: JwtConfig };

export interface JwtConfig {
  readonly algorithm: 'HS256';
  /** At least 32 bytes of UTF-8. */
  readonly secret: string;
  /** When set, the token's `iss` must be this. */
  readonly issuer?: string;
  /** When set, the token's `aud` must hold one of these; never empty. */
  readonly audience?: readonly string[];
  /** How far the clocks of the issuer and of this machine may differ. In seconds, as JWT's own times are. */
  readonly clockSkewSeconds: number;
}

export interface UploadConfig {
  /** A body of known length up to this is one PutObject, a longer one is sent in parts. */
  readonly multipartThresholdBytes: number;
  /** Raised as needed to stay within 10,000 parts. */
  readonly partBytes: number;
  /** Parts in flight for one upload. */
  readonly concurrentParts: number;
  readonly maxObjectBytes: number;
  readonly retry: RetryConfig;
}

export interface RetryConfig {
  /** The first attempt included. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LoggingConfig {
  readonly level: LogLevel;
  /** undefined = pretty on a terminal, else json. */
  readonly format: 'json' | 'pretty' | undefined;
}
