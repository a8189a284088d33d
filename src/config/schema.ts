// The configuration file's shape, its defaults, and what its values must hold between them. Every object is strict.
import { z } from 'zod';
import { findBucketNameFault, findBucketPatternFault } from '../bucket-name.ts';
import { auth } from './auth-schema.ts';
import { authz } from './authz-schema.ts';
import { findAddressRangeFault } from './find-address-range-fault.ts';
import { findOriginFault } from './find-origin-fault.ts';
import { parseListenAddress } from './parse-listen-address.ts';
import { logging, metrics, tracing } from './telemetry-schema.ts';
import { holds, isMapping } from './rules-between-values.ts';
import { flag, integer, seconds, size, text, textWithout } from './scalars.ts';
import { access, uploadPolicyKeys } from './upload-policy-schema.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;

const limits = z.strictObject({
  max_header_bytes: size(1 * KiB, 1 * MiB).prefault(16_384),
  max_connections: integer(1, 1_000_000).prefault(10_000),
  max_concurrent_uploads: integer(1, 1_000_000).prefault(1000),
  memory_budget: size(16 * MiB, 1 * TiB).prefault('256MiB'),
  idle_timeout_seconds: seconds(0.1).prefault(60),
  upload_timeout_seconds: seconds(0).prefault(0),
  queue_timeout_seconds: seconds(0).prefault(10),
});

const listenAddress = text().transform((value, context) => {
  const address = parseListenAddress(value);
  if (address !== undefined) return address;
  context.addIssue({ code: 'custom', message: 'must be host:port, an IPv6 host in brackets' });
  return z.NEVER;
});

const server = z.strictObject({
  address: listenAddress.prefault('127.0.0.1:8080'),
  workers: z
    .union([integer(1, 1024), z.literal('auto')], { error: 'must be a whole number from 1 to 1024, or auto' })
    .prefault(1),
  tls: z.strictObject({ cert_file: text(), key_file: text() }).optional(),
  trusted_proxies: z.array(textWithout(findAddressRangeFault)).prefault([]),
  limits: limits.prefault({}),
  shutdown: z.strictObject({ drain_seconds: seconds(0).prefault(30) }).prefault({}),
  state_dir: text().prefault('./.mizuchi'),
  // Of Mizuchi Uploadr's older documentation: accepted, and said at start to do nothing.
  zero_copy: z.looseObject({}).optional(),
});

