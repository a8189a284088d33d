// What becomes of a backend's refusals and faults, for the client and for the log.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { ConnectionLost } from '../../../../src/storage/s3/connection-pool.ts';
import { BackendRefusal, parseRetryAfter, readRefusal, toS3Error } from '../../../../src/storage/s3/to-s3-error.ts';

const secret = 'bucket internal-bucket at 10.0.0.7';

function refuse(status: number, code: string | undefined, headers: Record<string, string> = {}): S3Error {
  return toS3Error(new BackendRefusal({ status, code, message: secret, header: (name) => headers[name] }));
}

/** Code and status as the client sees them, and whether another attempt is of use. */
type Row = [status: number, code: string | undefined, told: string, toldStatus: number, retryable: boolean];

test.each<Row>([
  // Codes of the table.
  [400, 'BadDigest', 'BadDigest', 400, false],
  [400, 'InvalidDigest', 'InvalidDigest', 400, false],
  [400, 'InvalidPart', 'InvalidPart', 400, false],
  [400, 'InvalidPartOrder', 'InvalidPartOrder', 400, false],
  [400, 'EntityTooSmall', 'EntityTooSmall', 400, false],
  [404, 'NoSuchUpload', 'NoSuchUpload', 404, false],
  [412, 'PreconditionFailed', 'PreconditionFailed', 412, false],
  [409, 'ConditionalRequestConflict', 'ConditionalRequestConflict', 409, false],
  [403, 'AccessDenied', 'AccessDenied', 403, false],
  [501, 'NotImplemented', 'NotImplemented', 501, false],
  // An error in a 200, as CompleteMultipartUpload may give; the SDK reports 503.
  [503, 'InvalidPart', 'InvalidPart', 400, false],
  [200, 'InternalError', 'ServiceUnavailable', 503, true],
  // Refusals of what the client sent, with codes that the table has not.
  [400, 'KMS.NotFoundException', 'KMS.NotFoundException', 400, false],
  [400, 'InvalidEncryptionAlgorithmError', 'InvalidEncryptionAlgorithmError', 400, false],
  [400, 'InvalidTag', 'InvalidTag', 400, false],
  [409, 'ObjectParentIsFile', 'ObjectParentIsFile', 409, false],
  [400, 'XAmzContentChecksumMismatch', 'BadDigest', 400, false],
  // No code, or one that says who is behind us.
  [400, 'XMinioInvalidObjectName', 'InvalidRequest', 400, false],
  [400, undefined, 'InvalidRequest', 400, false],
  [400, 'In<valid>', 'InvalidRequest', 400, false],
  [400, 'two words', 'InvalidRequest', 400, false],
  [400, 'XAmzContentChecksumInvalid', 'InvalidDigest', 400, false],
  [409, undefined, 'ConditionalRequestConflict', 409, false],
  [403, undefined, 'AccessDenied', 403, false],
  [412, undefined, 'PreconditionFailed', 412, false],
  [413, undefined, 'EntityTooLarge', 413, false],
  [404, undefined, 'InternalError', 500, false],
  [418, undefined, 'InternalError', 500, false],
  // Ours to mend.
  [403, 'SignatureDoesNotMatch', 'InternalError', 500, false],
  [403, 'InvalidAccessKeyId', 'InternalError', 500, false],
  [403, 'RequestTimeTooSkewed', 'InternalError', 500, false],
  [404, 'NoSuchBucket', 'InternalError', 500, false],
  [400, 'AuthorizationHeaderMalformed', 'InternalError', 500, false],
  [301, 'PermanentRedirect', 'InternalError', 500, false],
  [307, 'TemporaryRedirect', 'InternalError', 500, false],
  [302, undefined, 'InternalError', 500, false],
  [401, undefined, 'InternalError', 500, false],
  [300, 'Choose', 'InternalError', 500, false],
  [399, 'Elsewhere', 'InternalError', 500, false],
  [401, 'WhoAreYou', 'InternalError', 500, false],
  [407, 'WhoAreYou', 'InternalError', 500, false],
  [400, 'ExpiredToken', 'ServiceUnavailable', 503, true],
  // Passing.
  [503, 'SlowDown', 'SlowDown', 503, true],
  [503, 'SlowDownWrite', 'SlowDown', 503, true],
  [429, undefined, 'SlowDown', 503, true],
  [500, 'InternalError', 'ServiceUnavailable', 503, true],
  [500, undefined, 'ServiceUnavailable', 503, true],
  [502, undefined, 'ServiceUnavailable', 503, true],
  [503, 'ServiceUnavailable', 'ServiceUnavailable', 503, true],
  [504, undefined, 'ServiceUnavailable', 503, true],
  [408, undefined, 'ServiceUnavailable', 503, true],
  [400, 'RequestTimeout', 'ServiceUnavailable', 503, true],
  [400, 'IncompleteBody', 'ServiceUnavailable', 503, true],
  [409, 'OperationAborted', 'ServiceUnavailable', 503, true],
  ...[
    'BandwidthLimitExceeded',
    'RequestLimitExceeded',
    'SlowDownRead',
    'Throttling',
    'ThrottlingException',
    'TooManyRequests',
  ].map((code): Row => [400, code, 'SlowDown', 503, true]),
  ...['Busy', 'InternalError', 'ServiceUnavailable'].map((code): Row => [400, code, 'ServiceUnavailable', 503, true]),
  // Full.
  [507, 'XMinioStorageFull', 'InsufficientStorage', 507, false],
  [507, undefined, 'InsufficientStorage', 507, false],
  [403, 'QuotaExceeded', 'InsufficientStorage', 507, false],
])('%i %s is told as %s %i, retryable: %s', (status, code, told, toldStatus, retryable) => {
  const error = refuse(status, code);
  expect(error).toMatchObject({ code: told, status: toldStatus, retryable });
  expect(`${error.message} ${JSON.stringify(error.headers)}`).not.toContain('internal-bucket');
  expect(error.cause).toMatchObject({ name: 'BackendRefusal', status, detail: secret });
  expect((error.cause as Error).message).toBe(`the backend answered ${status}`);
});

