// The benchmark's signed uploads: the same bytes as those that the tests' own signer makes.
import { describe, expect, it } from 'vitest';
import { objectPath } from '../../../bench/load/arm.ts';
import { accessKey, region, secretKey } from '../../../bench/load/credentials.ts';
import { joinFrames } from '../../../bench/load/frames.ts';
import { signUpload, type SignedForm } from '../../../bench/load/sign-upload.ts';
import { type PayloadMode, signS3Request } from '../../support/sign-s3-request.ts';

const host = '127.0.0.1:9000';
const now = new Date('2026-01-02T03:04:05Z');
const payload = Buffer.from('abcdefghijklmnopqrstuvw');
const chunks = { kind: 'chunks', chunkBytes: 10 } as const;

const forms: readonly (readonly [PayloadMode, SignedForm])[] = [
  ['UNSIGNED-PAYLOAD', { kind: 'unsigned' }],
  ['sha256', { kind: 'hash' }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', { ...chunks, isSigned: true }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', { ...chunks, isSigned: true, trailer: 'crc32' }],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { ...chunks, isSigned: false, trailer: 'crc32' }],
];

describe.each(forms)('an upload signed as %s', (mode, form) => {
  // The payload is repeated: 57 bytes are two and a half of it, and the last chunk is a short one.
  it.each([0, 1, 10, payload.length, 57])('of %i bytes', (bytes) => {
    const body = Buffer.alloc(bytes, payload);
    const headers = form.kind === 'chunks' ? { 'content-encoding': 'aws-chunked' } : {};
    const expected = signS3Request({
      credential: { accessKey, secretKey, region },
      method: 'PUT',
      host,
      path: objectPath,
      headers,
      body,
      mode,
      chunkBytes: 10,
      date: now,
    });
    const signed = signUpload(host, { payload, bytes }, form, now);
    const fields = new Map(signed.headers.map((line) => [line.split(':')[0]?.toLowerCase(), line.split(': ')[1]]));
    const wire = signed.frames === undefined ? body : joinFrames(signed.frames, body);
    expect(fields.get('authorization')).toBe(expected.headers['authorization']);
    expect(fields.get('x-amz-content-sha256')).toBe(expected.headers['x-amz-content-sha256']);
    expect(wire).toEqual(expected.body);
  });
});
