// What is refused in a bucket's auth block, of JWT and of SigV4, each with its place.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { bucketWith, faultsOf, pathsOf } from './faults-of.ts';
import { secret } from './secret-in-environment.ts';

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
    [
      `secret: ${secret}, claims: [{ claim: a, equals: 9007199254740991, contains: 0.1, in: [-9007199254740991, 2.5] }]`,
    ],
    [`secret: ${secret}, claims: [{ claim: a, equals: "9007199254740993", gt: 0.5, lt: 9007199254740991 }]`],
    [`public_key: ${p256}, algorithm: ES256`],
  ])('{ %s } is sound', (settings) => {
    expect(jwtFaults(settings)).toEqual([]);
  });

  const inField = (name: string) => `secret: ${secret}, token_sources: [{ type: header, name: ${name} }]`;
  const ofProxies = [
    'For',
    'Host',
    'Proto',
    'Port',
    'Server',
    'By',
    'Scheme',
    'Ssl',
    'Prefix',
    'Uri',
    'Method',
    'User',
  ];

  test.each([
    'X-Amz-Meta-Token',
    'host',
    'Cookie',
    'Content-Type',
    'If-Match',
    'cache-control',
    'Date',
    'traceparent',
    ...[...ofProxies, 'Client-Cert', 'Tls-Client-Cert-Info', 'Email'].map((name) => `X-Forwarded-${name}`),
    'x-forwarded-for',
  ])('a token cannot be in the field %s', (name) => {
    expect(jwtFaults(inField(name))).toEqual([['.token_sources[0].name', 'must not be a name that S3 or HTTP uses']]);
  });

  test.each(['X-Forwarded-Access-Token', 'X-Auth-Request-Access-Token', 'X-Forwarded-Id-Token', 'X-Auth-Token'])(
    'a token can be in the field %s',
    (name) => {
      expect(jwtFaults(inField(name))).toEqual([]);
    },
  );

  test('a public key is no secret: everybody could sign with it', () => {
    const message = 'must not be a key in PEM, DER or JWK, which others may have: use public_key';
    for (const settings of [`secret: ${p256}`, `secret: ${p256}, algorithm: HS512`]) {
      expect(jwtFaults(settings)).toEqual([['.secret', message]]);
    }
  });

  const rounded = 'must lie between -9007199254740991 and 9007199254740991: others are rounded';
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
    ...['9007199254740992', '9007199254740993', '-9007199254740993', '1e22'].flatMap(
      (unsafe): [string, string, string][] => [
        ...['equals: N', 'contains: N', 'in: [1, N]'].map((rule): [string, string, string] => [
          `secret: ${secret}, claims: [{ claim: a, ${rule.replace('N', unsafe)} }]`,
          `.claims[0].${rule.startsWith('in') ? 'in[1]' : rule.slice(0, -3)}`,
          `${rounded}; have the claim be text, and compare it as text`,
        ]),
        [`secret: ${secret}, claims: [{ claim: a, gt: ${unsafe} }]`, '.claims[0].gt', rounded],
        [`secret: ${secret}, claims: [{ claim: a, lt: ${unsafe} }]`, '.claims[0].lt', rounded],
      ],
    ),
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
    [`credentials: [{ ${pair}, expiration: '2026-12-31T23:59:59Z' }]`, []],
    ...['2026-12-31', '2026-12-31T23:59:59', '1798761599', 'soon'].map((when): [string, string[][]] => [
      `credentials: [{ ${pair}, expiration: '${when}' }]`,
      [['.credentials[0].expiration', 'must be a time such as 2026-12-31T23:59:59Z']],
    ]),
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
