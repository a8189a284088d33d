// OpenTelemetry's environment variables fill up what the configuration leaves open, and nothing else.
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { printConfig } from '../../../src/config/print-config.ts';

const bucket =
  'buckets: [{ name: uploads, path_prefix: /uploads, filesystem: { root: ./data }, auth: { enabled: false } }]';
const load = (tracing: string, env: Readonly<Record<string, string>>) =>
  loadConfig({ path: 'config.yaml', text: `${bucket}\n${tracing}`, env });
const on = 'tracing: { enabled: true }';
const ignored = ({ notices }: { readonly notices: readonly string[] }): string[] =>
  notices.filter((notice) => notice.includes('OTEL_'));

describe('whether it is on', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317' };
  test.each([
    ['nothing said anywhere', '', {}, false],
    ['a collector in the environment', '', endpoint, true],
    ['one for traces', '', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4317' }, true],
    ['an exporter in the environment', '', { OTEL_TRACES_EXPORTER: 'otlp' }, true],
    ['no exporter for traces', '', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' }, false],
    ['the SDK is disabled', '', { ...endpoint, OTEL_SDK_DISABLED: 'True' }, false],
    ['the configuration says no', 'tracing: { enabled: false }', endpoint, false],
    ['the configuration says yes', on, { OTEL_SDK_DISABLED: 'true' }, true],
    ['a tracing block that does not say', 'tracing: { service_name: a }', endpoint, true],
  ])('%s', (_, tracing, env, isOn) => {
    expect(load(tracing, env).tracing !== undefined).toBe(isOn);
  });
});

test.each([
  [{ OTEL_PROPAGATORS: 'b3' }, ['OTEL_PROPAGATORS has no effect']],
  [{ OTEL_PROPAGATORS: 'tracecontext, baggage' }, []],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, ['OTEL_TRACES_EXPORTER has no effect']],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, []],
  [{ OTEL_TRACES_SAMPLER_ARG: '0.5' }, ['OTEL_TRACES_SAMPLER_ARG has no effect']],
  [{ OTEL_TRACES_SAMPLER: 'always_on', OTEL_TRACES_SAMPLER_ARG: '0.5' }, ['OTEL_TRACES_SAMPLER_ARG has no effect']],
])('what is set and not used is told: %j', (env, told) => {
  expect(ignored(load(on, env)).map((notice) => told.find((text) => notice.includes(text)))).toEqual(told);
});

describe('an endpoint that cannot be', () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://user:pw@collector:4317',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
  };

  test('switches nothing on', () => {
    const loaded = load('', env);
    expect(loaded.tracing).toBeUndefined();
    expect(ignored(loaded)).toHaveLength(2);
  });

  test('has its fields go nowhere else', () => {
    const loaded = load(on, env);
    expect(loaded.tracing?.otlp).toMatchObject({ endpoint: 'http://localhost:4317', headers: {} });
    expect(ignored(loaded).join()).not.toContain('secret');
  });
});

test('everything that it can say', () => {
  const { tracing, notices } = load(on, {
    OTEL_SERVICE_NAME: 'uploads',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=a%20b, team = c ',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/base/',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20abc,x-tenant=1',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
    OTEL_EXPORTER_OTLP_CERTIFICATE: './collector.pem',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
    OTEL_BSP_SCHEDULE_DELAY: '1000',
    OTEL_BSP_MAX_QUEUE_SIZE: '4096',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '128',
  });
  expect(tracing).toEqual({
    serviceName: 'uploads',
    resourceAttributes: { 'deployment.environment.name': 'a b', team: 'c' },
    otlp: {
      endpoint: 'https://collector:4318/base/v1/traces',
      protocol: 'http/protobuf',
      timeoutMs: 2500,
      compression: 'none',
      caFile: './collector.pem',
      headers: { authorization: 'Basic abc', 'x-tenant': '1' },
    },
    sampling: { strategy: 'ratio', ratio: 0.25 },
    batch: { maxQueueSize: 4096, scheduledDelayMs: 1000, maxExportBatchSize: 128 },
    includeKeys: false,
    includeSubject: false,
  });
  expect(ignored({ notices })).toEqual([]);
});

test('what is said for traces wins, and its endpoint is taken as it is', () => {
  const { tracing } = load(on, {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4318',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:4318/mine',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'b=2',
  });
  expect(tracing?.otlp).toMatchObject({
    endpoint: 'http://traces:4318/mine',
    protocol: 'http/protobuf',
    headers: { b: '2' },
  });
});

