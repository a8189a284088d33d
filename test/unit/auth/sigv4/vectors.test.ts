// The examples that AWS publishes: Amazon S3 API Reference, "Signature Calculations for the Authorization Header:
// Transferring Payload in a Single Chunk", "… in Multiple Chunks", "Including Trailing Headers", "Using Query Parameters".
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAuthenticator } from '../../../../src/auth/authenticate.ts';
import type { Authentication, AuthRequest } from '../../../../src/auth/authentication.ts';
import { presignUrl } from '../../../../src/auth/sigv4/presign.ts';
import type { ChunkSignatures } from '../../../../src/payload.ts';
import { accessKey, emptySha256, secretKey, sha256, sigv4Config, toRequest } from '../../../support/sigv4.ts';

const nowMs = Date.UTC(2013, 4, 24);
const host = 'examplebucket.s3.amazonaws.com';
const date = '20130524T000000Z';
const scope = '20130524/us-east-1/s3/aws4_request';
const subject = 'example';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: nowMs });
});
afterEach(() => {
  vi.useRealTimers();
});

const replays = { claim() {}, async close() {} };
const authenticate = createAuthenticator({ enabled: true, sigv4: sigv4Config }, { replays });

function withSignature(request: Omit<Parameters<typeof toRequest>[0], 'rawQuery'>, signature: string, query = '') {
  const names = Object.keys(request.fields).toSorted().join(';');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope},SignedHeaders=${names},Signature=${signature}`;
  return toRequest({ ...request, rawQuery: query, fields: { ...request.fields, authorization } });
}

async function expectOnlyThis(request: AuthRequest, signature: string): Promise<Authentication> {
  const other = signature.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  const changed = toRequest({
    ...request,
    fields: {
      ...Object.fromEntries(request.headers),
      authorization: request.headers.get('authorization')?.replace(signature, other) ?? '',
    },
  });
  await expect(authenticate(changed)).rejects.toMatchObject({ code: 'SignatureDoesNotMatch', status: 403 });
  return authenticate(request);
}

test('GET Object', async () => {
  const fields = { host, range: 'bytes=0-9', 'x-amz-content-sha256': emptySha256, 'x-amz-date': date };
  const signature = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
  const request = withSignature({ method: 'GET', rawPath: '/test.txt', fields }, signature);
  expect(await expectOnlyThis(request, signature)).toEqual({
    principal: { kind: 'sigv4', subject, accessKeyId: accessKey, expiresAtMs: nowMs + 900_000 },
    payload: { kind: 'plain', sha256: emptySha256 },
    headers: request.headers,
    isByCookie: false,
  });
});

test('PUT Object', async () => {
  const fields = {
    host,
    date: 'Fri, 24 May 2013 00:00:00 GMT',
    'x-amz-date': date,
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': sha256('Welcome to Amazon S3.'),
  };
  const signature = '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd';
  // The example signs test%24file.text; a dollar sign may stand as it is.
  for (const rawPath of ['/test%24file.text', '/test$file.text']) {
    const request = withSignature({ method: 'PUT', rawPath, fields }, signature);
    expect(await expectOnlyThis(request, signature)).toMatchObject({
      payload: { kind: 'plain', sha256: '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072' },
    });
  }
});

test.each([
  ['GET Bucket Lifecycle', 'lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  [
    'Get Bucket (List Objects)',
    'max-keys=2&prefix=J',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
])('%s', async (_, query, signature) => {
  const fields = { host, 'x-amz-content-sha256': emptySha256, 'x-amz-date': date };
  const request = withSignature({ method: 'GET', rawPath: '/', fields }, signature, query);
  expect(await expectOnlyThis(request, signature)).toMatchObject({ principal: { subject } });
});

test('a presigned URL', async () => {
  const signature = 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
  const rawQuery = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(`${accessKey}/${scope}`)}`,
    `X-Amz-Date=${date}`,
    'X-Amz-Expires=86400',
    'X-Amz-SignedHeaders=host',
    `X-Amz-Signature=${signature}`,
  ].join('&');
  const request = toRequest({ method: 'GET', rawPath: '/test.txt', rawQuery, fields: { host } });
  expect(await authenticate(request)).toEqual({
    principal: { kind: 'sigv4', subject, accessKeyId: accessKey, expiresAtMs: nowMs + 86_400_000 },
    payload: { kind: 'plain', sha256: undefined },
    headers: request.headers,
    isByCookie: false,
  });
  const url = presignUrl({
    method: 'GET',
    url: `https://${host}/test.txt`,
    credential: { accessKey, secretKey },
    region: 'us-east-1',
    service: 's3',
    expiresSeconds: 86_400,
    nowMs,
  });
  expect(url).toBe(`https://${host}/test.txt?${rawQuery}`);
});

const chunks = [sha256('a'.repeat(65_536)), sha256('a'.repeat(1024)), emptySha256];

function signaturesOf({ payload }: Authentication): ChunkSignatures {
  if (payload.kind !== 'aws-chunked' || payload.signatures === undefined) throw new Error('no signed chunks');
  return payload.signatures;
}

test('a chunked upload', async () => {
  const fields = {
    host: 's3.amazonaws.com',
    'content-encoding': 'aws-chunked',
    'content-length': '66824',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'x-amz-date': date,
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  };
  const signature = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
  const request = withSignature({ method: 'PUT', rawPath: '/examplebucket/chunkObject.txt', fields }, signature);
  const authentication = await expectOnlyThis(request, signature);
  expect(authentication.payload).toMatchObject({ kind: 'aws-chunked', hasTrailer: false, isSigned: true });
  const signatures = signaturesOf(authentication);
  const expected = [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ];
  for (const [index, chunk] of chunks.entries()) signatures.verifyChunk(chunk, expected[index] ?? '');
});

test('a chunked upload with a trailer', async () => {
  const fields = {
    host: 's3.amazonaws.com',
    'content-encoding': 'aws-chunked',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-date': date,
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
  };
  const signature = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
  const request = withSignature({ method: 'PUT', rawPath: '/examplebucket/chunkObject.txt', fields }, signature);
  const authentication = await expectOnlyThis(request, signature);
  expect(authentication.payload).toMatchObject({ kind: 'aws-chunked', hasTrailer: true, isSigned: true });
  const signatures = signaturesOf(authentication);
  const expected = [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
  ];
  for (const [index, chunk] of chunks.entries()) signatures.verifyChunk(chunk, expected[index] ?? '');
  signatures.verifyTrailer(
    sha256('x-amz-checksum-crc32c:sOO8/Q==\n'),
    'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
  );
});
