// Which operation a request asks for, and which refusal it gets.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { RequestHeaders } from '../../../src/http.ts';
import { parseOperation, type Operation } from '../../../src/routing/parse-operation.ts';

const sized = ['content-length', '3'];
const parse = (method: string, rawQuery: string, fields: readonly string[] = sized, key: string | undefined = 'key') =>
  parseOperation({ method, rawQuery, headers: new RequestHeaders(fields) }, key);

function refusalOf(run: () => Operation): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('was not refused');
}
const codeOf = (method: string, query: string, fields: readonly string[] = sized): string =>
  refusalOf(() => parse(method, query, fields)).code;

test.each<[string, string, Operation]>([
  ['PUT', '', { name: 'PutObject' }],
  ['PUT', 'x-id=PutObject', { name: 'PutObject' }],
  ['PUT', 'unknown=value&X-Amz-Expires=60', { name: 'PutObject' }],
  ['POST', 'uploads', { name: 'CreateMultipartUpload' }],
  ['POST', 'uploads=&x-id=CreateMultipartUpload', { name: 'CreateMultipartUpload' }],
  ['PUT', 'partNumber=1&uploadId=a%2Bb', { name: 'UploadPart', partNumber: 1, uploadId: 'a+b' }],
  ['PUT', 'uploadId=a+b&partNumber=10000', { name: 'UploadPart', partNumber: 10_000, uploadId: 'a+b' }],
  ['POST', 'uploadId=u', { name: 'CompleteMultipartUpload', uploadId: 'u' }],
  ['DELETE', 'uploadId=u&x-id=AbortMultipartUpload', { name: 'AbortMultipartUpload', uploadId: 'u' }],
  ['GET', 'uploadId=u', { name: 'ListParts', uploadId: 'u', maxParts: 1000, partNumberMarker: 0 }],
  [
    'GET',
    'uploadId=u&max-parts=2&part-number-marker=7',
    { name: 'ListParts', uploadId: 'u', maxParts: 2, partNumberMarker: 7 },
  ],
  [
    'GET',
    'uploadId=u&max-parts=2147483647&part-number-marker=2147483647',
    { name: 'ListParts', uploadId: 'u', maxParts: 1000, partNumberMarker: 2_147_483_647 },
  ],
  ['GET', 'uploadId=u&max-parts=5000', { name: 'ListParts', uploadId: 'u', maxParts: 1000, partNumberMarker: 0 }],
])('%s ?%s', (method, query, operation) => {
  expect(parse(method, query)).toEqual(operation);
});

describe('a bucket', () => {
  const ofBucket = (method: string, query: string): Operation =>
    parseOperation({ method, rawQuery: query, headers: new RequestHeaders(sized) }, undefined);

  test('can be asked whether it is there, and where', () => {
    expect(ofBucket('HEAD', '')).toEqual({ name: 'HeadBucket' });
    expect(ofBucket('GET', 'location')).toEqual({ name: 'GetBucketLocation' });
    expect(ofBucket('GET', 'location=&x-id=GetBucketLocation')).toEqual({ name: 'GetBucketLocation' });
  });

  test.each([
    ['GET', '', 'HEAD'],
    ['GET', 'list-type=2', 'HEAD'],
    ['GET', 'uploads', 'HEAD'],
    ['PUT', '', 'HEAD'],
    ['PUT', 'policy', 'HEAD'],
    ['DELETE', '', 'HEAD'],
    ['POST', 'delete', 'HEAD'],
    ['POST', '', 'HEAD'],
    ['PUT', 'location', 'GET, HEAD'],
    ['OPTIONS', '', 'HEAD'],
  ])('%s ?%s: 405', (method, query, allow) => {
    const refusal = refusalOf(() => ofBucket(method, query));
    expect([refusal.status, refusal.code, refusal.headers]).toEqual([405, 'MethodNotAllowed', [['Allow', allow]]]);
  });
});