function findEndpointFault(value: string): string | undefined {
  const fault = 'must be http:// or https:// with a host, perhaps a port, and nothing else';
  if (!/^https?:\/\/[^\s/?#@\\]+\/?$/i.test(value)) return fault;
  return URL.canParse(value) && new URL(value).pathname === '/' ? undefined : fault;
}

const s3 = z
  .strictObject({
    bucket: textWithout(findBucketNameFault).optional(),
    // Becomes part of AWS's host name and of every signature's scope.
    region: textWithout((value) =>
      /^[A-Za-z0-9][\w-]{0,63}$/.test(value) ? undefined : 'must be a region such as us-east-1',
    ).prefault('us-east-1'),
    endpoint: textWithout(findEndpointFault).optional(),
    access_key: text().optional(),
    secret_key: text().optional(),
    session_token: text().optional(),
    force_path_style: flag().optional(),
    keeps_empty_segments: flag().optional(),
    request_checksum_calculation: z.enum(['when_required', 'when_supported']).prefault('when_required'),
    timeouts: z
      .strictObject({
        connect_seconds: seconds(0.1).prefault(5),
        idle_seconds: seconds(0).prefault(30),
        total_seconds: seconds(0).prefault(0),
      })
      .prefault({}),
  })
  .superRefine(
    (value, context) => {
      const { access_key: accessKey, secret_key: secretKey, session_token: sessionToken } = value;
      const missing = accessKey === undefined ? 'access_key' : secretKey === undefined ? 'secret_key' : undefined;
      if (missing === undefined || (accessKey ?? secretKey ?? sessionToken) === undefined) return;
      const message = 'is required beside the other credentials; leave all out for the AWS default credential chain';
      context.addIssue({ code: 'custom', path: [missing], message });
    },
    { when: isMapping },
  );

const cors = z
  .strictObject({
    allowed_origins: z.array(textWithout(findOriginFault)).min(1),
    allowed_headers: z
      .array(
        textWithout((name) =>
          /^(?!.*\*.*\*)[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)
            ? undefined
            : 'must be a header name, with one * at most',
        ),
      )
      .min(1)
      .prefault(['*']),
    max_age_seconds: integer(0, 86_400).prefault(600),
    allow_credentials: flag().prefault(false),
  })
  .superRefine(
    (value, context) => {
      if (
        !value.allow_credentials ||
        !value.allowed_origins.some((origin) => origin === 'null' || origin.includes('*'))
      )
        return;
      const message = 'needs listed origins: with * or null any site could act in the name of its visitors';
      context.addIssue({ code: 'custom', path: ['allow_credentials'], message });
    },
    holds(z.looseObject({ allow_credentials: flag(), allowed_origins: z.array(z.string()) })),
  );

const delayMs = () => integer(0, 300_000);

const retry = z
  .strictObject({
    max_attempts: integer(1, 20).prefault(4),
    base_delay_ms: delayMs().prefault(100),
    max_delay_ms: delayMs().prefault(5000),
  })
  .superRefine(
    (value, context) => {
      if (value.base_delay_ms <= value.max_delay_ms) return;
      context.addIssue({ code: 'custom', path: ['base_delay_ms'], message: 'must not be more than max_delay_ms' });
    },
    holds(z.looseObject({ base_delay_ms: delayMs(), max_delay_ms: delayMs() })),
  );

// Sizes and counts of S3's own: Amazon S3 User Guide, "Amazon S3 multipart upload limits"; one PUT holds up to 5 GiB.
const maxObjectSize = () => size(1, 5 * TiB);
const upload = z
  .strictObject({
    multipart_threshold: size(0, 5 * GiB).prefault(50 * MiB),
    part_size: size(5 * MiB, 5 * GiB).prefault(16 * MiB),
    concurrent_parts: integer(1, 64).prefault(4),
    max_object_size: maxObjectSize().prefault('5TiB'),
    ...uploadPolicyKeys,
    retry: retry.prefault({}),
  })
  .superRefine(
    (value, context) => {
      if (value.min_object_size <= value.max_object_size) return;
      context.addIssue({ code: 'custom', path: ['min_object_size'], message: 'must not be more than max_object_size' });
    },
    holds(z.looseObject({ min_object_size: z.int(), max_object_size: z.int() })),
  );

const bucketName = textWithout((name) => (name.includes('*') ? findBucketPatternFault : findBucketNameFault)(name));

// Unreserved characters only (RFC 3986, section 2.3): whether a prefix is compared before or after decoding is then the same.
const pathPrefix = textWithout((prefix) => {
  if (!prefix.startsWith('/')) return 'must begin with /';
  if (prefix.endsWith('/')) return 'must not end with /';
  const segments = prefix.slice(1).split('/');
  if (segments.includes('')) return 'must not hold //';
  if (segments.includes('.') || segments.includes('..')) return 'must not hold . or .. as a segment';
  return /^[\w/.~-]{1,512}$/.test(prefix) ? undefined : 'may hold letters, digits, and - . _ ~ between slashes only';
});

const bucket = z
  .strictObject({
    name: bucketName,
    path_prefix: pathPrefix.optional(),
    s3: s3.optional(),
    filesystem: z.strictObject({ root: text() }).optional(),
    auth: auth.prefault({}),
    authz: authz.optional(),
    access: access.prefault({}),
    cors: cors.optional(),
    upload: upload.prefault({}),
  })
  .superRefine(
    (value, context) => {
      if ((value.s3 === undefined) === (value.filesystem === undefined)) {
        context.addIssue({ code: 'custom', message: 'needs exactly one of s3 and filesystem' });
      }
      if (typeof value.name === 'string' && value.name.includes('*') && value.path_prefix !== undefined) {
        const message = 'must be left out where name is a pattern: the first path segment is the bucket';
        context.addIssue({ code: 'custom', path: ['path_prefix'], message });
      }
    },
    { when: isMapping },
  );

const routedBucket = z.looseObject({ name: bucketName, path_prefix: pathPrefix.optional() });

/** Where a bucket is served; undefined for a name pattern. */
export function findEffectivePrefix(entry: { name: string; path_prefix?: string | undefined }): string | undefined {
  return entry.path_prefix ?? (entry.name.includes('*') ? undefined : `/${entry.name}`);
}

/** Where an entry's buckets are, and who asks for them. */
function storageOf(entry: z.output<typeof bucket> | undefined): string {
  const { s3: service, filesystem } = entry ?? {};
  return JSON.stringify([filesystem?.root, service?.endpoint, service?.region, service?.access_key]);
}

const buckets = z
  .array(bucket)
  .min(1)
  .superRefine(
    (entries, context) => {
      const seen = new Map<string, number>();
      const named = new Map<string, number>();
      for (const [index, entry] of entries.entries()) {
        const routed = routedBucket.safeParse(entry);
        if (!routed.success) continue;
        const { name } = routed.data;
        const namesake = named.get(name) ?? index;
        named.set(name, namesake);
        // By its name an upload that was left open is found again, to be aborted.
        if (storageOf(entry) !== storageOf(entries[namesake])) {
          const message = `buckets[${namesake}] has this name, and another storage`;
          context.addIssue({ code: 'custom', path: [index, 'name'], message });
        }
        const route = findEffectivePrefix(routed.data) ?? routed.data.name;
        const earlier = seen.get(route);
        if (earlier === undefined) seen.set(route, index);
        else {
          const key = entry.path_prefix === undefined ? 'name' : 'path_prefix';
          context.addIssue({
            code: 'custom',
            path: [index, key],
            message: `buckets[${earlier}] is served there already`,
          });
        }
      }
    },
    { when: ({ value }) => Array.isArray(value) },
  );

const redis = z.strictObject({
  url: textWithout((url) =>
    /^rediss?:\/\/[^\s]+$/.test(url) && URL.canParse(url) ? undefined : 'must be a redis:// or rediss:// URL',
  ),
});

export const configSchema = z
  .strictObject({
    server: server.prefault({}),
    redis: redis.optional(),
    ui: z.strictObject({ enabled: flag().prefault(false) }).prefault({}),
    buckets,
    metrics: metrics.prefault({}),
    tracing: tracing.prefault({}),
    logging: logging.prefault({}),
  })
  .superRefine(
    ({ server: { workers }, redis: shared, buckets: entries }, context) => {
      if (workers === 1 || shared !== undefined) return;
      for (const [index, { auth: credentials }] of entries.entries()) {
        if (credentials?.sigv4?.reject_replays !== true) continue;
        const message = 'needs redis.url where there are several workers: each would accept a signature once';
        context.addIssue({ code: 'custom', path: ['buckets', index, 'auth', 'sigv4', 'reject_replays'], message });
      }
    },
    holds(
      z.looseObject({
        server: z.looseObject({ workers: z.unknown() }),
        buckets: z.array(z.looseObject({ auth: z.looseObject({ sigv4: z.looseObject({}).optional() }) })),
      }),
    ),
  );

/** What may stand in the file, after its variables are replaced. */
export type ConfigInput = z.input<typeof configSchema>;
/** The same, checked and with every default in place: sizes in bytes, times still as in the file. */
export type ParsedConfig = z.output<typeof configSchema>;
