// A bucket's authz block: defaults, units, what is said at start, and what is printed.
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { AuthzConfig } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { printConfig } from '../../../src/config/print-config.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const storeId = '01JARCHVE00000000000000000';
const load = (authz: string, auth = `{ jwt: { secret: ${secret} } }`) =>
  loadConfig({
    path: 'c',
    text: `buckets: [{ name: uploads, s3: {}, auth: ${auth}, authz: ${authz} }]`,
    env: { OPA: 'http://127.0.0.1:8181' },
  });
const authzOf = (authz: string): AuthzConfig | undefined => load(authz).buckets[0]?.authz;
const forAll = <T>(value: T) => ({ upload: value, abort: value, list_parts: value });

test('defaults of OPA', () => {
  expect(authzOf('{ opa: { url: "${OPA}" } }')).toEqual({
    failMode: 'closed',
    opa: {
      url: 'http://127.0.0.1:8181',
      policyPath: '/v1/data/mizuchi/allow',
      timeoutMs: 5000,
      cacheTtlMs: 60_000,
      denyCacheTtlMs: 5000,
      cacheMaxEntries: 1000,
    },
  });
});

test('defaults of OpenFGA', () => {
  expect(authzOf(`{ openfga: { url: "http://127.0.0.1:8080/", store_id: ${storeId} } }`)).toEqual({
    failMode: 'closed',
    openfga: {
      url: 'http://127.0.0.1:8080',
      storeId,
      modelId: undefined,
      credentials: undefined,
      timeoutMs: 5000,
      cacheTtlMs: 60_000,
      denyCacheTtlMs: 5000,
      cacheMaxEntries: 1000,
      user: forAll('user:{sub}'),
      relation: forAll(['writer']),
      object: forAll(['bucket:{bucket}']),
      contextualTuples: [],
      consistency: 'MINIMIZE_LATENCY',
    },
  });
});

const full = `
enabled: true
fail_mode: open
opa: { url: "https://opa.example.com/base/", policy_path: a/b, timeout_seconds: 0.25, cache_ttl_seconds: 3,
  deny_cache_ttl_seconds: 2, cache_max_entries: 7, token: OpaTokenHere, ca_file: ca.pem }
openfga:
  url: https://fga.example.com
  store_id: ${storeId}
  model_id: ${storeId}
  ca_file: fga-ca.pem
  client_credentials: { issuer: i, audience: a, client_id: c, client_secret: ClientSecretHere }
  user: { upload: "user:{sub}", abort: "app:{azp}", list_parts: "user:{sub}" }
  relation: { upload: [writer, member], abort: writer, list_parts: viewer }
  object: ["bucket:{bucket}", "folder:{key.ancestors}"]
  contextual_tuples: [{ user: "user:{sub}", relation: member, object: "group:{groups}" }]
  consistency: higher_consistency
`;
const fullText = `{${JSON.stringify(parse(full)).slice(1, -1)}}`;

test('every setting arrives in the program’s own units', () => {
  expect(authzOf(fullText)).toEqual({
    failMode: 'open',
    opa: {
      url: 'https://opa.example.com/base',
      policyPath: 'a/b',
      timeoutMs: 250,
      cacheTtlMs: 3000,
      denyCacheTtlMs: 2000,
      cacheMaxEntries: 7,
      token: 'OpaTokenHere',
      caFile: 'ca.pem',
    },
    openfga: {
      url: 'https://fga.example.com',
      storeId,
      modelId: storeId,
      caFile: 'fga-ca.pem',
      credentials: {
        kind: 'client-credentials',
        issuer: 'i',
        audience: 'a',
        clientId: 'c',
        clientSecret: 'ClientSecretHere',
      },
      timeoutMs: 5000,
      cacheTtlMs: 60_000,
      denyCacheTtlMs: 5000,
      cacheMaxEntries: 1000,
      user: { upload: 'user:{sub}', abort: 'app:{azp}', list_parts: 'user:{sub}' },
      relation: { upload: ['writer', 'member'], abort: ['writer'], list_parts: ['viewer'] },
      object: forAll(['bucket:{bucket}', 'folder:{key.ancestors}']),
      contextualTuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }],
      consistency: 'HIGHER_CONSISTENCY',
    },
  });
});

test('a refusal is remembered no longer than a permission', () => {
  expect(authzOf('{ opa: { url: "${OPA}", cache_ttl_seconds: 2 } }')?.opa?.denyCacheTtlMs).toBe(2000);
  expect(authzOf('{ opa: { url: "${OPA}", cache_ttl_seconds: 0 } }')?.opa?.denyCacheTtlMs).toBe(0);
});

test('off is as good as absent', () => {
  expect(authzOf('{ enabled: false }')).toBeUndefined();
  expect(authzOf('{ enabled: false, fail_mode: open, opa: { url: "${OPA}" } }')).toBeUndefined();
  expect(load('{ enabled: false, fail_mode: open, opa: { url: "http://opa" } }').notices).toEqual([
    'bucket uploads: authz.enabled is false, so no policy engine is asked',
  ]);
});

test('said at start: what is let through, and what others can read', () => {
  expect(load('{ opa: { url: "${OPA}" } }').notices).toEqual([]);
  expect(load('{ fail_mode: open, opa: { url: "${OPA}" } }').notices).toEqual([
    'bucket uploads: authz.fail_mode is open, so requests are let through while an engine cannot be asked',
  ]);
  expect(
    load(`{ opa: { url: "http://opa:8181" }, openfga: { url: "http://fga", store_id: ${storeId} } }`).notices,
  ).toEqual([
    'bucket uploads: authz.opa.url is http://, so whoever stands on the way can allow what it refuses',
    'bucket uploads: authz.openfga.url is http://, so whoever stands on the way can allow what it refuses',
  ]);
  expect(load('{ opa: { url: "https://opa" } }').notices).toEqual([]);
});

test('where nobody is asked for credentials, an engine may still be asked', () => {
  expect(load('{ opa: { url: "${OPA}" } }', '{ enabled: false }').buckets[0]?.authz?.opa?.url).toBe(
    'http://127.0.0.1:8181',
  );
});

test.each([
  ['everything', fullText],
  ['defaults', `{ opa: { url: "http://127.0.0.1" }, openfga: { url: "http://[::1]:1", store_id: ${storeId} } }`],
  ['an API token', `{ openfga: { url: "http://127.0.0.1", store_id: ${storeId}, api_token: ApiTokenHere } }`],
])('what is printed means the same, and has no secret: %s', (_, authz) => {
  const config = load(authz);
  const printed = printConfig(config);
  expect(printed).not.toMatch(/OpaTokenHere|ClientSecretHere|ApiTokenHere/);
  const revealed = printed
    .replaceAll(' secret: (hidden)', ` secret: ${secret}`)
    .replace('api_token: (hidden)', 'api_token: ApiTokenHere')
    .replace(' token: (hidden)', ' token: OpaTokenHere')
    .replace('client_secret: (hidden)', 'client_secret: ClientSecretHere');
  expect(loadConfig({ path: 'c', text: revealed, env: {} })).toEqual(config);
});