describe('methods', () => {
  test.each([
    ['GET', '', 'PUT'],
    ['HEAD', '', 'PUT'],
    ['DELETE', '', 'PUT'],
    ['POST', '', 'PUT'],
    ['PATCH', '', 'PUT'],
    ['put', '', 'PUT'],
    ['GET', 'partNumber=1', 'PUT'],
    ['GET', 'acl', 'PUT'],
    ['GET', 'acl&uploadId=u', 'PUT'],
    ['DELETE', 'versionId=v', 'PUT'],
    ['PUT', 'uploads', 'POST'],
    ['GET', 'uploads', 'POST'],
    ['HEAD', 'uploadId=u', 'GET, PUT, POST, DELETE'],
  ])('%s ?%s: 405', (method, query, allow) => {
    const refusal = refusalOf(() => parse(method, query));
    expect([refusal.status, refusal.code, refusal.headers]).toEqual([405, 'MethodNotAllowed', [['Allow', allow]]]);
  });
});

describe('sub-resources are never stored as content', () => {
  test.each([
    'acl',
    'tagging',
    'retention',
    'legal-hold',
    'torrent',
    'select',
    'select&select-type=2',
    'restore',
    'attributes',
    'append&position=0',
    'renameObject',
    'policy=x',
    'something-new',
    'something-new=',
    'of-x-amz-acl=',
    'ACL',
    'acl&uploadId=u&partNumber=1',
    'uploadId=u&partNumber=1&tagging=',
  ])('?%s', (query) => {
    expect(['PUT', 'POST', 'DELETE'].map((method) => codeOf(method, query))).toEqual(
      Array.from({ length: 3 }, () => 'NotImplemented'),
    );
  });
});

describe('parameters', () => {
  test.each([
    ['PUT', 'partNumber=1'],
    ['PUT', 'uploadId=u'],
    ['PUT', 'partnumber=1&uploadId=u'],
    ...['0', '10001', '-1', '+1', '1.5', '1e3', '0x1', 'x', '', '000001', '%201', '1&partNumber=2'].map((number) => [
      'PUT',
      `partNumber=${number}&uploadId=u`,
    ]),
    ['PUT', 'partNumber=1&uploadId=u&uploadId=u'],
    ['POST', 'uploadId=u&uploadId=v'],
    ['POST', 'uploads&uploadId=u'],
    ['PUT', 'versionId=v'],
    ['GET', 'uploadId=u&max-parts=-1'],
    ['GET', 'uploadId=u&max-parts='],
    ['GET', 'uploadId=u&max-parts=1x'],
    ['GET', 'uploadId=u&max-parts=2147483648'],
    ['GET', 'uploadId=u&max-parts=1&max-parts=2'],
    ['GET', 'uploadId=u&part-number-marker=x'],
  ])('%s ?%s: InvalidArgument', (method = '', query = '') => {
    expect(codeOf(method, query)).toBe('InvalidArgument');
  });

  test('an empty upload id is no upload', () => {
    expect(codeOf('DELETE', 'uploadId=')).toBe('NoSuchUpload');
    expect(codeOf('PUT', 'uploadId&partNumber=1')).toBe('NoSuchUpload');
  });

  test('a query that cannot be decoded', () => {
    expect(codeOf('PUT', 'a=%zz')).toBe('InvalidURI');
  });
});