test('the log has what finds the fault', () => {
  const error = refuse(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1', 'x-amz-request-id': 'R1' });
  expect(error.cause).toMatchObject({ code: 'PermanentRedirect', bucketRegion: 'eu-west-1', requestId: 'R1' });
});

describe('Retry-After', () => {
  test('is read from an answer of the hot path', () => {
    const headers = new Map([['retry-after', '7']]);
    const answer = { status: 503, headers, body: Buffer.alloc(0), keepAlive: true };
    expect(toS3Error(readRefusal(answer))).toMatchObject({ retryable: true, retryAfterMs: 7000 });
  });

  test('goes to the caller', () => {
    expect(refuse(503, 'SlowDown', { 'retry-after': '7' }).retryAfterMs).toBe(7000);
    expect(refuse(503, 'SlowDown').retryAfterMs).toBeUndefined();
  });

  test.each([
    ['0', 0],
    ['120', 120_000],
    ['Sat, 21 Nov 2026 05:12:50 GMT', 5000],
    ['Sat, 21 Nov 2026 05:12:40 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['5 minutes', undefined],
    ['1 Sat, 21 Nov 2026 05:12:50 GMT', undefined],
    ['', undefined],
  ])('%j', (value, expectedMs) => {
    expect(parseRetryAfter(value, Date.UTC(2026, 10, 21, 5, 12, 45))).toBe(expectedMs);
  });
});

test.each([
  ['<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>no</Message></Error>', 'SlowDown', 'no'],
  ['<Error>\n<Code> SlowDown\n</Code></Error>', 'SlowDown', undefined],
  ['<Error><Message>no</Message></Error>', undefined, 'no'],
  ['<html><Code>SlowDown</Code></html>', undefined, undefined],
  ['', undefined, undefined],
  [`<Error><Code>${'x'.repeat(65)}</Code></Error>`, undefined, undefined],
])('the body %j', (body, code, detail) => {
  const refusal = readRefusal({ status: 503, headers: new Map(), body: Buffer.from(body), keepAlive: true });
  expect(refusal).toMatchObject({ status: 503, code, detail, message: 'the backend answered 503' });
});

describe('faults without an answer', () => {
  const withCode = (code: string): Error => Object.assign(new Error(secret), { code });
  const named = (name: string): Error => Object.assign(new Error(secret), { name });

  test.each([
    withCode('ECONNRESET'),
    withCode('ECONNREFUSED'),
    withCode('EPIPE'),
    withCode('ENOTFOUND'),
    withCode('EAI_AGAIN'),
    withCode('HPE_INVALID_CONSTANT'),
    withCode('DEPTH_ZERO_SELF_SIGNED_CERT'),
    withCode('ERR_TLS_CERT_ALTNAME_INVALID'),
    named('TimeoutError'),
    named('CredentialsProviderError'),
    new ConnectionLost(secret),
  ])('%s %#: the service is away', (fault) => {
    const error = toS3Error(fault);
    expect(error).toMatchObject({ code: 'ServiceUnavailable', status: 503, retryable: true, cause: fault });
    expect(error.message).not.toContain('internal-bucket');
  });

  test.each([
    new TypeError(secret),
    withCode('ERR_INVALID_ARG_TYPE'),
    'a string',
    undefined,
    null,
    Object.assign(new Error(secret), { $metadata: null }),
  ])('%s %#: a fault of our own', (fault) => {
    const error = toS3Error(fault);
    expect(error).toMatchObject({ code: 'InternalError', status: 500, retryable: false });
    expect(error.message).not.toContain('internal-bucket');
  });

  test('an S3Error stays what it is', () => {
    const error = new S3Error('InvalidArgument');
    expect(toS3Error(error)).toBe(error);
  });
});

describe('exceptions of the SDK', () => {
  const thrown = (name: string, status: number, headers = {}): Error =>
    Object.assign(new Error(secret), { name, $metadata: { httpStatusCode: status }, $response: { headers } });

  test('are refusals with the name as code', () => {
    const headers = { 'retry-after': '2', 'x-amz-bucket-region': 'eu-west-1' };
    const error = toS3Error(thrown('SlowDown', 503, headers));
    expect(error).toMatchObject({ code: 'SlowDown', retryable: true, retryAfterMs: 2000 });
    expect(error.cause).toMatchObject({ name: 'BackendRefusal', bucketRegion: 'eu-west-1' });
  });

  test.each(['UnknownError', 'Unknown', 'NotFound', '404', 'Error'])('the name %s is no code of S3', (name) => {
    expect(toS3Error(thrown(name, 404)).cause).toMatchObject({ code: undefined, status: 404 });
  });

  test('an answer that is no XML is no refusal', () => {
    const error = Object.assign(new SyntaxError(secret), { $metadata: { httpStatusCode: 200 } });
    expect(toS3Error(error)).toMatchObject({ code: 'ServiceUnavailable', retryable: true });
  });
});
