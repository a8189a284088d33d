// The configurations that the documentation of the earlier Mizuchi Uploadr (in Rust, github.com/julianshen/mizuchi-uploadr) shows:
// each loads as it is, or is refused for what is unsafe in it. Written anew from its settings and values.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

const env: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY: 'AKIDBACKEND',
  AWS_SECRET_KEY: 'a-secret-key-of-the-backend-of-a-test',
  AWS_ACCESS_KEY_ID: 'AKIDBACKEND',
  AWS_SECRET_ACCESS_KEY: 'a-secret-key-of-the-backend-of-a-test',
  AWS_REGION: 'eu-central-1',
  S3_BUCKET: 'a-bucket',
  JWT_SECRET: 'x9Qm-4t2v-Lk7s-Zr8d-Wp3n-Hc6y-Bf5j',
  SIGV4_ACCESS_KEY: 'AKIDCLIENT',
  SIGV4_SECRET_KEY: 'k2Vd-7n4x-Rt9w-Qs6b',
  JWKS_URL: 'https://auth.example.com/.well-known/jwks.json',
  JWT_ISSUER: 'https://auth.example.com',
  OTLP_ENDPOINT: 'http://tempo:4317',
  OPENFGA_STORE_ID: '01J0000000000000000000000A',
  OPENFGA_MODEL_ID: '01J0000000000000000000000B',
  R2_ACCESS_KEY: 'r2',
  R2_SECRET_KEY: 'r2-secret-key',
  DO_ACCESS_KEY: 'do',
  DO_SECRET_KEY: 'do-secret-key',
};
const load = (text: string, other: Readonly<Record<string, string>> = {}): Config =>
  loadConfig({ path: 'config.yaml', text, env: { ...env, ...other } });