describe('header fields', () => {
  const part = 'partNumber=1&uploadId=u';

  test.each([
    ['x-amz-copy-source', '/a/b'],
    ['x-amz-rename-source', '/a/b'],
    ['x-amz-write-offset-bytes', '0'],
  ])('%s: %s is not implemented', (name, value) => {
    for (const query of ['', part]) expect(codeOf('PUT', query, [...sized, name, value])).toBe('NotImplemented');
  });

  test.each([
    ['x-amz-decoded-content-length', '3'],
    ['x-amz-trailer', 'x-amz-checksum-crc32'],
  ])('%s: %s belongs to framing, which must be announced', (name, value) => {
    for (const hash of [[], ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD']]) {
      expect(codeOf('PUT', '', [...sized, name, value, ...hash])).toBe('InvalidRequest');
      expect(codeOf('PUT', part, [...sized, ...hash, name, value])).toBe('InvalidRequest');
    }
    const framed = ['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', name, value];
    expect(parse('PUT', '', framed)).toEqual({ name: 'PutObject' });
    expect(parse('PUT', part, ['transfer-encoding', 'chunked', ...framed])).toMatchObject({ name: 'UploadPart' });
  });

  test.each([
    ['x-amz-acl', 'public-read'],
    ['x-amz-acl', ''],
    ['x-amz-grant-read', 'id="a"'],
    ['x-amz-grant-full-control', 'id="a"'],
  ])('%s: %s gives rights, which buckets do not allow', (name, value) => {
    expect(codeOf('PUT', '', [...sized, name, value])).toBe('AccessControlListNotSupported');
    expect(codeOf('POST', 'uploads', [name, value])).toBe('AccessControlListNotSupported');
  });

  test('what asks for nothing passes', () => {
    const fields = [
      ...sized,
      'x-amz-acl',
      'bucket-owner-full-control',
      'x-amz-content-sha256',
      'UNSIGNED-PAYLOAD',
      'content-encoding',
      'gzip',
    ];
    expect(parse('PUT', '', fields)).toEqual({ name: 'PutObject' });
  });

  test('a body needs a length, or for a whole object chunked transfer coding', () => {
    const chunked = ['transfer-encoding', 'chunked'];
    expect(codeOf('PUT', '', [])).toBe('MissingContentLength');
    expect(codeOf('PUT', part, [])).toBe('MissingContentLength');
    expect(codeOf('PUT', part, chunked)).toBe('MissingContentLength');
    expect(parse('PUT', '', chunked)).toEqual({ name: 'PutObject' });
    expect(parse('POST', 'uploads', [])).toEqual({ name: 'CreateMultipartUpload' });
    expect(parse('POST', 'uploadId=u', chunked)).toEqual({ name: 'CompleteMultipartUpload', uploadId: 'u' });
  });

  test.each(['', '+1', '-1', '1.0', '1e3', '0x10', '5, 5', '1 ', '9'.repeat(16)])('Content-Length %j', (length) => {
    expect(codeOf('PUT', '', ['content-length', length])).toBe('InvalidRequest');
  });

  test.each(['0', '9'.repeat(15)])('Content-Length %j is a number of bytes', (length) => {
    expect(parse('PUT', '', ['content-length', length])).toEqual({ name: 'PutObject' });
  });
});

describe('a bucket that names objects', () => {
  const ofBucket = (method: string, rawQuery: string): Operation =>
    parseOperation({ method, rawQuery, headers: new RequestHeaders(sized) }, undefined, true);

  test('takes new ones at its own path', () => {
    expect(ofBucket('PUT', '')).toEqual({ name: 'PutObject' });
    expect(ofBucket('PUT', 'x-id=PutObject')).toEqual({ name: 'PutObject' });
    expect(ofBucket('POST', 'uploads')).toEqual({ name: 'CreateMultipartUpload' });
    expect(ofBucket('HEAD', '')).toEqual({ name: 'HeadBucket' });
    expect(ofBucket('HEAD', 'uploads')).toEqual({ name: 'HeadBucket' });
    expect(ofBucket('GET', 'location')).toEqual({ name: 'GetBucketLocation' });
  });

  test.each([
    ['POST', '', 'MethodNotAllowed'],
    ['POST', 'delete', 'MethodNotAllowed'],
    ['POST', 'uploadId=u', 'MethodNotAllowed'],
    ['PUT', 'uploadId=u&partNumber=1', 'MethodNotAllowed'],
    ['DELETE', '', 'MethodNotAllowed'],
    ['DELETE', 'uploadId=u', 'MethodNotAllowed'],
    ['GET', 'uploadId=u', 'MethodNotAllowed'],
    ['GET', '', 'MethodNotAllowed'],
    ['PUT', 'partNumber=1', 'InvalidArgument'],
    ['PUT', 'policy', 'NotImplemented'],
    ['PUT', 'versioning', 'NotImplemented'],
    ['POST', 'uploads&uploadId=u', 'InvalidArgument'],
  ])('and nothing else: %s ?%s', (method, query, code) => {
    const refusal = refusalOf(() => ofBucket(method, query));
    expect(refusal.code).toBe(code);
    if (code === 'MethodNotAllowed') expect(refusal.headers).toEqual([['Allow', 'HEAD, PUT, POST']]);
  });

  test('asks for a length all the same', () => {
    const put = () => parseOperation({ method: 'PUT', rawQuery: '', headers: new RequestHeaders([]) }, undefined, true);
    expect(refusalOf(put).code).toBe('MissingContentLength');
  });
});
