// SigV4 against the examples that AWS publishes for S3.
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createHmacSha256 } from '../../../../src/sigv4/hmac-sha256.ts';
import { createRequestSigner, type RequestToSign } from '../../../../src/storage/s3/sign-request.ts';

// Amazon S3 API Reference, "Examples: Signature Calculations" (single chunk, Authorization header).
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const then = Date.UTC(2013, 4, 24);
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const request = (changes: Partial<RequestToSign>): RequestToSign => ({
  method: 'GET',
  path: '/',
  query: '',
  host: 'examplebucket.s3.amazonaws.com',
  headers: new Map(),
  payloadHash: emptyHash,
  ...changes,
});
const signatureOf = (lines: string): string | undefined => /,Signature=([0-9a-f]{64})\r\n$/.exec(lines)?.[1];

describe("AWS's examples", () => {
  const sign = createRequestSigner('us-east-1');

  test.each<[string, Partial<RequestToSign>, string]>([
    [
      'GET object',
      { path: '/test.txt', headers: new Map([['range', 'bytes=0-9']]) },
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'PUT object',
      {
        method: 'PUT',
        path: '/test%24file.text',
        headers: new Map([
          ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
          ['date', 'Fri, 24 May 2013 00:00:00 GMT'],
        ]),
        payloadHash: '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      },
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
    ['GET lifecycle', { query: 'lifecycle=' }, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['list', { query: 'max-keys=2&prefix=J' }, '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('%s', (_, changes, signature) => {
    expect(signatureOf(sign(request(changes), credentials, then))).toBe(signature);
  });

  test('the whole head, in order', () => {
    const headers = new Map([['range', 'bytes=0-9']]);
    expect(sign(request({ path: '/test.txt', headers }), credentials, then)).toBe(
      [
        'host: examplebucket.s3.amazonaws.com',
        'range: bytes=0-9',
        `x-amz-content-sha256: ${emptyHash}`,
        'x-amz-date: 20130524T000000Z',
        'authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
          'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,' +
          'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        '',
      ].join('\r\n'),
    );
  });
});

describe('what a signer keeps', () => {
  const sign = createRequestSigner('eu-central-1');
  const fresh = (credentialsNow: typeof credentials, nowMs: number): string =>
    createRequestSigner('eu-central-1')(request({}), credentialsNow, nowMs);

  test('another second, day or secret is not signed with what was kept', () => {
    const other = { accessKeyId: 'OTHER', secretAccessKey: 'other-secret' };
    const dayMs = 86_400_000;
    for (const [who, nowMs] of [
      [credentials, then],
      [credentials, then + 999],
      [credentials, then + 1000],
      [other, then + 1000],
      [other, then + dayMs],
      [credentials, then + dayMs - 1],
      [credentials, then],
    ] as const) {
      expect(sign(request({}), who, nowMs)).toBe(fresh(who, nowMs));
    }
  });

  test('a session token is sent and signed', () => {
    const lines = sign(request({}), { ...credentials, sessionToken: 'to/ken==' }, then);
    expect(lines).toContain('\r\nx-amz-security-token: to/ken==\r\n');
    expect(lines).toContain('SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,');
  });
});

test.each(['a\tb', 'a  b', ' a b', 'a b ', 'a b\t', '\ta \t b '])(
  'the value %j is signed as its folded form, and sent as it is',
  (value) => {
    const linesOf = (text: string) =>
      createRequestSigner('us-east-1')(request({ headers: new Map([['x-amz-meta-a', text]]) }), credentials, then);
    expect(signatureOf(linesOf(value))).toBe(signatureOf(linesOf('a b')));
    expect(linesOf(value)).toContain(`\r\nx-amz-meta-a: ${value}\r\n`);
  },
);

test.each([
  ['x-amz-meta-a', 'a\r\nx-amz-acl: public-read'],
  ['x-amz-meta-a', 'a\nb'],
  ['x-amz-meta-a', 'a\0'],
  ['x-amz-meta-a: b', 'c'],
  ['x-amz-meta-ü', 'c'],
  ['', 'c'],
])('a field that would break the head is refused: %j: %j', (name, value) => {
  const sign = createRequestSigner('us-east-1');
  expect(() => sign(request({ headers: new Map([[name, value]]) }), credentials, then)).toThrow(
    expect.objectContaining({ name: 'S3Error', code: 'InvalidArgument' }),
  );
});

describe('HMAC-SHA-256', () => {
  test.each([0, 1, 32, 64])(
    'a key of %i bytes gives what createHmac gives, for one message after another',
    (keyBytes) => {
      const key = Buffer.alloc(keyBytes, 0xa5);
      const hmac = createHmacSha256(key, 200);
      for (const message of ['first and longer', '', 'x'.repeat(200), 'short']) {
        expect(hmac(message)).toBe(createHmac('sha256', key).update(message).digest('hex'));
      }
    },
  );

  test('what does not fit is refused', () => {
    expect(() => createHmacSha256(Buffer.alloc(65), 10)).toThrow(RangeError);
    expect(() => createHmacSha256(Buffer.alloc(32), 10)('x'.repeat(11))).toThrow(RangeError);
  });
});
