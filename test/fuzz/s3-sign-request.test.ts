// Our SigV4 beside the one of the AWS SDK, on anything that a client may send.
import { SignatureV4 } from '@smithy/signature-v4';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeKey, percentEncode } from '../../src/uri/percent-encode.ts';
import { createRequestSigner } from '../../src/storage/s3/sign-request.ts';
import { Sha256 } from '../support/smithy-sha256.ts';

const noControls = (text: string): boolean => !/[\0\r\n]/.test(text);
const value = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.string({ maxLength: 30 })).filter(noControls);
const name = fc.constantFrom(
  'content-type',
  'content-md5',
  'cache-control',
  'if-none-match',
  'x-amz-meta-a',
  'x-amz-meta-b-c',
  'x-amz-checksum-crc32',
  'x-amz-storage-class',
  'expires',
);
const request = fc.record({
  key: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  uploadId: fc.option(fc.string({ minLength: 1, maxLength: 20 }), { nil: undefined }),
  partNumber: fc.integer({ min: 1, max: 10_000 }),
  headers: fc.uniqueArray(fc.tuple(name, value), { selector: ([each]) => each, maxLength: 6 }),
  sessionToken: fc.option(fc.base64String({ minLength: 4, maxLength: 40 }), { nil: undefined }),
  secretAccessKey: fc.string({ minLength: 1, maxLength: 45 }),
  nowMs: fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2099, 0) }),
});

const sign = createRequestSigner('eu-central-1');

test('the signatures are the same', async () => {
  await fc.assert(
    fc.asyncProperty(request, async ({ key, uploadId, partNumber, headers, sessionToken, secretAccessKey, nowMs }) => {
      const credentials = { accessKeyId: 'AKID', secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
      const host = 'bucket.example:9000';
      const path = `/${encodeKey(key)}`;
      const query = uploadId === undefined ? '' : `partNumber=${partNumber}&uploadId=${percentEncode(uploadId)}`;
      const payloadHash = 'UNSIGNED-PAYLOAD';
      const toSign = { method: 'PUT', path, query, host, headers: new Map(headers), payloadHash };
      const lines = sign(toSign, credentials, nowMs);

      const signer = new SignatureV4({
        service: 's3',
        region: 'eu-central-1',
        credentials,
        sha256: Sha256,
        uriEscapePath: false,
      });
      const signed = await signer.sign(
        {
          method: 'PUT',
          protocol: 'http:',
          hostname: 'bucket.example',
          port: 9000,
          path,
          query: uploadId === undefined ? {} : { partNumber: String(partNumber), uploadId },
          headers: { ...Object.fromEntries(headers), host, 'x-amz-content-sha256': payloadHash },
        },
        { signingDate: new Date(nowMs), signableHeaders: new Set(['cache-control']) },
      );
      const expected = signed.headers['authorization']?.replaceAll(', ', ',');
      expect(lines.split('\r\n').at(-2)).toBe(`authorization: ${expected}`);
      expect(lines).toContain(`x-amz-date: ${signed.headers['x-amz-date']}\r\n`);
    }),
    { numRuns: 2000 },
  );
});

test('a path or query value holds nothing but what RFC 3986 leaves unreserved, and means the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(percentEncode(text)).toMatch(/^(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*$/);
      expect(decodeURIComponent(percentEncode(text))).toBe(text);
      expect(encodeKey(text)).toMatch(/^(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*$/);
      expect(decodeURIComponent(encodeKey(text))).toBe(text);
    }),
  );
});
