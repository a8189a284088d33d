// What is refused, all at once, each with its place in the file; auth, authz and upload have files of their own.
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { bucketWith, faultsOf, jwt, pathsOf } from './faults-of.ts';

const sound = bucketWith(`s3: {}, auth: { ${jwt} }`);
const two = (first: string, second: string) =>
  faultsOf(`buckets:\n  - { ${first}, s3: {}, auth: { ${jwt} } }\n  - { ${second}, s3: {}, auth: { ${jwt} } }`);
const withKeys = (keys: string) => pathsOf(bucketWith(`s3: { ${keys} }, auth: { ${jwt} }`));

test('every fault is told at once, with its path and line', () => {
  const faults = faultsOf(`server:
  address: nowhere
  color: red
  limits:
    memory_budget: 8MiB
buckets:
  - name: uploads
    s3: { bucket: "\${BUCKET}", access_key: a }
    filesystem: { root: ./data }
    auth:
      jwt:
        secret: short
    upload:
      part_size: 1MiB
      retry: { base_delay_ms: 10, max_delay_ms: 5, max_attempts: many }
  - name: other
    path_prefix: /uploads
    auth: { enabled: true }
logging:
  level:
`);
  expect(faults).toEqual([
    { path: 'server.address', line: 2, message: 'must be host:port, an IPv6 host in brackets' },
    { path: 'server.color', line: 3, message: 'unknown key' },
    { path: 'server.limits.memory_budget', line: 5, message: 'must be from 16MiB to 1TiB' },
    { path: 'buckets[0]', line: 7, message: 'needs exactly one of s3 and filesystem' },
    { path: 'buckets[0].s3.bucket', line: 8, message: '${BUCKET} is not set in the environment' },
    {
      path: 'buckets[0].s3.secret_key',
      line: 8,
      message: 'is required beside the other credentials; leave all out for the AWS default credential chain',
    },
    { path: 'buckets[0].auth.jwt.secret', line: 12, message: 'must have at least 32 bytes' },
    { path: 'buckets[0].upload.part_size', line: 14, message: 'must be from 5MiB to 5GiB' },
    { path: 'buckets[0].upload.retry.max_attempts', line: 15, message: 'must be a number' },
    { path: 'buckets[0].upload.retry.base_delay_ms', line: 15, message: 'must not be more than max_delay_ms' },
    { path: 'buckets[1]', line: 16, message: 'needs exactly one of s3 and filesystem' },
    { path: 'buckets[1].path_prefix', line: 17, message: 'buckets[0] is served there already' },
    {
      path: 'buckets[1].auth',
      line: 18,
      message: 'has neither jwt nor sigv4: nobody could upload (or set enabled: false)',
    },
    { path: 'logging.level', line: 20, message: expect.stringContaining('must be trace or debug or info') },
  ]);
});

test('the message lists the faults, and holds no configured value', () => {
  const text = bucketWith(
    's3: { secret_key: TopSecretKey, endpoint: "http://user:TopSecret@host" }, auth: { jwt: { secret: TopSecret } }',
  );
  const load = () => loadConfig({ path: '/etc/mizuchi.yaml', text, env: {} });
  expect(load).toThrow(/^\/etc\/mizuchi\.yaml: 3 faults\n {2}line 1: buckets\[0\]\.s3/);
  expect(load).not.toThrow('TopSecret');
});

describe('unknown keys', () => {
  test('are told with their place', () => {
    expect(faultsOf(`server: { redis: {} }\n${sound}`)).toMatchObject([
      { path: 'server.redis', message: 'unknown key' },
    ]);
    expect(faultsOf(`constructor: {}\n"a b": 1\n${sound}`)).toMatchObject([
      { path: 'constructor', line: 1, message: 'unknown key' },
      { path: '["a b"]', line: 2, message: 'unknown key' },
    ]);
    expect(faultsOf(`__proto__: { x: 1 }\n${sound}`)).toMatchObject([{ path: '__proto__', message: 'unknown key' }]);
  });
});