test('over gRPC, the endpoint for all signals is taken as it is', () => {
  const { tracing } = load(on, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4317' });
  expect(tracing?.otlp).toMatchObject({ endpoint: 'http://all:4317', protocol: 'grpc' });
});

test('what the configuration says stays', () => {
  const text = `tracing:
  enabled: true
  service_name: mine
  resource_attributes: { team: mine }
  otlp: { endpoint: 'http://mine:4317', headers: { a: mine } }
  sampling: { strategy: always }
  batch: { max_queue_size: 100 }`;
  const { tracing } = load(text, {
    OTEL_SERVICE_NAME: 'other',
    OTEL_RESOURCE_ATTRIBUTES: 'team=other,zone=1',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other:4317',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=other,token=other',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.5',
    OTEL_BSP_MAX_QUEUE_SIZE: '200',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50',
  });
  expect(tracing).toMatchObject({
    serviceName: 'mine',
    resourceAttributes: { team: 'mine', zone: '1' },
    otlp: { endpoint: 'http://mine:4317', headers: { a: 'mine' } },
    sampling: { strategy: 'always', ratio: 1 },
    batch: { maxQueueSize: 100, maxExportBatchSize: 50 },
  });
  expect(tracing?.otlp.headers).not.toHaveProperty('token');
});

test.each([
  ['always_on', undefined, 'always', 1],
  ['always_off', undefined, 'never', 1],
  ['traceidratio', undefined, 'ratio', 1],
  ['traceidratio', '0.1', 'ratio', 0.1],
  ['parentbased_always_on', '0.1', 'parent_based', 1],
  ['parentbased_always_off', '0.1', 'parent_based', 0],
  ['parentbased_traceidratio', '0.1', 'parent_based', 0.1],
])('the sampler %s with %s', (sampler, argument, strategy, ratio) => {
  const env = { OTEL_TRACES_SAMPLER: sampler, ...(argument !== undefined && { OTEL_TRACES_SAMPLER_ARG: argument }) };
  expect(load(on, env).tracing?.sampling).toEqual({ strategy, ratio });
});

test.each([
  ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
  ['OTEL_TRACES_SAMPLER', 'constructor'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:password@collector'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', 'soon'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '-1'],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'password'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%zz'],
  ['OTEL_RESOURCE_ATTRIBUTES', 'a=1,b'],
  ['OTEL_BSP_MAX_QUEUE_SIZE', 'many'],
  ['OTEL_BSP_SCHEDULE_DELAY', '-5'],
])('%s=%s is told and ignored', (variable, value) => {
  const config = load(on, { [variable]: value });
  expect(config.tracing).toEqual(load(on, {}).tracing);
  const notices = ignored(config);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toMatch(new RegExp(`^${variable} is ignored: must `, 'u'));
  expect(notices[0]).not.toContain('password');
});

test.each([
  'OTEL_EXPORTER_OTLP_CLIENT_KEY',
  'OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE',
  'OTEL_EXPORTER_OTLP_INSECURE',
  'OTEL_BSP_EXPORT_TIMEOUT',
  'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
])('%s has no effect, which is told where spans are exported', (variable) => {
  expect(ignored(load(on, { [variable]: 'password' }))).toEqual([`${variable} has no effect`]);
  expect(ignored(load(on, { [variable]: ' ' }))).toEqual([]);
  expect(ignored(load('', { [variable]: 'password' }))).toEqual([]);
});

test('what is for other signals, for other parts or for others is not told', () => {
  const env = {
    OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: 'a',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://a',
    OTEL_PROPAGATORS: 'tracecontext,baggage',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '100',
  };
  expect(ignored(load(on, env))).toEqual([]);
});

test('an argument that is no ratio is as good as none', () => {
  const config = load(on, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' });
  expect(config.tracing?.sampling).toEqual({ strategy: 'ratio', ratio: 1 });
  expect(ignored(config)).toHaveLength(1);
});

test('empty values count as unset', () => {
  const variables = [
    'OTEL_SERVICE_NAME',
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'OTEL_TRACES_SAMPLER',
    'OTEL_BSP_SCHEDULE_DELAY',
  ];
  const config = load(on, Object.fromEntries(variables.map((variable) => [variable, ' '])));
  expect(config.tracing).toEqual(load(on, {}).tracing);
  expect(ignored(config)).toEqual([]);
});

test('the effective configuration shows what they have done, and no secret', () => {
  const printed = printConfig(
    load('', {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317',
      OTEL_EXPORTER_OTLP_HEADERS: 'token=secret-value',
    }),
  );
  expect(printed).toContain('endpoint: http://collector:4317');
  expect(printed).toContain('token: (hidden)');
  expect(printed).not.toContain('secret-value');
});
