// What is refused, all at once, each with its place in the file.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ConfigError, type ConfigFault } from '../../../src/config/config-error.ts';
import { loadConfig } from '../../../src/config/load-config.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';

function faultsOf(text: string): readonly ConfigFault[] {
  try {
    loadConfig({ path: 'config.yaml', text, env: { JWT_SECRET: secret } });
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

const pathsOf = (text: string) => faultsOf(text).map(({ path }) => path);
const jwt = `jwt: { secret: ${secret} }`;
const bucketWith = (settings: string) => `buckets: [{ name: uploads, ${settings} }]`;
const sound = bucketWith(`s3: {}, auth: { ${jwt} }`);
const jwtFaults = (settings: string) =>
  faultsOf(bucketWith(`s3: {}, auth: { jwt: { ${settings} } }`)).map(({ path, message }) => [
    path.replace('buckets[0].auth.jwt', ''),
    message,
  ]);
const sigV4Faults = (settings: string) =>
  faultsOf(bucketWith(`s3: {}, auth: { sigv4: { ${settings} } }`)).map(({ path, message }) => [
    path.replace('buckets[0].auth.sigv4', ''),
    message,
  ]);
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

describe('policy engines', () => {
  const authzFaults = (settings: string) =>
    faultsOf(bucketWith(`s3: {}, auth: { ${jwt} }, authz: { ${settings} }`)).map(({ path, message }) => [
      path.replace('buckets[0].authz', ''),
      message,
    ]);
  const opa = (settings: string) => `opa: { url: "http://127.0.0.1:8181", ${settings} }`;
  const id = '01HXXXXXXXXXXXXXXXXXXXXXXX';
  const openfga = (settings: string) => `openfga: { url: "http://127.0.0.1:8080", store_id: ${id}, ${settings} }`;

  test.each([
    'enabled: false',
    opa('timeout_seconds: 0.5, cache_ttl_seconds: 0, cache_max_entries: 1, token: abc, ca_file: ca.pem'),
    'opa: { url: "https://opa.example.com/some/path/" }',
    'opa: { url: "http://[::1]:8181" }',
    ...['/v1/data/a/b', 'v1/data/a', 'a/b', '/a/b/', 'a%2Fb/c-d.e_f', '/v1x'].map((path) =>
      opa(`policy_path: ${path}`),
    ),
    openfga(`model_id: ${id}, api_token: abc, consistency: higher_consistency`),
    openfga('client_credentials: { issuer: i, audience: a, client_id: c, client_secret: s }'),
    openfga('user: "user:{tenant.id}/{sub}", relation: [writer, member], object: ["bucket:{bucket}", "file:{key}"]'),
    openfga('relation: { upload: [writer, "can_{role}"], abort: admin, list_parts: admin }'),
    openfga('user: { upload: "user:{sub}", abort: "app:{azp}", list_parts: "group:{team}#{role}" }'),
    openfga('object: "folder:{bucket}/{tenant}/{key.ancestors}"'),
    openfga('contextual_tuples: [{ user: "user:{sub}", relation: member, object: "group:{groups}" }]'),
    openfga('contextual_tuples: [{ user: "folder:{key.ancestors}", relation: parent, object: "file:{key}" }]'),
    openfga('ca_file: ca.pem'),
    `${opa('')}, ${openfga('')}, fail_mode: open`,
  ])('%s', (settings) => {
    expect(authzFaults(settings)).toEqual([]);
  });

  test.each([
    ['', '', 'has neither opa nor openfga: there is nobody to ask (or set enabled: false)'],
    ['enabled: true', '', 'has neither opa nor openfga: there is nobody to ask (or set enabled: false)'],
    ['opa: {}', '.opa.url', 'is required'],
    ...['opa:8181', 'ftp://a', 'http://', 'http://a:b@c', 'http://a?b', 'http://a#b', 'http://a b'].map((url) => [
      `opa: { url: "${url}" }`,
      '.opa.url',
      'must be http:// or https:// with a host',
    ]),
    ['enabled: false, opa: { url: x }', '.opa.url', 'must be http:// or https:// with a host'],
    ...['a//b', 'a?b', 'a b', 'a#b'].map((path) => [
      opa(`policy_path: "${path}"`),
      '.opa.policy_path',
      'must be names',
    ]),
    ...['a/../b', './a'].map((path) => [opa(`policy_path: ${path}`), '.opa.policy_path', 'must not hold . or ..']),
    ...['/', 'v1', '/v1/data', '/v1/data/'].map((path) => [
      opa(`policy_path: ${path}`),
      '.opa.policy_path',
      'must name a rule',
    ]),
    [opa('token: "a b"'), '.opa.token', 'must be printable US-ASCII'],
    [opa('token: "a\\nb: c"'), '.opa.token', 'must be printable US-ASCII'],
    [opa('timeout_seconds: 0'), '.opa.timeout_seconds', 'must be at least 0.05'],
    [opa('cache_max_entries: 0'), '.opa.cache_max_entries', 'must be at least 1'],
    [opa('color: red'), '.opa.color', 'unknown key'],
    [`fail_mode: ajar, ${opa('')}`, '.fail_mode', 'must be closed or open'],
    ['openfga: { url: "http://a" }', '.openfga.store_id', 'is required'],
    ['openfga: { url: "http://a", store_id: x }', '.openfga.store_id', 'must be an id of 26 digits and letters'],
    [openfga('model_id: x'), '.openfga.model_id', 'must be an id of 26 digits and letters'],
    [openfga('model_id: 01hxxxxxxxxxxxxxxxxxxxxxxx'), '.openfga.model_id', 'must have its letters in upper case'],
    [openfga('model_id: 01HXXXXXXXXXXXXXXXXXXXXXXU'), '.openfga.model_id', 'must be an id of 26 digits and letters'],
    [openfga('ca_file: ""'), '.openfga.ca_file', 'must'],
    [
      openfga('api_token: a, client_credentials: { issuer: i, audience: a, client_id: c, client_secret: s }'),
      '.openfga.api_token',
      'or client_credentials, not both',
    ],
    [
      openfga('client_credentials: { issuer: i, audience: a, client_id: c }'),
      '.openfga.client_credentials.client_secret',
      'is required',
    ],
    [openfga('user: "{sub}"'), '.openfga.user', 'must be type:id'],
    [openfga('user: [a, b]'), '.openfga.user', 'must be text, or a mapping of upload, abort and list_parts'],
    [openfga('user: "folder:{key.ancestors}"'), '.openfga.user', 'must not hold {key.ancestors}'],
    [openfga('user: "a:{sub}/{key.ancestors}"'), '.openfga.user', 'must not hold {key.ancestors}'],
    ...['user: "user:{a}-{b}"', 'object: "x:{a}{b}"', 'object: "x:{a}-{key}"', 'relation: "{a}_{b}"'].map((setting) => [
      openfga(setting),
      `.openfga.${setting.split(':')[0]}`,
      'must have a / between two names',
    ]),
    ...['user: { upload: "a:b", abort: "a:b" }', 'relation: { upload: writer }', 'object: {}'].map((setting) => [
      openfga(setting),
      `.openfga.${setting.split(':')[0]}`,
      'each of them',
    ]),
    [openfga('relation: "{key.ancestors}"'), '.openfga.relation', 'must not hold {key.ancestors}'],
    [
      openfga('user: { upload: "a:b", abort: "{x", list_parts: "a:b" }'),
      '.openfga.user.abort',
      'must have its braces in pairs',
    ],
    [openfga('relation: { upload: a, abort: a, list_parts: a, delete: a }'), '.openfga.relation.delete', 'unknown key'],
    [openfga('relation: []'), '.openfga.relation', 'must have at least 1'],
    [openfga('relation: 1'), '.openfga.relation', 'must be text, a list of texts, or a mapping'],
    [openfga('relation: [writer, "a b"]'), '.openfga.relation[1]', 'must be the name of a relation'],
    [
      openfga('object: { upload: ["bucket:a", "{bucket}"], abort: "a:b", list_parts: "a:b" }'),
      '.openfga.object.upload[1]',
      'must be type:id',
    ],
    [
      openfga('contextual_tuples: [{ user: "a:b", relation: c }]'),
      '.openfga.contextual_tuples[0].object',
      'is required',
    ],
    [
      openfga('contextual_tuples: [{ user: "a:b", relation: c, object: d }]'),
      '.openfga.contextual_tuples[0].object',
      'must be type:id',
    ],
    [
      openfga('consistency: MINIMIZE_LATENCY'),
      '.openfga.consistency',
      'must be minimize_latency or higher_consistency',
    ],
  ])('%s is refused', (settings, path, message) => {
    expect(authzFaults(settings ?? '')).toEqual([[path, expect.stringContaining(message ?? '')]]);
  });
});

describe('what a bucket asks of uploads', () => {
  const uploadFaults = (settings: string) =>
    faultsOf(bucketWith(`s3: {}, auth: { ${jwt} }, upload: { ${settings} }`)).map(({ path, message }) => [
      path.replace('buckets[0].upload.', ''),
      message,
    ]);

  test.each([
    'min_object_size: 5TiB',
    'allowed_content_types: ["*/*", image/*, application/vnd.x+json]',
    'key_prefix: "", key_pattern: "", key_template: ""',
    'key_prefix: in-',
    'key_prefix: "{sub}/{https://example.com/org}.d/x/"',
    'key_template: "{yyyy}{mm}-{sub}{uuid}{ext}"',
    'key_template: "{sub}/{tenant.id}/{uuid}"',
    'required_metadata: [Album]',
    'refused_headers: [X-Amz-Object-Lock-*, x-amz-meta-*, x-amz-meta-a, content-type, x-amz-tagging, x-amz-s*, "*"]',
    'forced_headers: { Content-Type: a/b, x-amz-meta-a: "{a}{b}", x-amz-server-side-encryption: AES256 }',
    'forced_headers: { x-amz-object-lock-mode: GOVERNANCE, x-amz-server-side-encryption-aws-kms-key-id: a }',
  ])('%s', (settings) => {
    expect(uploadFaults(settings)).toEqual([]);
  });

  test.each([
    ['min_object_size: 2, max_object_size: 1', 'min_object_size', 'must not be more than max_object_size'],
    ['min_object_size: -1', 'min_object_size', 'must be at least 0'],
    ['allowed_content_types: [image]', 'allowed_content_types[0]', 'must be a content type'],
    ['allowed_content_types: ["image/p*"]', 'allowed_content_types[0]', 'must be a content type'],
    ['allowed_content_types: ["a/b; c=d"]', 'allowed_content_types[0]', 'must be a content type'],
    ['sniff_content_type: 1', 'sniff_content_type', 'must be true or false'],
    ['overwrite: never', 'overwrite', 'must be allow or deny'],
    ['key_prefix: "{sub}"', 'key_prefix', 'must end with / where it holds a claim'],
    ['key_prefix: "{sub}/x"', 'key_prefix', 'must end with / where it holds a claim'],
    ['key_prefix: "/{sub}/"', 'key_prefix', 'must not begin with /'],
    ['key_prefix: "a//"', 'key_prefix', 'must not hold //'],
    ['key_prefix: "a/../"', 'key_prefix', 'must not hold . or .. as a segment'],
    ['key_prefix: "a/."', 'key_prefix', 'must not hold . or .. as a segment'],
    ['key_prefix: "a\\nb"', 'key_prefix', 'must not hold control characters'],
    ['key_prefix: "{sub"', 'key_prefix', 'must have its braces in pairs'],
    ['key_prefix: "sub}/"', 'key_prefix', 'must have its braces in pairs'],
    ['key_prefix: "{}/"', 'key_prefix', 'must have its braces in pairs'],
    ['key_prefix: "{{sub}}/"', 'key_prefix', 'must have its braces in pairs'],
    ['key_prefix: "{sub}{tenant.id}/"', 'key_prefix', 'must have a / between two claims'],
    ['key_prefix: "{sub}-{tenant.id}/"', 'key_prefix', 'must have a / between two claims'],
    ['key_prefix: "{uuid}/"', 'key_prefix', 'must not hold {uuid}, which is for key_template'],
    [`key_prefix: ${'x'.repeat(1001)}`, 'key_prefix', 'must be at most 1000 bytes'],
    ['key_pattern: "("', 'key_pattern', 'must be a regular expression in RE2'],
    ['key_pattern: "(?=a)"', 'key_pattern', 'must be a regular expression in RE2'],
    ['key_template: "{yyyy}"', 'key_template', 'must hold {uuid}'],
    ['key_template: "{uuid}/"', 'key_template', 'must not end with /'],
    ['key_template: "{uuid}/{ext}"', 'key_template', 'must not end with /'],
    ['key_template: "{ext}/{uuid}"', 'key_template', 'must not begin with /'],
    ['key_template: "a/{ext}/{uuid}"', 'key_template', 'must not hold //'],
    ['key_template: "a/.{ext}/{uuid}"', 'key_template', 'must not hold . or .. as a segment'],
    ['key_template: "{sub}{tenant}{uuid}"', 'key_template', 'must have a / between two claims'],
    ['required_metadata: [x-amz-meta-a]', 'required_metadata[0]', 'must be the name without x-amz-meta-'],
    ['required_metadata: ["a b"]', 'required_metadata[0]', 'must be a header name'],
    ...['x-amz-storage', 'x-amz-object-lok-*', 'authorization', 'x-amz-date', 'x-amz-*-mode'].map((name) => [
      `refused_headers: ["${name}"]`,
      'refused_headers[0]',
      'must be the name of a header that goes to the backend, or the beginning of one and *',
    ]),
    ...['x-amz-meta-Snowball-Auto-Extract', 'x-amz-meta-minio-snowball-prefix', 'x-amz-meta-x-minio-a'].map((name) => [
      `forced_headers: { ${name}: "true" }`,
      `forced_headers.${name}`,
      'would have the backend do more than store',
    ]),
    ['forced_headers: { expires: "{" }', 'forced_headers.expires', 'must have its braces in pairs'],
    ['forced_headers: { expires: ä }', 'forced_headers.expires', 'must be printable US-ASCII'],
    ['forced_headers: { expires: "a\\nb: c" }', 'forced_headers.expires', 'must be printable US-ASCII'],
    ['forced_headers: { expires: " a" }', 'forced_headers.expires', 'must not begin or end with a space'],
    ['forced_headers: { expires: "" }', 'forced_headers.expires', 'must not be empty'],
    ['forced_headers: { expires: a, Expires: b }', 'forced_headers.Expires', 'is given twice'],
    ...[
      'authorization',
      'host',
      'content-length',
      'content-md5',
      'if-match',
      'if-none-match',
      'range',
      'cookie',
      'transfer-encoding',
      'x-amz-acl',
      'x-amz-copy-source',
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amz-security-token',
      'x-amz-checksum-crc32',
      'x-amz-checksum-algorithm',
      'x-amz-mp-object-size',
      'x-amz-meta-',
      'x-amz-meta-ä',
      'x-amz-server-side-encryption ',
      'x-own',
    ].map((name) => [
      `forced_headers: { "${name}": a }`,
      `forced_headers${/^[\w-]+$/.test(name) ? `.${name}` : `["${name}"]`}`,
      'is not a header that can be forced',
    ]),
    ['bind_multipart_to_creator: maybe', 'bind_multipart_to_creator', 'must be true or false'],
  ])('%s is refused', (settings, path, message) => {
    expect(uploadFaults(settings ?? '')).toEqual([[path, expect.stringContaining(message ?? '')]]);
  });

  test('addresses are addresses', () => {
    const text = bucketWith(`s3: {}, auth: { ${jwt} }, access: { allow_ips: [x], deny_ips: [10.0.0.0/33, "::1"] }`);
    expect(pathsOf(text)).toEqual(['buckets[0].access.allow_ips[0]', 'buckets[0].access.deny_ips[0]']);
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

test('authentication is closed by default', () => {
  expect(pathsOf(bucketWith('s3: {}'))).toEqual(['buckets[0].auth']);
  expect(pathsOf(bucketWith('s3: {}, auth: {}'))).toEqual(['buckets[0].auth']);
  expect(pathsOf(bucketWith('s3: {}, auth: { enabled: false }'))).toEqual([]);
  expect(pathsOf(bucketWith('s3: {}, auth: { jwt: {} }'))).toEqual(['buckets[0].auth.jwt.secret']);
  expect(pathsOf(bucketWith('s3: {}, auth: { enabled: false, jwt: { secret: short } }'))).toEqual([
    'buckets[0].auth.jwt.secret',
  ]);
  expect(pathsOf(bucketWith(`s3: {}, auth: { jwt: { secret: ${secret}, audience: [] } }`))).toEqual([
    'buckets[0].auth.jwt.audience',
  ]);
});

describe('jwt', () => {
  const p256 = JSON.stringify(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
  );
  const jwksUrl = 'jwks_url: "https://login.example.com/keys"';

  test.each([
    [`secret: ${secret}`],
    [`secret: ${secret}, algorithm: HS256`],
    [`secret: ${secret.repeat(2)}, algorithms: [HS256, HS384, HS512]`],
    [`${jwksUrl}, algorithms: [RS256, PS512, ES384, EdDSA]`],
    [`public_key: ${p256}, algorithm: ES256`],
  ])('{ %s } is sound', (settings) => {
    expect(jwtFaults(settings)).toEqual([]);
  });

  test.each(['X-Amz-Meta-Token', 'host', 'Cookie', 'Content-Type', 'If-Match', 'cache-control', 'Date', 'traceparent'])(
    'a token cannot be in the field %s',
    (name) => {
      const sources = `secret: ${secret}, token_sources: [{ type: header, name: ${name} }]`;
      expect(jwtFaults(sources)).toEqual([['.token_sources[0].name', 'must not be a name that S3 or HTTP uses']]);
    },
  );

  test('a public key is no secret: everybody could sign with it', () => {
    const message = 'must not be a key in PEM, DER or JWK, which others may have: use public_key';
    for (const settings of [`secret: ${p256}`, `secret: ${p256}, algorithm: HS512`]) {
      expect(jwtFaults(settings)).toEqual([['.secret', message]]);
    }
  });

  const oneKey = 'needs exactly one of secret, public_key and jwks_url';
  const known = expect.stringContaining('must be one of HS256');
  test.each([
    ['', '.secret', oneKey],
    [`secret: ${secret}, ${jwksUrl}`, '', oneKey],
    ['secret: {}', '.secret', 'must be text'],
    [`secret: ${secret}, algorithm: none`, '.algorithm', known],
    [`secret: ${secret}, algorithms: [hs256]`, '.algorithms[0]', known],
    [`secret: ${secret}, algorithms: HS256`, '.algorithms', 'must be a list'],
    [`${jwksUrl}, algorithms: RS256`, '.algorithms', 'must be a list'],
    [`secret: ${secret}, algorithms: []`, '.algorithms', expect.anything()],
    [`secret: ${secret}, algorithm: HS256, algorithms: [HS256]`, '.algorithm', 'or algorithms, not both'],
    [`secret: ${secret}, algorithm: HS384`, '.secret', 'must have at least 48 bytes'],
    [`secret: ${secret}, algorithms: [HS256, HS512]`, '.secret', 'must have at least 64 bytes'],
    [`secret: ${secret}, algorithm: RS256`, '.algorithm', 'must be HS256, HS384 or HS512 for a secret'],
    [`secret: ${secret}, algorithms: [HS256, ES256]`, '.algorithms', 'must be HS256, HS384 or HS512 for a secret'],
    [jwksUrl, '.algorithms', 'is required beside jwks_url'],
    [`${jwksUrl}, algorithms: [HS256]`, '.algorithms', 'must not be HS… for jwks_url'],
    [`public_key: ${p256}`, '.algorithms', 'is required beside public_key'],
    [`public_key: ${p256}, algorithm: HS256`, '.algorithm', 'must not be HS… for public_key'],
    [`public_key: ${p256}, algorithm: RS256`, '.public_key', expect.anything()],
    [`public_key: nonsense, algorithm: RS256`, '.public_key', expect.anything()],
    ['jwks_url: "file:///etc/keys", algorithm: RS256', '.jwks_url', 'must be an http:// or https:// URL'],
    ['jwks_url: "https://me:pw@i/keys", algorithm: RS256', '.jwks_url', 'must not hold a name or a password'],
    [
      `secret: ${secret}, token_sources: [{ type: query, name: uploadId }]`,
      '.token_sources[0].name',
      'must not be a name that S3 uses',
    ],
    [
      `secret: ${secret}, token_sources: [{ type: query, name: session }]`,
      '.token_sources[0].name',
      'must not be a name that S3 uses',
    ],
    [
      `secret: ${secret}, token_sources: [{ type: query, name: policy }]`,
      '.token_sources[0].name',
      'must not be a name that S3 uses',
    ],
    [
      `secret: ${secret}, token_sources: [{ type: query, name: Signature }]`,
      '.token_sources[0].name',
      'must not be a name that S3 uses',
    ],
    [`secret: ${secret}, token_sources: []`, '.token_sources', expect.anything()],
    [`secret: ${secret}, token_sources: [{ type: body }]`, '.token_sources[0].type', expect.stringContaining('bearer')],
    [`secret: ${secret}, token_sources: [{ type: query }]`, '.token_sources[0].name', 'is required'],
    [
      `secret: ${secret}, token_sources: [{ type: header, name: Authorization }]`,
      '.token_sources[0].name',
      'must not be Authorization: use bearer',
    ],
    [`secret: ${secret}, token_sources: [{ type: cookie, name: "a b" }]`, '.token_sources[0].name', 'must be a name'],
    [
      `secret: ${secret}, claims: [{ claim: a }]`,
      '.claims[0]',
      'needs one of equals, contains, in, matches, gt, lt, exists',
    ],
    [`secret: ${secret}, claims: [{ claim: a, matches: "(" }]`, '.claims[0].matches', expect.anything()],
    [`secret: ${secret}, claims: [{ claim: a, gt: high }]`, '.claims[0].gt', expect.anything()],
    [`secret: ${secret}, claims: [{ claim: a, equal: b }]`, '.claims[0].equal', 'unknown key; did you mean equals?'],
  ])('{ %s }: %s', (settings, path, message) => {
    expect(jwtFaults(settings)).toContainEqual([path, message]);
  });
});

describe('sigv4', () => {
  const pair = 'access_key: AKIDALICE, secret_key: kJ3nV8sQ2wX5zB7c';
  const needs = 'needs access_key and secret_key, or credentials';
  test.each<[string, (string | object)[][]]>([
    [pair, []],
    [`credentials: [{ ${pair} }]`, []],
    ['', [['', needs]]],
    [`${pair}, credentials: [{ ${pair} }]`, [['', needs]]],
    ['access_key: AKIDALICE', [['.secret_key', 'is required beside the other']]],
    ['secret_key: kJ3nV8sQ2wX5zB7c', [['.access_key', 'is required beside the other']]],
    ['access_key: AKIDALICE, secret_key: short', [['.secret_key', 'must have at least 16 bytes']]],
    ['access_key: AKIDALICE, secret_key: change-me-change-me', [['.secret_key', 'is a placeholder: choose a secret']]],
    [
      'access_key: AKIDALICE, secret_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      [['.secret_key', 'is a placeholder: choose a secret']],
    ],
    ['access_key: "a/b,c", secret_key: kJ3nV8sQ2wX5zB7c', [['.access_key', expect.anything()]]],
    [
      `credentials: [{ ${pair} }, { ${pair}, subject: other }]`,
      [['.credentials[1].access_key', 'is that of credentials[0] already']],
    ],
    [
      'access_key: AKIDALICE12345678, secret_key: AKIDALICE12345678',
      [['.secret_key', 'must not be the access key itself']],
    ],
    [
      'credentials: [{ access_key: AKIDALICE12345678, secret_key: AKIDALICE12345678 }]',
      [['.credentials[0].secret_key', 'must not be the access key itself']],
    ],
    [`${pair}, region: "a/b"`, [['.region', expect.anything()]]],
    [`${pair}, color: red`, [['.color', 'unknown key']]],
  ])('{ %s }', (settings, faults) => {
    expect(sigV4Faults(settings)).toEqual(faults);
  });

  test('several workers cannot tell a replay without Redis', () => {
    const replays = bucketWith(`s3: {}, auth: { sigv4: { ${pair}, reject_replays: true } }`);
    expect(pathsOf(`server: { workers: 2 }\n${replays}`)).toEqual(['buckets[0].auth.sigv4.reject_replays']);
    expect(pathsOf(`server: { workers: auto }\n${replays}`)).toEqual(['buckets[0].auth.sigv4.reject_replays']);
    expect(pathsOf(replays)).toEqual([]);
    expect(pathsOf(`server: { workers: 2 }\nredis: { url: "redis://localhost" }\n${replays}`)).toEqual([]);
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

test.each([
  ['multipart_threshold: 5GB', []],
  ['multipart_threshold: 6GiB', ['buckets[0].upload.multipart_threshold']],
  ['part_size: 5MB', ['buckets[0].upload.part_size']],
  ['part_size: 6GiB', ['buckets[0].upload.part_size']],
  ['concurrent_parts: 65', ['buckets[0].upload.concurrent_parts']],
  ['max_object_size: 6TiB', ['buckets[0].upload.max_object_size']],
  ['retry: { base_delay_ms: 6000 }', ['buckets[0].upload.retry.base_delay_ms']],
  ['retry: { max_attempts: 0 }', ['buckets[0].upload.retry.max_attempts']],
])('upload: { %s }', (settings, paths) => {
  expect(pathsOf(bucketWith(`s3: {}, auth: { ${jwt} }, upload: { ${settings} }`))).toEqual(paths);
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
