// What is refused in a bucket's authz block, each with its place.
import { describe, expect, test } from 'vitest';
import { bucketWith, faultsOf, jwt } from './faults-of.ts';

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