const faultsOf = (text: string, other: Readonly<Record<string, string>> = {}): string => {
  try {
    load(text, other);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('it was not refused');
};

const backend = `s3: { bucket: my-bucket, region: us-east-1, access_key: '\${AWS_ACCESS_KEY}', secret_key: '\${AWS_SECRET_KEY}' }`;
const zeroCopy = `server: { address: '0.0.0.0:8080', zero_copy: { enabled: true, pipe_buffer_size: 1048576 } }`;
const largeParts = 'upload: { multipart_threshold: 52428800, part_size: 104857600, concurrent_parts: 4 }';
const metrics = 'metrics: { enabled: true, port: 9090 }';

/** A part of a bucket, in a bucket; or of a whole configuration, beside one. */
const inBucket = (part: string): string =>
  `buckets:\n  - name: uploads\n    path_prefix: /uploads\n    ${part.includes('s3:') ? '' : `${backend}\n    `}${part.includes('auth:') ? '' : 'auth: { enabled: false }\n    '}${part}\n`;
const beside = (part: string): string => `${part}\n${inBucket(largeParts)}`;

const whole: readonly (readonly [string, string, number])[] = [
  [
    'README',
    `${zeroCopy}
buckets:
  - name: uploads
    path_prefix: /uploads
    ${backend}
    auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}', algorithm: HS256 } }
    ${largeParts}
${metrics}`,
    1,
  ],
  [
    'config.example.yaml, and examples/config.yaml with parts of 10 MiB',
    `${zeroCopy}
buckets:
  - { name: public-uploads, path_prefix: /public, ${backend}, auth: { enabled: false }, ${largeParts} }
  - name: private-uploads
    path_prefix: /private
    ${backend}
    auth:
      enabled: true
      jwt: { secret: '\${JWT_SECRET}', algorithm: HS256, token_sources: [{ type: bearer }, { type: query, name: token }] }
    upload: { multipart_threshold: 52428800, part_size: 10485760, concurrent_parts: 4 }
${metrics}
tracing:
  enabled: true
  service_name: '\${SERVICE_NAME:-mizuchi-uploadr}'
  otlp: { endpoint: '\${OTLP_ENDPOINT:-http://localhost:4317}', protocol: grpc, timeout_seconds: 10, compression: gzip }
  sampling: { strategy: always, ratio: 1.0 }
  batch: { max_queue_size: 2048, scheduled_delay_millis: 5000, max_export_batch_size: 512 }`,
    2,
  ],
  [
    'config.docker.yaml',
    `${zeroCopy}
buckets:
  - name: uploads
    path_prefix: /uploads
    s3: { bucket: uploads, region: us-east-1, endpoint: 'http://minio:9000', access_key: '\${AWS_ACCESS_KEY}', secret_key: '\${AWS_SECRET_KEY}' }
    auth: { enabled: false }
    ${largeParts}
  - name: private
    path_prefix: /private
    s3: { bucket: private, region: us-east-1, endpoint: 'http://minio:9000', access_key: '\${AWS_ACCESS_KEY}', secret_key: '\${AWS_SECRET_KEY}' }
    auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}', algorithm: HS256, token_sources: [{ type: bearer }] } }
    ${largeParts}
${metrics}`,
    2,
  ],
  [
    'docs/CONFIG.md, development',
    `server: { address: '0.0.0.0:8080', zero_copy: { enabled: false } }
buckets:
  - name: dev-uploads
    path_prefix: /uploads
    s3: { bucket: dev-bucket, region: us-east-1, endpoint: 'http://localhost:9000', access_key: minioadmin, secret_key: minioadmin }
    auth: { enabled: false }
    upload: { multipart_threshold: 10485760 }
${metrics}
tracing:
  enabled: true
  service_name: mizuchi-uploadr-dev
  otlp: { endpoint: 'http://localhost:4317' }
  sampling: { strategy: always }`,
    1,
  ],
  [
    'docs/CONFIG.md, production',
    `server: { address: '0.0.0.0:8080', zero_copy: { enabled: true, pipe_buffer_size: 2097152 } }
buckets:
  - name: production-uploads
    path_prefix: /uploads
    s3: { bucket: '\${S3_BUCKET}', region: '\${AWS_REGION}', access_key: '\${AWS_ACCESS_KEY_ID}', secret_key: '\${AWS_SECRET_ACCESS_KEY}' }
    auth:
      enabled: true
      jwt:
        algorithm: RS256
        jwks_url: https://auth.example.com/.well-known/jwks.json
        issuer: https://auth.example.com
        audience: mizuchi-uploadr
    authz: { enabled: true, opa: { url: 'http://opa:8181', policy_path: /v1/data/mizuchi/allow } }
    upload: { multipart_threshold: 52428800, part_size: 104857600, concurrent_parts: 8 }
${metrics}
tracing:
  enabled: true
  service_name: mizuchi-uploadr-prod
  otlp: { endpoint: 'https://otlp.example.com:4317', compression: gzip }
  sampling: { strategy: ratio, ratio: 0.1 }
  batch: { max_queue_size: 4096, max_export_batch_size: 1024 }`,
    1,
  ],
  [
    'docs/CONFIG.md, several buckets',
    `server: { address: '0.0.0.0:8080' }
buckets:
  - { name: public, path_prefix: /public, s3: { bucket: public-uploads, region: us-east-1 }, auth: { enabled: false } }
  - name: user-uploads
    path_prefix: /users
    s3: { bucket: user-uploads, region: us-east-1 }
    auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}' } }
  - name: admin
    path_prefix: /admin
    s3: { bucket: admin-uploads, region: us-east-1 }
    auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}' } }
    authz: { enabled: true, opa: { url: 'http://opa:8181', policy_path: /v1/data/admin/allow } }`,
    3,
  ],
  [
    'deploy/kustomize, base; docs/DEPLOYMENT.md has it with a token',
    `${zeroCopy}
buckets:
  - name: uploads
    path_prefix: /uploads
    s3: { bucket: '\${S3_BUCKET}', region: '\${AWS_REGION}', access_key: '\${AWS_ACCESS_KEY_ID}', secret_key: '\${AWS_SECRET_ACCESS_KEY}' }
    auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}' } }
    ${largeParts}
${metrics}`,
    1,
  ],
  [
    'deploy/kustomize, overlay for development',
    `server: { address: '0.0.0.0:8080', zero_copy: { enabled: false } }
buckets:
  - name: uploads
    path_prefix: /uploads
    s3: { bucket: '\${S3_BUCKET}', region: '\${AWS_REGION}', endpoint: 'http://minio:9000', access_key: '\${AWS_ACCESS_KEY_ID}', secret_key: '\${AWS_SECRET_ACCESS_KEY}' }
    auth: { enabled: false }
    upload: { multipart_threshold: 10485760, part_size: 5242880, concurrent_parts: 2 }
${metrics}
tracing:
  enabled: true
  service_name: mizuchi-uploadr-dev
  otlp: { endpoint: 'http://jaeger:4317', protocol: grpc }
  sampling: { strategy: always, ratio: 1.0 }`,
    1,
  ],
  [
    'deploy/kustomize, overlay for production',
    `${zeroCopy}
buckets:
  - name: uploads
    path_prefix: /uploads
    s3: { bucket: '\${S3_BUCKET}', region: '\${AWS_REGION}', access_key: '\${AWS_ACCESS_KEY_ID}', secret_key: '\${AWS_SECRET_ACCESS_KEY}' }
    auth: { enabled: true, jwt: { algorithm: RS256, jwks_url: '\${JWKS_URL}', issuer: '\${JWT_ISSUER}', audience: mizuchi-uploadr } }
    upload: { multipart_threshold: 52428800, part_size: 104857600, concurrent_parts: 8 }
${metrics}
tracing:
  enabled: true
  service_name: mizuchi-uploadr-prod
  otlp: { endpoint: '\${OTLP_ENDPOINT}', protocol: grpc, compression: gzip }
  sampling: { strategy: ratio, ratio: 0.1 }
  batch: { max_queue_size: 4096, scheduled_delay_millis: 5000, max_export_batch_size: 1024 }`,
    1,
  ],
];

const publicKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
const indented = String(publicKey).trimEnd().replaceAll('\n', '\n          ');

const parts: readonly (readonly [string, string])[] = [
  ['no authentication', inBucket('auth: { enabled: false }')],
  [
    'HS256 with issuer and audience',
    inBucket(
      `auth: { enabled: true, jwt: { algorithm: HS256, secret: '\${JWT_SECRET}', issuer: 'https://auth.example.com', audience: mizuchi-uploadr } }`,
    ),
  ],
  [
    'RS256 with a public key',
    inBucket(
      `auth:\n      enabled: true\n      jwt:\n        algorithm: RS256\n        public_key: |\n          ${indented}\n        issuer: https://auth.example.com\n        audience: mizuchi-uploadr`,
    ),
  ],
  [
    'a JWKS URL',
    inBucket(
      `auth: { enabled: true, jwt: { algorithm: RS256, jwks_url: 'https://auth.example.com/.well-known/jwks.json', cache_ttl_seconds: 3600, issuer: 'https://auth.example.com', audience: mizuchi-uploadr } }`,
    ),
  ],
  [
    'Signature Version 4',
    inBucket(
      `auth: { enabled: true, sigv4: { access_key: '\${SIGV4_ACCESS_KEY}', secret_key: '\${SIGV4_SECRET_KEY}', region: us-east-1, max_clock_skew_seconds: 300 } }`,
    ),
  ],
  [
    'three token sources',
    inBucket(
      `auth: { enabled: true, jwt: { secret: '\${JWT_SECRET}', token_sources: [{ type: bearer }, { type: query, name: token }, { type: header, name: X-Auth-Token }] } }`,
    ),
  ],
  ['no authorization', inBucket('authz: { enabled: false }')],
  [
    'OPA',
    inBucket(
      `authz: { enabled: true, opa: { url: 'http://localhost:8181', policy_path: /v1/data/mizuchi/allow, timeout_seconds: 5, cache_ttl_seconds: 60, cache_max_entries: 1000 } }`,
    ),
  ],
  [
    'OpenFGA',
    inBucket(
      `auth: { jwt: { secret: '\${JWT_SECRET}' } }\n    authz: { enabled: true, openfga: { url: 'http://localhost:8080', store_id: '\${OPENFGA_STORE_ID}', model_id: '\${OPENFGA_MODEL_ID}', timeout_seconds: 5, cache_ttl_seconds: 60, cache_max_entries: 1000 } }`,
    ),
  ],
  [
    'MinIO',
    inBucket(
      `s3: { bucket: my-bucket, region: us-east-1, endpoint: 'http://localhost:9000', access_key: minioadmin, secret_key: minioadmin }`,
    ),
  ],
  [
    'Cloudflare R2',
    inBucket(
      `s3: { bucket: my-bucket, region: auto, endpoint: 'https://0123456789abcdef.r2.cloudflarestorage.com', access_key: '\${R2_ACCESS_KEY}', secret_key: '\${R2_SECRET_KEY}' }`,
    ),
  ],
  [
    'DigitalOcean Spaces',
    inBucket(
      `s3: { bucket: my-bucket, region: nyc3, endpoint: 'https://nyc3.digitaloceanspaces.com', access_key: '\${DO_ACCESS_KEY}', secret_key: '\${DO_SECRET_KEY}' }`,
    ),
  ],
  ['two parts at a time', inBucket('upload: { concurrent_parts: 2 }')],
  [
    'tracing',
    beside(
      `tracing: { enabled: true, service_name: mizuchi-uploadr, otlp: { endpoint: 'http://localhost:4317', protocol: grpc, timeout_seconds: 10 }, sampling: { strategy: always, ratio: 1.0 }, batch: { max_queue_size: 2048, scheduled_delay_millis: 5000, max_export_batch_size: 512 } }`,
    ),
  ],
  [
    'tracing to Honeycomb',
    beside(`tracing: { enabled: true, otlp: { endpoint: 'https://api.honeycomb.io:443', protocol: grpc } }`),
  ],
  [
    'tracing to New Relic',
    beside(`tracing: { enabled: true, otlp: { endpoint: 'https://otlp.nr-data.net:4317', protocol: grpc } }`),
  ],
  [
    'tracing over HTTP',
    beside(`tracing: { enabled: true, otlp: { endpoint: 'http://localhost:4318', protocol: http/protobuf } }`),
  ],
  [
    'tracing of much traffic',
    beside(
      `tracing: { enabled: true, sampling: { strategy: parent_based, ratio: 0.01 }, batch: { max_queue_size: 8192, scheduled_delay_millis: 10000, max_export_batch_size: 2048 }, otlp: { compression: gzip } }`,
    ),
  ],
];

describe('loads', () => {
  test.each(whole)('%s', (_, text, buckets) => {
    const config = load(text);
    expect(config.buckets).toHaveLength(buckets);
    expect(config.server.address).toEqual({ host: '0.0.0.0', port: 8080 });
    // What does nothing here, and what lets everybody in, is said at start.
    const open = config.buckets.filter(({ auth }) => !auth.enabled);
    expect(config.notices.filter((notice) => notice.includes('auth.enabled is false'))).toHaveLength(open.length);
    expect(config.notices.some((notice) => notice.includes('zero_copy'))).toBe(text.includes('zero_copy'));
  });

  test.each(parts)('%s', (_, text) => {
    expect(load(text).buckets).toHaveLength(1);
  });
});

describe('is refused', () => {
  const withSecret = (secret: string): string => inBucket(`auth: { enabled: true, jwt: { secret: '${secret}' } }`);

  test.each([
    ['a secret in the file that is guessed at once', withSecret('my-super-secret-key'), 'must have at least 32 bytes'],
    [
      'a secret that was never filled in',
      withSecret('your-jwt-secret-goes-here-and-is-32-bytes'),
      'is a placeholder: choose a secret',
    ],
    ['authentication without any credential', inBucket('auth: { enabled: true }'), 'jwt'],
    ['a bucket without a name behind it', inBucket(`s3: { bucket: '', region: us-east-1 }`), 'buckets[0].s3.bucket'],
    [
      'a host that was never filled in',
      inBucket(`s3: { bucket: a-bucket, endpoint: 'https://<account-id>.r2.cloudflarestorage.com' }`),
      'endpoint',
    ],
    [
      'settings of a form that was given up',
      beside(`tracing: { enabled: true, otlp_endpoint: 'http://jaeger:4317', sampling_ratio: 0.1 }`),
      'tracing.otlp_endpoint: unknown key',
    ],
  ])('%s', (_, text, sentence) => {
    expect(faultsOf(text)).toContain(sentence);
  });

  test.each([
    ['', 'must have at least 32 bytes'],
    ['your-jwt-secret', 'must have at least 32 bytes'],
    ['change-me-change-me-change-me-change-me', 'is a placeholder: choose a secret'],
  ])('the secret of the environment %j', (secret, sentence) => {
    const [[, text]] = whole as [readonly [string, string, number]];
    expect(faultsOf(text, { JWT_SECRET: secret })).toContain(`buckets[0].auth.jwt.secret: ${sentence}`);
  });

  test('a variable that is not set', () => {
    const [[, text]] = whole as [readonly [string, string, number]];
    const error = (() => {
      try {
        return loadConfig({ path: 'config.yaml', text, env: {} });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain('${JWT_SECRET} is not set in the environment');
  });
});
