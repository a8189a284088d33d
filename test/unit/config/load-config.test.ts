// YAML and environment in, a frozen Config out.
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { embeddedConfig, loadConfig } from '../../../src/config/load-config.ts';
import { auth, env, secret } from './secret-in-environment.ts';

const MiB = 1024 * 1024;

const load = (text: string, more: Record<string, string> = {}) =>
  loadConfig({ path: 'config.yaml', text, env: { ...env, ...more } });

describe('defaults', () => {
  test('one bucket is enough, all else is filled in', () => {
    expect(load(`buckets: [{ name: uploads, filesystem: { root: ./data }, ${auth} }]`)).toEqual({
      server: {
        address: { host: '127.0.0.1', port: 8080 },
        workers: 1,
        trustedProxies: [],
        limits: {
          maxHeaderBytes: 16_384,
          maxConnections: 10_000,
          maxConcurrentUploads: 1000,
          memoryBudgetBytes: 256 * MiB,
          idleTimeoutMs: 60_000,
          uploadTimeoutMs: 0,
          queueTimeoutMs: 10_000,
        },
        drainMs: 30_000,
        stateDir: './.mizuchi',
      },
      redis: undefined,
      ui: { enabled: false },
      buckets: [
        {
          name: 'uploads',
          isPattern: false,
          pathPrefix: '/uploads',
          storage: { kind: 'filesystem', root: './data' },
          auth: {
            enabled: true,
            jwt: {
              algorithms: ['HS256'],
              key: { kind: 'secret', secret },
              clockSkewSeconds: 30,
              tokenSources: [{ type: 'bearer' }],
              claims: [],
            },
          },
          access: { allowIps: [], denyIps: [] },
          cors: undefined,
          upload: {
            multipartThresholdBytes: 50 * MiB,
            partBytes: 16 * MiB,
            concurrentParts: 4,
            maxObjectBytes: 5 * 1024 ** 4,
            minObjectBytes: 0,
            policy: {
              allowedContentTypes: [],
              sniffContentType: false,
              overwrite: 'allow',
              keyPrefix: '',
              keyPattern: '',
              keyTemplate: '',
              requiredMetadata: [],
              refusedHeaders: [],
              forcedHeaders: {},
              bindMultipartToCreator: false,
            },
            retry: { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 5000 },
          },
        },
      ],
      metrics: { enabled: true, address: '127.0.0.1', port: 9090 },
      tracing: undefined,
      logging: {
        level: 'info',
        format: undefined,
        keys: 'plain',
        subjects: 'hashed',
        slowUploadMs: 60_000,
        auditDestination: undefined,
      },
      notices: [],
    });
  });

  test('S3 has AWS addressing and the default credential chain', () => {
    expect(load(`buckets: [{ name: my-bucket, s3: {}, ${auth} }]`).buckets[0]?.storage).toEqual({
      kind: 's3',
      bucket: 'my-bucket',
      region: 'us-east-1',
      endpoint: undefined,
      credentials: undefined,
      forcePathStyle: false,
      keepsEmptySegments: true,
      wantsChecksum: false,
      timeouts: { connectMs: 5000, idleMs: 30_000, totalMs: 0 },
    });
  });
});