describe('prefixes', () => {
  test.each([
    ['uploads', 'must begin with /'],
    ['/', 'must not end with /'],
    ['/a/', 'must not end with /'],
    ['/a//b', 'must not hold //'],
    ['/a/../b', 'must not hold . or .. as a segment'],
    ['/.', 'must not hold . or .. as a segment'],
    ['/a%2Fb', 'may hold letters, digits, and - . _ ~ between slashes only'],
    ['/ä', 'may hold letters, digits, and - . _ ~ between slashes only'],
    ['/a?b', 'may hold letters, digits, and - . _ ~ between slashes only'],
  ])('%s', (prefix, message) => {
    const text = bucketWith(`path_prefix: "${prefix}", s3: {}, auth: { ${jwt} }`);
    expect(faultsOf(text)).toMatchObject([{ path: 'buckets[0].path_prefix', message }]);
  });

  test('/.well-known and /a.b are prefixes', () => {
    expect(faultsOf(bucketWith(`path_prefix: /.well-known/a.b, s3: {}, auth: { ${jwt} }`))).toEqual([]);
  });

  test('no two buckets are served in one place', () => {
    const fault = { line: 3, message: 'buckets[0] is served there already' };
    expect(two('name: aaa', 'name: bbb')).toEqual([]);
    expect(two('name: aaa, path_prefix: /x', 'name: aaa')).toEqual([]);
    expect(two('name: aaa, path_prefix: /x', 'name: bbb, path_prefix: /x/y')).toEqual([]);
    expect(two('name: aaa', 'name: bbb, path_prefix: /aaa')).toEqual([{ ...fault, path: 'buckets[1].path_prefix' }]);
    expect(two('name: aaa, path_prefix: /bbb', 'name: bbb')).toEqual([{ ...fault, path: 'buckets[1].name' }]);
    expect(two('name: "a-*"', 'name: "a-*"')).toEqual([{ ...fault, path: 'buckets[1].name' }]);
  });

  test('buckets of one name have one storage', () => {
    const named = (storages: readonly string[]) =>
      faultsOf(
        `buckets:\n${storages.map((storage, i) => `  - { name: aaa, path_prefix: /${i}, ${storage}, auth: { ${jwt} } }\n`).join('')}`,
      );
    expect(named(['s3: { bucket: one-a }', 's3: { bucket: two-b }', 's3: { region: us-east-1 }'])).toEqual([]);
    expect(named(['filesystem: { root: ./a }', 'filesystem: { root: ./a }'])).toEqual([]);
    const fault = { path: 'buckets[1].name', line: 3, message: 'buckets[0] has this name, and another storage' };
    for (const other of ['s3: { endpoint: "http://host" }', 's3: { region: eu-west-1 }', 'filesystem: { root: ./a }'])
      expect(named(['s3: {}', other])).toEqual([fault]);
    expect(named(['filesystem: { root: ./a }', 'filesystem: { root: ./b }'])).toEqual([fault]);
    expect(named(['s3: { access_key: one-key, secret_key: s }', 's3: { access_key: two-key, secret_key: s }'])).toEqual(
      [fault],
    );
  });

  test('a pattern has none', () => {
    const text = `buckets: [{ name: "a-*", path_prefix: /a, s3: {}, auth: { ${jwt} } }]`;
    expect(pathsOf(text)).toEqual(['buckets[0].path_prefix']);
  });
});

describe('storage', () => {
  test.each([
    'localhost:9000',
    'ftp://host',
    'http://',
    'http://host/path',
    'http://host/?a',
    'http://host#a',
    'http://user:pass@host',
    'http://host:99999',
    'http://ho st',
    String.raw`http://host\\path`,
  ])('endpoint %s', (endpoint) => {
    const text = bucketWith(`s3: { endpoint: "${endpoint}" }, auth: { ${jwt} }`);
    expect(faultsOf(text)).toMatchObject([
      {
        path: 'buckets[0].s3.endpoint',
        message: 'must be http:// or https:// with a host, perhaps a port, and nothing else',
      },
    ]);
  });

  test('credentials come together', () => {
    expect(withKeys('access_key: a, secret_key: b')).toEqual([]);
    expect(withKeys('access_key: a')).toEqual(['buckets[0].s3.secret_key']);
    expect(withKeys('secret_key: a')).toEqual(['buckets[0].s3.access_key']);
    expect(withKeys('session_token: a')).toEqual(['buckets[0].s3.access_key']);
    expect(withKeys('access_key: "", secret_key: b')).toEqual(['buckets[0].s3.access_key']);
  });

  test('a bucket has one kind of storage, and names that S3 knows', () => {
    expect(pathsOf(bucketWith(`auth: { ${jwt} }`))).toEqual(['buckets[0]']);
    expect(pathsOf(bucketWith(`filesystem: {}, auth: { ${jwt} }`))).toEqual(['buckets[0].filesystem.root']);
    expect(pathsOf(bucketWith(`s3: { bucket: A_B, region: "a.b/" }, auth: { ${jwt} }`))).toEqual([
      'buckets[0].s3.bucket',
      'buckets[0].s3.region',
    ]);
    expect(pathsOf(`buckets: [{ name: Uploads, s3: {}, auth: { ${jwt} } }]`)).toEqual(['buckets[0].name']);
  });
});

describe('cors', () => {
  test.each([
    ['allowed_origins: ["*"]', []],
    ['allowed_origins: [https://a.example], allow_credentials: true', []],
    ['', ['buckets[0].cors.allowed_origins']],
    ['allowed_origins: []', ['buckets[0].cors.allowed_origins']],
    ['allowed_origins: [https://a.example/path]', ['buckets[0].cors.allowed_origins[0]']],
    ['allowed_origins: ["*"], allow_credentials: true', ['buckets[0].cors.allow_credentials']],
    ['allowed_origins: ["null"], allow_credentials: true', ['buckets[0].cors.allow_credentials']],
    ['allowed_origins: ["*"], allowed_headers: ["a b"]', ['buckets[0].cors.allowed_headers[0]']],
    ['allowed_origins: ["*"], allowed_headers: ["x-*-*"]', ['buckets[0].cors.allowed_headers[0]']],
  ])('{ %s }', (settings, paths) => {
    expect(pathsOf(bucketWith(`s3: {}, auth: { ${jwt} }, cors: { ${settings} }`))).toEqual(paths);
  });
});

