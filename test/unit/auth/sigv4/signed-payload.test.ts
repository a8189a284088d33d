// What a signed request says of its body, and the signatures of its chunks.
import { describe, expect, test } from 'vitest';
import { RequestHeaders } from '../../../../src/http.ts';
import { emptySha256, hmacOf, secretKey, sha256, signedByHeader, signedByQuery } from '../../../support/sigv4.ts';
import { authenticate, authenticatorWith, codeOf, refusalOf, stopClock } from './ask-authenticator.ts';

stopClock();

describe('the payload', () => {
  const hash = sha256('body');
  const ofHeader = (payloadHash: string) => signedByHeader({ payloadHash });
  const ofField = (payloadHash: string) =>
    signedByQuery({ payloadHash, fields: { 'x-amz-content-sha256': payloadHash } });
  const ofParameter = (payloadHash: string) =>
    signedByQuery({ payloadHash, rawQuery: `X-Amz-Content-Sha256=${payloadHash}` });
  const kinds = [
    ['the header form', ofHeader],
    ['a field of the query form', ofField],
    ['a parameter of the query form', ofParameter],
  ] as const;

  test.each(kinds)('in %s', async (_, sign) => {
    const payloadOf = async (value: string) => (await authenticate(sign(value))).payload;
    expect(await payloadOf('UNSIGNED-PAYLOAD')).toEqual({ kind: 'plain', sha256: undefined });
    expect(await payloadOf(hash)).toEqual({ kind: 'plain', sha256: hash });
    expect(await payloadOf(emptySha256)).toEqual({ kind: 'plain', sha256: emptySha256 });
    const unsigned = { kind: 'aws-chunked', hasTrailer: true, isSigned: false, signatures: undefined };
    expect(await payloadOf('STREAMING-UNSIGNED-PAYLOAD-TRAILER')).toEqual(unsigned);
    for (const hasTrailer of [false, true]) {
      const value = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${hasTrailer ? '-TRAILER' : ''}`;
      const signatures = expect.objectContaining({ verifyChunk: expect.any(Function) });
      expect(await payloadOf(value)).toEqual({ kind: 'aws-chunked', hasTrailer, isSigned: true, signatures });
    }
    expect(await codeOf(payloadOf(hash.toUpperCase()))).toBe('InvalidArgument');
    expect(await codeOf(payloadOf('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD'))).toBe('NotImplemented');
  });

  test.each(kinds)('must be signed where that is configured, in %s', async (_, sign) => {
    const strict = authenticatorWith({ allowUnsignedPayload: false });
    for (const value of ['UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']) {
      expect(await refusalOf(strict(sign(value)))).toMatchObject({
        code: 'AccessDenied',
        message: 'This bucket takes only bodies that are signed: send their SHA-256, or signed chunks.',
      });
    }
    for (const value of [hash, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER']) {
      expect(await strict(sign(value))).toBeDefined();
    }
  });

  test('is unsigned when a presigned URL says nothing of it', async () => {
    expect(await codeOf(authenticatorWith({ allowUnsignedPayload: false })(signedByQuery()))).toBe('AccessDenied');
  });

  test('must be told in the header form', async () => {
    const request = signedByHeader({ signedHeaders: ['host', 'x-amz-date'] });
    const fields = [...request.headers].filter(([name]) => name !== 'x-amz-content-sha256').flat();
    expect(await refusalOf(authenticate({ ...request, headers: new RequestHeaders(fields) }))).toMatchObject({
      code: 'InvalidRequest',
      message: 'Missing required header for this request: x-amz-content-sha256',
    });
  });

  test('is signed even where its field is not among the signed ones', async () => {
    const request = signedByHeader({ payloadHash: hash, signedHeaders: ['host', 'x-amz-date'] });
    expect((await authenticate(request)).payload).toEqual({ kind: 'plain', sha256: hash });
    const changed = [...request.headers].flatMap(([name, value]) => [
      name,
      value === hash ? 'UNSIGNED-PAYLOAD' : value,
    ]);
    const other = { ...request, headers: new RequestHeaders(changed) };
    expect(await codeOf(authenticate(other))).toBe('SignatureDoesNotMatch');
    const added = signedByQuery({ unsignedFields: { 'x-amz-content-sha256': hash } });
    expect(await codeOf(authenticate(added))).toBe('SignatureDoesNotMatch');
  });

  test('in signed chunks begins with the signature of the request', async () => {
    const value = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
    const request = signedByHeader({ payloadHash: value });
    const seed = /Signature=(?<hex>[0-9a-f]{64})/.exec(request.headers.get('authorization') ?? '')?.groups?.['hex'];
    const scope = '20130524/us-east-1/s3/aws4_request';
    const hmac = hmacOf(secretKey, scope);
    const chunk = (previous: string | undefined, hash: string) =>
      hmac(`AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n${scope}\n${previous}\n${emptySha256}\n${hash}`);
    const first = chunk(seed, hash);
    const last = chunk(first, emptySha256);
    const trailer = hmac(`AWS4-HMAC-SHA256-TRAILER\n20130524T000000Z\n${scope}\n${last}\n${hash}`);

    const start = async () => {
      const { payload } = await authenticate(request);
      if (payload.kind !== 'aws-chunked' || payload.signatures === undefined) throw new Error('no signatures');
      return payload.signatures;
    };
    // Two uploads at once do not get in each other's way.
    const [one, other] = [await start(), await start()];
    one.verifyChunk(hash, first);
    other.verifyChunk(hash, first);
    one.verifyChunk(emptySha256, last);
    one.verifyTrailer(hash, trailer);

    const mismatch = expect.objectContaining({ code: 'SignatureDoesNotMatch', status: 403 });
    expect(() => other.verifyChunk(hash, last)).toThrow(mismatch);
    expect(() => other.verifyTrailer(emptySha256, trailer)).toThrow(mismatch);
    const wrong = [
      ['', hash],
      [first.toUpperCase(), hash],
      [first, emptySha256],
      [last, emptySha256],
      [trailer, hash],
    ] as const;
    for (const [signature, ofHash] of wrong) {
      const signatures = await start();
      expect(() => signatures.verifyChunk(ofHash, signature)).toThrow(mismatch);
    }
  });
});