test('every setting arrives in the program’s own units', () => {
  const config = load(`
server:
  address: "[::1]:9443"
  workers: auto
  tls: { cert_file: c.pem, key_file: k.pem }
  trusted_proxies: [10.0.0.0/8, "::1"]
  limits:
    max_header_bytes: 32KiB
    max_connections: 20
    max_concurrent_uploads: 10
    memory_budget: 16MiB
    idle_timeout_seconds: 0.25
    upload_timeout_seconds: 3600
    queue_timeout_seconds: 0
  shutdown: { drain_seconds: 1.5 }
  state_dir: /var/lib/mizuchi
redis: { url: "rediss://:pw@redis:6380/1" }
buckets:
  - name: uploads
    path_prefix: /files/in
    s3:
      bucket: other-bucket
      region: eu-central-1
      endpoint: HTTP://Minio.example:9000/
      access_key: AKIAEXAMPLE
      secret_key: s3cr3t
      session_token: token
      force_path_style: false
      keeps_empty_segments: true
      request_checksum_calculation: when_supported
      timeouts: { connect_seconds: 1, idle_seconds: 2, total_seconds: 3 }
    auth:
      enabled: true
      jwt:
        algorithms: [RS256, EdDSA]
        jwks_url: https://login.example.com/keys
        cache_ttl_seconds: 60
        cooldown_seconds: 2.5
        max_stale_seconds: 600
        fetch_timeout_seconds: 1
        issuer: me
        audience: [a, b]
        clock_skew_seconds: 5
        token_sources: [{ type: header, name: X-Token }, { type: query, name: t }, { type: cookie, name: C }, { type: bearer }]
        claims: [{ claim: a.b, equals: 1, in: [1, x], gt: "2", exists: "true" }, { claim: c, matches: "x+" }]
      sigv4:
        credentials:
          - { access_key: AKIDALICE, secret_key: kJ3nV8sQ2wX5zB7c, session_token: tok, expiration: 2026-12-31T23:59:59+01:00, subject: alice }
          - { access_key: AKIDBOB, secret_key: pL9mT4rY6uE1oI0a }
        region: eu-west-1
        service: other
        max_clock_skew_seconds: 60
        reject_replays: true
        allow_unsigned_payload: false
    access: { allow_ips: [10.0.0.0/8], deny_ips: [10.0.0.1, "::1"] }
    cors: { allowed_origins: [https://a.example], allowed_headers: [X-Own], max_age_seconds: 5, allow_credentials: true }
    upload:
      multipart_threshold: 8MB
      part_size: 5MiB
      concurrent_parts: 64
      max_object_size: 5GB
      min_object_size: 2KiB
      allowed_content_types: [Image/PNG, "text/*"]
      sniff_content_type: "true"
      overwrite: deny
      key_prefix: "{tenant.id}/in/"
      key_pattern: "[a-z]+"
      key_template: "{yyyy}/{uuid}{ext}"
      required_metadata: [From, album]
      refused_headers: [x-amz-tagging, X-Amz-Object-Lock-*]
      forced_headers: { Cache-Control: no-store, X-Amz-Meta-By: "{sub}" }
      bind_multipart_to_creator: true
      retry: { max_attempts: 1, base_delay_ms: 7, max_delay_ms: 7 }
ui: { enabled: true }
metrics: { enabled: false, address: "::", port: 9999 }
tracing:
  enabled: "true"
  service_name: up
  resource_attributes: { team: a }
  otlp:
    endpoint: https://collector:4318
    protocol: http/protobuf
    timeout_seconds: 2.5
    compression: none
    ca_file: collector.pem
    headers: { Authorization: x }
  sampling: { strategy: ratio, ratio: 0.25 }
  batch: { max_queue_size: 10, scheduled_delay_millis: 20, max_export_batch_size: 5 }
  include_keys: true
  include_subject: true
logging:
  { level: debug, format: pretty, keys: hashed, subjects: off, slow_upload_seconds: 1.5, audit: { enabled: true, destination: a.log } }
`);
  expect(config).toEqual({
    server: {
      address: { host: '::1', port: 9443 },
      workers: 'auto',
      tls: { certFile: 'c.pem', keyFile: 'k.pem' },
      trustedProxies: ['10.0.0.0/8', '::1'],
      limits: {
        maxHeaderBytes: 32_768,
        maxConnections: 20,
        maxConcurrentUploads: 10,
        memoryBudgetBytes: 16 * MiB,
        idleTimeoutMs: 250,
        uploadTimeoutMs: 3_600_000,
        queueTimeoutMs: 0,
      },
      drainMs: 1500,
      stateDir: '/var/lib/mizuchi',
    },
    redis: { url: 'rediss://:pw@redis:6380/1' },
    buckets: [
      {
        name: 'uploads',
        isPattern: false,
        pathPrefix: '/files/in',
        storage: {
          kind: 's3',
          bucket: 'other-bucket',
          region: 'eu-central-1',
          endpoint: 'http://minio.example:9000',
          credentials: { accessKey: 'AKIAEXAMPLE', secretKey: 's3cr3t', sessionToken: 'token' },
          forcePathStyle: false,
          keepsEmptySegments: true,
          wantsChecksum: true,
          timeouts: { connectMs: 1000, idleMs: 2000, totalMs: 3000 },
        },
        auth: {
          enabled: true,
          jwt: {
            algorithms: ['RS256', 'EdDSA'],
            key: {
              kind: 'jwks',
              url: 'https://login.example.com/keys',
              cacheTtlMs: 60_000,
              cooldownMs: 2500,
              maxStaleMs: 600_000,
              timeoutMs: 1000,
            },
            issuer: 'me',
            audience: ['a', 'b'],
            clockSkewSeconds: 5,
            tokenSources: [
              { type: 'header', name: 'x-token' },
              { type: 'query', name: 't' },
              { type: 'cookie', name: 'C' },
              { type: 'bearer' },
            ],
            claims: [
              { claim: 'a.b', equals: 1, in: [1, 'x'], gt: 2, exists: true },
              { claim: 'c', matches: 'x+' },
            ],
          },
          sigv4: {
            credentials: [
              {
                accessKey: 'AKIDALICE',
                secretKey: 'kJ3nV8sQ2wX5zB7c',
                sessionToken: 'tok',
                expiresAtMs: Date.UTC(2026, 11, 31, 22, 59, 59),
                subject: 'alice',
              },
              { accessKey: 'AKIDBOB', secretKey: 'pL9mT4rY6uE1oI0a', subject: 'AKIDBOB' },
            ],
            region: 'eu-west-1',
            service: 'other',
            maxClockSkewMs: 60_000,
            rejectReplays: true,
            allowUnsignedPayload: false,
          },
        },
        access: { allowIps: ['10.0.0.0/8'], denyIps: ['10.0.0.1', '::1'] },
        cors: {
          allowedOrigins: ['https://a.example'],
          allowedHeaders: ['x-own'],
          maxAgeSeconds: 5,
          allowCredentials: true,
        },
        upload: {
          multipartThresholdBytes: 8_000_000,
          partBytes: 5 * MiB,
          concurrentParts: 64,
          maxObjectBytes: 5_000_000_000,
          minObjectBytes: 2048,
          policy: {
            allowedContentTypes: ['image/png', 'text/*'],
            sniffContentType: true,
            overwrite: 'deny',
            keyPrefix: '{tenant.id}/in/',
            keyPattern: '[a-z]+',
            keyTemplate: '{yyyy}/{uuid}{ext}',
            requiredMetadata: ['from', 'album'],
            refusedHeaders: ['x-amz-tagging', 'x-amz-object-lock-*'],
            forcedHeaders: { 'cache-control': 'no-store', 'x-amz-meta-by': '{sub}' },
            bindMultipartToCreator: true,
          },
          retry: { maxAttempts: 1, baseDelayMs: 7, maxDelayMs: 7 },
        },
      },
    ],
    ui: { enabled: true },
    metrics: { enabled: false, address: '::', port: 9999 },
    tracing: {
      serviceName: 'up',
      resourceAttributes: { team: 'a' },
      otlp: {
        endpoint: 'https://collector:4318',
        protocol: 'http/protobuf',
        timeoutMs: 2500,
        compression: 'none',
        caFile: 'collector.pem',
        headers: { Authorization: 'x' },
      },
      sampling: { strategy: 'ratio', ratio: 0.25 },
      batch: { maxQueueSize: 10, scheduledDelayMs: 20, maxExportBatchSize: 5 },
      includeKeys: true,
      includeSubject: true,
    },
    logging: {
      level: 'debug',
      format: 'pretty',
      keys: 'hashed',
      subjects: 'off',
      slowUploadMs: 1500,
      auditDestination: 'a.log',
    },
    notices: [
      'bucket uploads: tokens are taken from the query, which other servers on the way may log',
      'bucket uploads: tokens are taken from cookies, which browsers add for pages of other sites too unless they are SameSite=Strict or Lax',
      'bucket uploads: s3.endpoint is http://, so whoever stands on the way can read what is uploaded',
      'ui.enabled is true, so whoever reaches the proxy sees the names of its buckets at /',
      'tracing.include_keys is true, so spans hold object keys',
      'tracing.include_subject is true, so spans say who uploads',
      'logging.level is debug, so the log shows what clients signed: keys and header fields',
    ],
  });
});