test.each([
  ['server: { workers: 0 }', 'server.workers', 'must be at least 1'],
  ['server: { workers: all }', 'server.workers', 'must be a whole number from 1 to 1024, or auto'],
  ['server: { limits: { max_connections: 1.5 } }', 'server.limits.max_connections', 'must be a whole number'],
  ['server: { limits: { max_connections: 0 } }', 'server.limits.max_connections', 'must be at least 1'],
  ['server: { limits: { idle_timeout_seconds: 0 } }', 'server.limits.idle_timeout_seconds', 'must be at least 0.1'],
  ['server: { limits: { queue_timeout_seconds: -1 } }', 'server.limits.queue_timeout_seconds', 'must be at least 0'],
  [
    'server: { limits: { upload_timeout_seconds: 1e9 } }',
    'server.limits.upload_timeout_seconds',
    'must be at most 604800',
  ],
  ['server: { limits: { max_header_bytes: 2MiB } }', 'server.limits.max_header_bytes', 'must be from 1KiB to 1MiB'],
  [
    'server: { limits: { memory_budget: 16M } }',
    'server.limits.memory_budget',
    expect.stringContaining('must be a size'),
  ],
  ['server: { limits: }', 'server.limits', 'is empty; it must be a mapping'],
  ['server: { tls: { cert_file: a } }', 'server.tls.key_file', 'is required'],
  ['server: { state_dir: "" }', 'server.state_dir', 'must not be empty'],
  ['server: { shutdown: { drain_seconds: soon } }', 'server.shutdown.drain_seconds', 'must be a number'],
  ['server: { trusted_proxies: [nowhere] }', 'server.trusted_proxies[0]', expect.anything()],
  ['redis: { url: "http://redis" }', 'redis.url', 'must be a redis:// or rediss:// URL'],
  ['redis: {}', 'redis.url', 'is required'],
  ['logging: { format: xml }', 'logging.format', 'must be json or pretty'],
])('%s', (text, path, message) => {
  expect(faultsOf(`${text}\n${sound}`)).toEqual([{ path, line: 1, message }]);
});

describe('YAML', () => {
  test.each([
    ['', undefined, '', 'must be a mapping'],
    ['- a', 1, '', 'must be a mapping'],
    ['server: {}\nserver: {}', 2, '', 'not valid YAML: a key stands twice in one mapping'],
    ['a: 1\nb: [1, 2', 2, '', 'not valid YAML: the indentation is wrong, or a bracket or brace is not closed'],
    ['a: 1\n\tb: 2', 2, '', 'not valid YAML: tabs must not be used to indent'],
    ['a: 1\n---\nb: 2', 2, '', 'not valid YAML: there must be one document only'],
    ['a: *b', 1, '', 'not valid YAML: an alias refers to nothing'],
    ['a: 1\nb: !!binary aGk=', 2, '', 'not valid YAML: a tag (!…) is not known'],
    ['a: !secret x', 1, '', 'not valid YAML: a tag (!…) is not known'],
    ['? [a]\n: b', 1, '', 'not valid YAML: a key must be text'],
    ['a: "b', 1, '', 'not valid YAML: something is not closed: a quote, bracket or brace'],
  ])('%j', (text, line, path, message) => {
    expect(faultsOf(text)[0]).toEqual({
      path,
      ...(line !== undefined && { line }),
      message: expect.stringContaining(message),
    });
  });

  test('a %YAML 1.1 directive does not turn words into flags', () => {
    const [fault] = faultsOf(
      `%YAML 1.1\n---\n${bucketWith('s3: { force_path_style: yes }, auth: { enabled: false }')}`,
    );
    expect(fault).toMatchObject({ path: 'buckets[0].s3.force_path_style', message: 'must be true or false' });
  });

  test('aliases cannot be piled up', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`);
    expect(faultsOf(`a0: &a0 x\n${levels.join('\n')}`)).toMatchObject([
      { path: '', message: 'aliases stand for more than 100 values' },
    ]);
  });

  test('an alias of itself, and great depth, are faults', () => {
    expect(faultsOf(`buckets: &b [*b]`)).toContainEqual({
      path: 'buckets[0]',
      line: 1,
      message: 'an alias must not refer to itself',
    });
    expect(faultsOf(`a: ${'['.repeat(100)}${']'.repeat(100)}`)[0]?.message).toBe('nested too deeply');
    expect(faultsOf('['.repeat(100_000))).not.toHaveLength(0);
  });

  test('a file that cannot be a configuration is not parsed', () => {
    expect(faultsOf(`# ${'x'.repeat(1024 * 1024)}`)).toEqual([{ path: '', message: 'the file is larger than 1 MiB' }]);
  });
});
