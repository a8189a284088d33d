// Which failures of a call to the backend leave no doubt that it has changed nothing.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { ClientGone } from '../../../src/http.ts';
import { BackendRefusal, toS3Error } from '../../../src/storage/s3/to-s3-error.ts';
import { ConnectionLost } from '../../../src/storage/s3/connection-pool.ts';
import { isRefusal } from '../../../src/telemetry/is-refusal.ts';

const answered = (status: number, code?: string): S3Error =>
  toS3Error(new BackendRefusal({ status, code, message: undefined, header: () => undefined }));
const system = (code: string, syscall?: string): Error => Object.assign(new Error(code), { code, syscall });
const lost = (cause: Error): S3Error => toS3Error(new ConnectionLost('lost', { cause }));

describe('a refusal', () => {
  test.each([
    ['access denied', answered(403, 'AccessDenied')],
    ['a condition that fails', answered(412)],
    ['a bucket that is not there, which is ours to mend', answered(404, 'NoSuchBucket')],
    ['a region that is not the bucket’s', answered(400, 'AuthorizationHeaderMalformed')],
    ['a redirect to the bucket’s own host', answered(301, 'PermanentRedirect')],
    ['a redirect without a word', answered(307)],
    ['a body that did not come in time', answered(400, 'RequestTimeout')],
    ['credentials that have run out', answered(400, 'ExpiredToken')],
    ['too many requests', answered(429)],
    ['slow down', answered(503, 'SlowDown')],
    ['what the backend cannot do', answered(501, 'NotImplemented')],
    ['a full disk', answered(507)],
    ['our own', new S3Error('InvalidPartOrder')],
    ['nobody listens', lost(system('ECONNREFUSED', 'connect'))],
    ['nobody listens on any of its addresses', lost(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }))],
    [
      'nobody can be reached at any of its addresses',
      lost(
        Object.assign(new AggregateError([system('ENETUNREACH', 'connect'), system('ETIMEDOUT', 'connect')]), {
          code: 'ENETUNREACH',
        }),
      ),
    ],
    ['no address that answers in time', lost(system('ERR_SOCKET_CONNECTION_TIMEOUT'))],
    ['a name that nobody knows', lost(system('ENOTFOUND', 'getaddrinfo'))],
    ['a host that is not there', lost(system('EHOSTUNREACH', 'connect'))],
    ['a certificate that is not trusted', lost(system('DEPTH_ZERO_SELF_SIGNED_CERT'))],
  ])('%s', (_, error) => {
    expect(isRefusal(error)).toBe(true);
  });
});

describe('no refusal', () => {
  test.each([
    ['an error of the backend', answered(500, 'InternalError')],
    ['a gateway that has waited too long', answered(504)],
    ['a success without what belongs to it', answered(200)],
    ['a connection that was reset', lost(system('ECONNRESET', 'read'))],
    ['a host that went away in the middle', lost(system('EHOSTUNREACH', 'write'))],
    ['a disk that failed', new S3Error('InternalError', { cause: system('EIO', 'fsync') })],
    ['a client that has left', new ClientGone()],
    ['a fault of ours', new TypeError('a fault')],
  ])('%s', (_, error) => {
    expect(isRefusal(error)).toBe(false);
  });
});