test('an endpoint makes path style the default, and one audience becomes a list', () => {
  const [bucket] = load(`
buckets:
  - name: uploads
    s3: { endpoint: "https://s3.example.com" }
    auth: { jwt: { secret: "\${JWT_SECRET}", audience: me } }
`).buckets;
  expect(bucket?.storage).toMatchObject({ endpoint: 'https://s3.example.com', forcePathStyle: true });
  expect(bucket?.auth).toMatchObject({ jwt: { audience: ['me'] } });
});

test('a name pattern has no prefix and takes its bucket from the path, or the one that is named', () => {
  const config = load(`
buckets:
  - { name: "team-*", s3: {}, ${auth} }
  - { name: "*", s3: { bucket: all-others }, ${auth} }
`);
  expect(config.buckets).toMatchObject([
    { name: 'team-*', isPattern: true, pathPrefix: undefined, storage: { bucket: undefined } },
    { name: '*', isPattern: true, pathPrefix: undefined, storage: { bucket: 'all-others' } },
  ]);
});

test('all of it is frozen', () => {
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
  expect(frozen(load(`buckets: [{ name: uploads, s3: {}, ${auth} }]`))).toBe(true);
});

test('text from the environment stands for numbers, sizes and flags, and for nothing more than a value', () => {
  const config = load(
    `
server:
  workers: "\${WORKERS}"
  limits: { memory_budget: "\${BUDGET}", max_connections: "\${MAX}", idle_timeout_seconds: "\${IDLE:-1.5}" }
  state_dir: "\${INJECTED}"
buckets:
  - { name: uploads, filesystem: { root: ./data }, auth: { enabled: "\${AUTH}" } }
`,
    { WORKERS: '3', BUDGET: '64MiB', MAX: '17', AUTH: 'false', INJECTED: 'x\nlogging: { level: trace }' },
  );
  expect(config.server).toMatchObject({
    workers: 3,
    limits: { memoryBudgetBytes: 64 * MiB, maxConnections: 17, idleTimeoutMs: 1500 },
    stateDir: 'x\nlogging: { level: trace }',
  });
  expect(config.logging.level).toBe('info');
  expect(config.buckets[0]?.auth).toEqual({ enabled: false });
});

