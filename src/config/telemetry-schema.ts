// What is told of the proxy's work, and to whom: metrics, traces, logs.
import { z } from 'zod';
import { flag, integer, seconds, text, textWithout } from './scalars.ts';

export const metrics = z.strictObject({
  enabled: flag().prefault(true),
  address: text().prefault('127.0.0.1'),
  port: integer(0, 65_535).prefault(9090),
});

function findCollectorFault(value: string): string | undefined {
  const fault = 'must be an http:// or https:// URL without a user, query or fragment';
  if (!/^https?:\/\/[^\s/?#@\\]+(?:\/[^\s?#\\]*)?$/i.test(value)) return fault;
  return URL.canParse(value) ? undefined : fault;
}

const ratio = () =>
  z.preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.number().min(0).max(1));

// Token characters of a field name (RFC 9110, section 5.1); gRPC wants them in lower case.
const fieldName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'must be a header name' });
const fieldValue = z.string().regex(/^[\t\x20-\x7e]*$/, { error: 'must be printable ASCII' });

export const tracing = z.strictObject({
  enabled: flag().prefault(false),
  service_name: text().prefault('mizuchi-uploadr'),
  resource_attributes: z.record(text(), z.string()).prefault({}),
  otlp: z
    .strictObject({
      endpoint: textWithout(findCollectorFault).optional(),
      protocol: z.enum(['grpc', 'http/protobuf']).prefault('grpc'),
      timeout_seconds: seconds(0.1).prefault(10),
      compression: z.enum(['gzip', 'none']).prefault('gzip'),
      ca_file: text().optional(),
      headers: z.record(fieldName, fieldValue).prefault({}),
    })
    .prefault({}),
  sampling: z
    .strictObject({
      strategy: z.enum(['always', 'never', 'ratio', 'parent_based']).prefault('parent_based'),
      ratio: ratio().prefault(1),
    })
    .prefault({}),
  batch: z
    .strictObject({
      max_queue_size: integer(1, 1_000_000).prefault(2048),
      scheduled_delay_millis: integer(1, 3_600_000).prefault(5000),
      max_export_batch_size: integer(1, 1_000_000).prefault(512),
    })
    .prefault({}),
  include_keys: flag().prefault(false),
  include_subject: flag().prefault(false),
});

const privacy = (usual: 'plain' | 'hashed') => z.enum(['plain', 'hashed', 'off']).prefault(usual);

export const logging = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).prefault('info'),
  format: z.enum(['json', 'pretty']).optional(),
  keys: privacy('plain'),
  subjects: privacy('hashed'),
  slow_upload_seconds: seconds(0).prefault(60),
  audit: z
    .strictObject({
      enabled: flag().prefault(false),
      destination: text().prefault('stdout'),
    })
    .prefault({}),
});
