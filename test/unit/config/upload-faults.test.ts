// What is refused in what a bucket asks of uploads, each with its place.
import { describe, expect, test } from 'vitest';
import { bucketWith, faultsOf, jwt, pathsOf } from './faults-of.ts';

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