test('anchors share settings between buckets', () => {
  const config = load(`
buckets:
  - { name: one-bucket, s3: &s3 { endpoint: "http://a:9000" }, ${auth} }
  - { name: two-bucket, s3: *s3, ${auth} }
`);
  expect(config.buckets[1]?.storage).toMatchObject({ endpoint: 'http://a:9000', bucket: 'two-bucket' });
});

test('the zero_copy block of older documentation loads, and is answered with a line', () => {
  const config = load(`
server: { zero_copy: { enabled: true, pipe_buffer_size: 1048576 } }
buckets: [{ name: uploads, s3: {}, auth: { enabled: false } }]
`);
  expect(config.notices).toEqual([
    'bucket uploads: auth.enabled is false, so whoever reaches the proxy may upload to it',
    'server.zero_copy has no effect: bodies are verified on their way, so no kernel path applies to them',
  ]);
});

test('a notice says where proxies cannot agree on ids of multipart uploads', () => {
  const noticesOf = (storage: string, upload: string) =>
    load(`buckets: [{ name: uploads, ${storage}, ${auth}, upload: { ${upload} } }]`).notices;
  for (const key of ['bind_multipart_to_creator', 'sniff_content_type']) {
    expect(noticesOf('s3: {}', `${key}: true`)).toEqual([
      `bucket uploads: ${key} without s3.secret_key: proxies that do not share a state_dir refuse each other's multipart uploads`,
    ]);
    expect(noticesOf('s3: { access_key: a, secret_key: b }', `${key}: true`)).toEqual([]);
    expect(noticesOf('filesystem: { root: ./d }', `${key}: true`)).toEqual([]);
    expect(noticesOf('s3: {}', `${key}: false`)).toEqual([]);
  }
});

describe('the embedded configuration', () => {
  test('listens here only, with one bucket in a folder', () => {
    const config = embeddedConfig({ secret });
    expect(config).toEqual(
      load(`
ui: { enabled: true }
buckets: [{ name: uploads, path_prefix: /uploads, filesystem: { root: ./data }, ${auth} }]`),
    );
  });

  test('takes folders and an address', () => {
    const config = embeddedConfig({ secret, dataDir: '/d', stateDir: '/s', address: 'localhost:0' });
    expect(config.server).toMatchObject({ address: { host: 'localhost', port: 0 }, stateDir: '/s' });
    expect(config.buckets[0]?.storage).toEqual({ kind: 'filesystem', root: '/d' });
  });

  test('goes through the same checks', () => {
    expect(() => embeddedConfig({ secret: 'short' })).toThrow(ConfigError);
    expect(() => embeddedConfig({ secret: 'short' })).toThrow(
      'buckets[0].auth.jwt.secret: must have at least 32 bytes',
    );
  });
});
