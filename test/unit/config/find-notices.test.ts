// What makes the proxy less safe is said at start, and nothing is said of what does not.
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const env = { JWT_SECRET: secret };
const jwt = 'secret: "${JWT_SECRET}"';

interface Written {
  readonly bucket?: string;
  readonly jwt?: string;
  readonly auth?: string;
  readonly rest?: string;
}

function noticesOf(written: Written): readonly string[] {
  const auth = written.auth ?? `{ jwt: { ${written.jwt ?? jwt} } }`;
  const bucket = written.bucket ?? 'filesystem: { root: ./data }';
  const text = `buckets: [{ name: uploads, auth: ${auth}, ${bucket} }]\n${written.rest ?? ''}`;
  return loadConfig({ path: 'config.yaml', text, env }).notices;
}

const jwks = (url: string, more = '') => `algorithm: RS256, jwks_url: "${url}"${more}`;
const s3 = (endpoint: string) => `s3: { endpoint: "${endpoint}", access_key: a, secret_key: b }`;
const root = 'filesystem: { root: ./data }';
const byCookie = `${jwt}, token_sources: [{ type: cookie, name: session }]`;
const once = '{ sigv4: { access_key: AKIDALICE, secret_key: kJ3nV8sQ2wX5zB7c, reject_replays: true } }';
const byQuery = `${jwt}, token_sources: [{ type: query, name: token }]`;
const otlp = (endpoint: string, headers = '{ authorization: Bearer }') =>
  `tracing: { enabled: true, otlp: { endpoint: "${endpoint}", headers: ${headers} } }`;

test.each<[what: string, written: Written, said: readonly RegExp[]]>([
  ['nobody is asked who he is', { auth: '{ enabled: false }' }, [/auth\.enabled is false/]],
  ['tokens in the query', { jwt: byQuery }, [/tokens are taken from the query/]],
  ['tokens in cookies', { jwt: byCookie }, [/tokens are taken from cookies.*SameSite/]],
  ['signatures that a restart forgets', { auth: once }, [/reject_replays without redis\.url.*forgotten/]],
  ['keys over http', { jwt: jwks('http://idp/keys', ', audience: a') }, [/jwks_url is http/]],
  ['keys and no audience', { jwt: jwks('https://idp/keys') }, [/jwks_url without audience/]],
  ['a backend over http', { bucket: s3('http://minio:9000') }, [/s3\.endpoint is http/]],
  [
    'every origin, and tokens in the query',
    { bucket: `${root}, cors: { allowed_origins: ["*"] }`, jwt: byQuery },
    [/tokens are taken from the query/, /pages of every origin can upload with a token/],
  ],
  [
    'every origin, and no tokens',
    { bucket: `${root}, cors: { allowed_origins: ["*"] }`, auth: '{ enabled: false }' },
    [/auth\.enabled/, /pages of every origin can upload with nothing but a visitor/],
  ],
  ['other machines without TLS', { rest: 'server: { address: "0.0.0.0:8080" }' }, [/^server\.address is 0\.0\.0\.0/]],
  ['the same over IPv6', { rest: 'server: { address: "[::]:8080" }' }, [/^server\.address is ::/]],
  ['trust in everybody', { rest: 'server: { trusted_proxies: ["0.0.0.0/0"] }' }, [/^server\.trusted_proxies/]],
  ['the page', { rest: 'ui: { enabled: true }' }, [/^ui\.enabled/]],
  ['Redis without TLS', { auth: once, rest: 'redis: { url: "redis://redis:6379" }' }, [/^redis\.url is redis:/]],
  ['Redis that nobody asks', { rest: 'redis: { url: "rediss://redis:6379" }' }, [/^redis\.url has no effect/]],
  ['metrics for others', { rest: 'metrics: { address: 0.0.0.0 }' }, [/^metrics\.address is 0\.0\.0\.0.*port 9090/]],
  ['keys in spans', { rest: 'tracing: { enabled: true, include_keys: true }' }, [/include_keys/]],
  ['subjects in spans', { rest: 'tracing: { enabled: true, include_subject: true }' }, [/include_subject/]],
  ['fields for a collector over http', { rest: otlp('http://collector:4317') }, [/^tracing\.otlp\.endpoint is http/]],
  ['level debug', { rest: 'logging: { level: debug }' }, [/^logging\.level is debug/]],
  ['level trace', { rest: 'logging: { level: trace }' }, [/^logging\.level is trace/]],
])('%s', (_, written, said) => {
  const notices = noticesOf(written);
  expect(notices).toHaveLength(said.length);
  said.forEach((pattern, index) => expect(notices[index]).toMatch(pattern));
});

test.each<[what: string, written: Written]>([
  ['what is usual', {}],
  ['keys over https for one audience', { jwt: jwks('https://idp/keys', ', audience: a') }],
  ['keys over https with a claim', { jwt: jwks('https://idp/keys', ', claims: [{ claim: a, exists: true }]') }],
  ['keys of this machine', { jwt: jwks('http://127.0.0.1:1/keys', ', audience: a') }],
  ['backends over https or on this machine', { bucket: s3('http://localhost:9000') }],
  ['every origin with bearers', { bucket: `${root}, cors: { allowed_origins: ["*"] }` }],
  ['other machines through a proxy', { rest: 'server: { address: "0.0.0.0:80", trusted_proxies: ["10.0.0.0/8"] }' }],
  ['Redis on this machine', { auth: once, rest: 'redis: { url: "redis://[::1]:6379" }' }],
  ['signatures that Redis remembers', { auth: once, rest: 'redis: { url: "rediss://redis:6379" }' }],
  ['metrics that are off', { rest: 'metrics: { enabled: false, address: 0.0.0.0 }' }],
  ['keys in spans that are off', { rest: 'tracing: { include_keys: true }' }],
  ['fields for a collector over https', { rest: otlp('https://collector:4317') }],
  ['a collector without fields', { rest: otlp('http://collector:4317', '{}') }],
  ['an audit log, and subjects in plain', { rest: 'logging: { subjects: plain, audit: { enabled: true } }' }],
])('nothing is said of %s', (_, written) => {
  expect(noticesOf(written)).toEqual([]);
});
