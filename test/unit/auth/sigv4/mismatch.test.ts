// What is told to the log of a signature that does not match, and what is not.
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { AuthServices } from '../../../../src/auth/authentication.ts';
import { accessKey, secretKey, signedByHeader, signedByQuery } from '../../../support/sigv4.ts';
import { authenticatorWith, codeOf, stopClock } from './ask-authenticator.ts';

stopClock();

describe('a mismatch', () => {
  const onMismatch = vi.fn<NonNullable<AuthServices['onMismatch']>>();
  const sessionToken = 'the-session-token';
  const loud = authenticatorWith(
    { credentials: [{ accessKey, secretKey, sessionToken, subject: 's' }] },
    { onMismatch },
  );
  beforeEach(() => {
    onMismatch.mockClear();
  });

  test('is explained, without what is secret', async () => {
    const fields = {
      'x-amz-security-token': sessionToken,
      'x-amz-server-side-encryption-customer-key': 'the-customer-key',
      cookie: 'the-cookie',
      'x-auth-token': 'the-token',
    };
    const request = { ...signedByHeader({ fields }), method: 'POST', id: 'the-id-of-the-request' };
    expect(await codeOf(loud(request))).toBe('SignatureDoesNotMatch');
    expect(onMismatch).toHaveBeenCalledExactlyOnceWith({
      requestId: 'the-id-of-the-request',
      canonicalRequest: [
        'POST',
        '/examplebucket/key',
        '',
        'cookie:***',
        'host:s3.example:9000',
        'x-amz-content-sha256:UNSIGNED-PAYLOAD',
        'x-amz-date:20130524T000000Z',
        'x-amz-security-token:***',
        'x-amz-server-side-encryption-customer-key:***',
        'x-auth-token:***',
        '',
        'cookie;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-server-side-encryption-customer-key;x-auth-token',
        'UNSIGNED-PAYLOAD',
      ].join('\n'),
      stringToSign: expect.stringMatching(
        /^AWS4-HMAC-SHA256\n20130524T000000Z\n20130524\/us-east-1\/s3\/aws4_request\n[0-9a-f]{64}$/,
      ),
    });
  });

  test('shows fields and parameters that hold no secret, and those alone', async () => {
    const shown = {
      'accept-language': 'en-GB',
      'amz-sdk-request': 'attempt=1',
      'content-type': 'text/plain',
      'if-none-match': 'x',
      'x-amz-checksum-crc32': 'AAAAAA==',
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-tagging': 'a=b',
    };
    const masked = {
      'accept-token': 'secret',
      'content-token': 'secret',
      'host-token': 'secret',
      'if-token': 'secret',
      'my-host': 'secret',
      'x-amz-copy-source-server-side-encryption-customer-key': 'secret',
      'x-amz-copy-source-server-side-encryption-customer-key-md5': 'secret',
      'x-amz-meta-password': 'secret',
      'x-amz-mfa': 'secret 123456',
      'x-amz-of-the-future': 'secret',
      'x-amz-s3session-token': 'secret',
      'x-amz-server-side-encryption-context': 'secret',
      'x-amz-server-side-encryption-customer-key': 'secret',
      'x-amz-server-side-encryption-customer-key-md5': 'secret',
    };
    const fields = { 'x-amz-security-token': sessionToken, ...shown, ...masked };
    expect(await codeOf(loud({ ...signedByHeader({ fields }), method: 'POST' }))).toBe('SignatureDoesNotMatch');
    const ofHeader = onMismatch.mock.calls[0]?.[0].canonicalRequest;
    for (const [name, value] of Object.entries(shown)) expect(ofHeader).toContain(`\n${name}:${value}\n`);
    for (const name of Object.keys(masked)) expect(ofHeader).toContain(`\n${name}:***\n`);
    expect(ofHeader).not.toContain('secret');

    const plain = ['X-Amz-Content-Sha256=UNSIGNED-PAYLOAD', 'x-amz-storage-class=STANDARD', 'x-id=PutObject'];
    const rawQuery = `my-x-id=the-first&${plain.join('&')}&x-amz-s3session-token=the-third&x-id-token=the-second`;
    expect(await codeOf(loud({ ...signedByQuery({ rawQuery, sessionToken }), method: 'POST' }))).toBe(
      'SignatureDoesNotMatch',
    );
    const ofQuery = onMismatch.mock.calls[1]?.[0].canonicalRequest.split('\n')[2]?.split('&');
    const unknown = ['my-x-id=***', 'x-amz-s3session-token=***', 'x-id-token=***'];
    expect(ofQuery).toEqual(expect.arrayContaining([...unknown, ...plain]));
  });

  test('of a part without its upload id, with which anybody could go on with the upload', async () => {
    const fields = { 'x-amz-security-token': sessionToken };
    const request = signedByHeader({ fields, rawQuery: 'partNumber=1&uploadId=the-upload-id' });
    expect(await codeOf(loud({ ...request, method: 'POST' }))).toBe('SignatureDoesNotMatch');
    expect(onMismatch.mock.calls[0]?.[0].canonicalRequest).toContain('\npartNumber=1&uploadId=***\n');
  });

  test('of a presigned URL likewise', async () => {
    const rawQuery = 'x-amz-server-side-encryption-customer-key=the-customer-key';
    const request = signedByQuery({ rawQuery, sessionToken });
    expect(await codeOf(loud({ ...request, method: 'POST' }))).toBe('SignatureDoesNotMatch');
    const canonicalRequest = onMismatch.mock.calls[0]?.[0].canonicalRequest;
    expect(canonicalRequest).toContain(
      '\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=***%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=',
    );
    expect(canonicalRequest).toContain('&X-Amz-Security-Token=***&');
    expect(canonicalRequest).toContain('&x-amz-server-side-encryption-customer-key=***\n');
    for (const secret of [sessionToken, 'the-customer-key', accessKey, secretKey, /Signature=[0-9a-f]/]) {
      expect(canonicalRequest).not.toMatch(secret);
    }
  });

  test('is the only thing that is explained', async () => {
    const right = signedByQuery({ sessionToken });
    await loud(right);
    await expect(loud(signedByHeader())).rejects.toMatchObject({ code: 'InvalidToken' });
    await expect(loud(signedByHeader({ accessKey: 'unknown' }))).rejects.toMatchObject({ code: 'InvalidAccessKeyId' });
    expect(onMismatch).not.toHaveBeenCalled();
  });
});
