// Which header fields go to the backend.
import { describe, expect, test } from 'vitest';
import { RequestHeaders } from '../../../src/http.ts';
import { screenObjectHeaders, type ScreenedOperation } from '../../../src/upload/object-headers.ts';
import { codeOf } from '../../support/code-of.ts';

const screen = (operation: ScreenedOperation, ...fields: string[]): ReadonlyMap<string, string> =>
  screenObjectHeaders(operation, new RequestHeaders(fields));

const system = [
  'content-type',
  'content-encoding',
  'content-disposition',
  'content-language',
  'cache-control',
  'expires',
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-meta-a',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-context',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
];
const everyCall = [
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-server-side-encryption-customer-key-md5',
  'x-amz-expected-bucket-owner',
];
const checksums = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'].map((name) => `x-amz-checksum-${name}`);
const ours = [
  'host',
  'authorization',
  'content-length',
  'connection',
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'x-amz-acl',
  'x-amz-unheard-of',
  'x-forwarded-for',
  'cookie',
];
const everything = [
  ...system,
  ...everyCall,
  ...checksums,
  ...ours,
  'content-md5',
  'if-match',
  'if-none-match',
  'x-amz-checksum-algorithm',
  'x-amz-checksum-type',
  'x-amz-mp-object-size',
];

test.each<[ScreenedOperation, string[]]>([
  ['PutObject', [...system, ...everyCall, ...checksums, 'content-md5', 'if-match', 'if-none-match']],
  ['CreateMultipartUpload', [...system, ...everyCall, 'x-amz-checksum-algorithm', 'x-amz-checksum-type']],
  ['UploadPart', [...everyCall, ...checksums, 'content-md5']],
  [
    'CompleteMultipartUpload',
    [...everyCall, ...checksums, 'if-match', 'if-none-match', 'x-amz-checksum-type', 'x-amz-mp-object-size'],
  ],
  ['ListParts', everyCall],
])('%s', (operation, passed) => {
  const screened = screen(operation, ...everything.flatMap((name) => [name, '*']));
  expect(Object.fromEntries(screened)).toEqual(Object.fromEntries(passed.map((name) => [name, '*'])));
});

test('values stay as they are', () => {
  const value = '=?UTF-8?B?Y2Fmw6k=?= "a"\t<b>; ~';
  expect(screen('PutObject', 'x-amz-meta-a', value, 'x-amz-meta-b', '')).toEqual(
    new Map([
      ['x-amz-meta-a', value],
      ['x-amz-meta-b', ''],
    ]),
  );
});

test('an empty content type is none: MinIO would guess one', () => {
  expect(screen('PutObject', 'content-type', '').size).toBe(0);
  expect(screen('CreateMultipartUpload', 'content-type', '', 'content-type', 'a/b').get('content-type')).toBe('a/b');
});

// Some backends take that coding out themselves, others store it: a reader would then be told of framing that is not there.
test.each([
  ['aws-chunked', undefined],
  ['AWS-Chunked', undefined],
  ['aws-chunked,gzip', 'gzip'],
  ['gzip , aws-chunked', 'gzip'],
  ['br, aws-chunked, gzip', 'br, gzip'],
  ['x-aws-chunked', 'x-aws-chunked'],
])('of the content encoding %j the object keeps %j', (sent, kept) => {
  for (const operation of ['PutObject', 'CreateMultipartUpload'] as const) {
    expect(screen(operation, 'content-encoding', sent).get('content-encoding')).toBe(kept);
    expect(screen(operation, 'content-encoding', 'aws-chunked', 'content-encoding', sent).get('content-encoding')).toBe(
      kept,
    );
  }
});

describe('refused', () => {
  test.each(['café', 'cut\ufffd', 'a\u0001', 'a\nb', 'a\u007f'])('the value %j', (value) => {
    for (const name of ['x-amz-meta-a', 'content-disposition', 'if-match']) {
      expect(codeOf(() => screen('PutObject', name, value))).toBe('InvalidRequest');
    }
    expect(screen('PutObject', 'user-agent', value).size).toBe(0);
  });

  test('a name that is no token', () => {
    expect(codeOf(() => screen('PutObject', 'x-amz-meta-é', 'a'))).toBe('InvalidRequest');
    expect(codeOf(() => screen('PutObject', 'x-amz-meta-a b', 'a'))).toBe('InvalidRequest');
  });

  test('a checksum by an unknown algorithm', () => {
    for (const operation of ['PutObject', 'UploadPart', 'CompleteMultipartUpload'] as const) {
      expect(codeOf(() => screen(operation, 'x-amz-checksum-md4', 'AAAA'))).toBe('InvalidRequest');
    }
  });

  test.each(['snowball-auto-extract', 'minio-snowball-prefix', 'minio-object-perf', 'x-minio-internal-a'])(
    'metadata that is a command to the backend: %s',
    (name) => {
      for (const operation of ['PutObject', 'CreateMultipartUpload'] as const) {
        for (const value of ['true', 'false', '']) {
          expect(codeOf(() => screen(operation, `x-amz-meta-${name}`, value))).toBe('NotImplemented');
        }
      }
      expect(screen('PutObject', `x-amz-meta-a-${name}`, 'a').size).toBe(1);
      expect(screen('UploadPart', `x-amz-meta-${name}`, 'true').size).toBe(0);
    },
  );

  test.each(['x-minio-extract', 'x-minio-meta-a', 'x-minio-source-mtime', 'x-minio-replication-a'])(
    'or rather never passed on: %s',
    (name) => {
      expect(screen('PutObject', name, 'true').size).toBe(0);
    },
  );

  test('If-None-Match with an entity tag', () => {
    expect(codeOf(() => screen('PutObject', 'if-none-match', '"a"'))).toBe('NotImplemented');
  });

  test('a field given twice, unless it is a list', () => {
    for (const name of ['content-type', 'x-amz-tagging', 'x-amz-server-side-encryption', 'content-md5', 'if-match']) {
      expect(codeOf(() => screen('PutObject', name, 'a', name, 'a'))).toBe('InvalidRequest');
    }
    for (const name of ['cache-control', 'content-encoding', 'content-language', 'x-amz-meta-a']) {
      expect(screen('PutObject', name, 'a', name, 'b').get(name)).toBe('a, b');
    }
  });

  test('more than 2 KiB of metadata, names without their prefix counted', () => {
    const fields = (bytes: number): string[] => ['x-amz-meta-ab', 'x'.repeat(1000), 'x-amz-meta-c', 'x'.repeat(bytes)];
    expect(screen('PutObject', ...fields(1045)).size).toBe(2);
    expect(codeOf(() => screen('PutObject', ...fields(1046)))).toBe('MetadataTooLarge');
    expect(codeOf(() => screen('CreateMultipartUpload', ...fields(1046)))).toBe('MetadataTooLarge');
    expect(screen('UploadPart', ...fields(1046)).size).toBe(0);
  });
});
