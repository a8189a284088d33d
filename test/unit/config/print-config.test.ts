// The effective configuration as YAML, secrets hidden.
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { printConfig } from '../../../src/config/print-config.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const text = `
server:
  { address: "[::1]:1", tls: { cert_file: c, key_file: k }, limits: { idle_timeout_seconds: 1.5 }, trusted_proxies: ["::1"] }
redis: { url: "redis://:RedisHere@h" }
buckets:
  - name: uploads
    s3: { endpoint: "http://h:1", access_key: AccessKeyHere, secret_key: SecretKeyHere, session_token: TokenHere }
    auth: { jwt: { secret: ${secret}, issuer: i, audience: [a, b] } }
    access: { allow_ips: [10.0.0.0/8], deny_ips: ["::1"] }
    upload:
      part_size: 8MiB
      min_object_size: 1
      allowed_content_types: ["image/*"]
      sniff_content_type: true
      overwrite: deny
      key_prefix: "{sub}/"
      key_pattern: ".+"
      key_template: "{uuid}"
      required_metadata: [album]
      refused_headers: [x-amz-tagging]
      forced_headers: { cache-control: no-store, x-amz-server-side-encryption-customer-key: CustomerKeyHere }
      bind_multipart_to_creator: true
  - { name: "a-*", s3: {}, auth: { enabled: false } }
  - name: signed
    s3: {}
    auth:
      jwt:
        algorithms: [RS256]
        jwks_url: https://i/keys?key=QueryHere
        token_sources: [{ type: header, name: x-token }, { type: bearer }]
        claims: [{ claim: a, in: [1, b], exists: true }]
      sigv4:
        credentials:
          - { access_key: AKIDALICE, secret_key: AliceKeyHere1234, session_token: SessionHere, expiration: '2026-12-31T23:59:59.000Z', subject: alice }
        reject_replays: true
    cors: { allowed_origins: ["https://*.example"], allowed_headers: [x-own] }
  - { name: folder, filesystem: { root: ./d }, auth: { jwt: { secret: ${secret} } } }
logging: { level: warn, format: json }
`;

test('no secret is printed', () => {
  const printed = printConfig(loadConfig({ path: 'c', text, env: {} }));
  expect(printed).not.toMatch(
    new RegExp(
      `AccessKeyHere|SecretKeyHere|TokenHere|AliceKeyHere|SessionHere|CustomerKeyHere|RedisHere|QueryHere|${secret}`,
    ),
  );
  expect(parse(printed).buckets[0].s3).toMatchObject({
    access_key: '(hidden)',
    secret_key: '(hidden)',
    session_token: '(hidden)',
  });
  expect(() => loadConfig({ path: 'c', text: printed, env: {} })).toThrow('must have at least 32 bytes');
});

test('what is printed means the same configuration, once its secrets are there again', () => {
  const config = loadConfig({ path: 'c', text, env: {} });
  const printed = printConfig(config)
    .replaceAll('secret: (hidden)', `secret: ${secret}`)
    .replace('keys?(hidden)', 'keys?key=QueryHere')
    .replace('url: (hidden)', 'url: "redis://:RedisHere@h"')
    .replace('customer-key: (hidden)', 'customer-key: CustomerKeyHere')
    .replace('access_key: (hidden)', 'access_key: AccessKeyHere')
    .replace('secret_key: (hidden)', 'secret_key: SecretKeyHere')
    .replace('session_token: (hidden)', 'session_token: TokenHere')
    .replace('secret_key: (hidden)', 'secret_key: AliceKeyHere1234')
    .replace('session_token: (hidden)', 'session_token: SessionHere');
  expect(loadConfig({ path: 'c', text: printed, env: {} })).toEqual(config);
});
