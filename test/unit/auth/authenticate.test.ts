// Which credential counts, by what a bucket takes and what a request brings; each kind has tests of its own.
import { beforeEach, describe, expect, test } from 'vitest';
import { createAuthenticator, type AuthRequest } from '../../../src/auth/authenticate.ts';
import { signToken } from '../../../src/auth/jwt/sign-token.ts';
import type { EnabledAuthConfig, SigV4Config, TokenSource } from '../../../src/config/config.ts';
import { RequestHeaders } from '../../../src/http.ts';
import { presignS3Url, signS3Request } from '../../support/sign-s3-request.ts';
import { badToken, newConfig, noToken, refusalOf, secret, seenOf } from './jwt/tokens.ts';

const host = 'uploads.example.com';
const sha256OfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const services = { replays: { claim: () => {}, close: async () => {} } };
const credential = { accessKey: 'TESTACCESSKEY', secretKey: 'a-secret-key-of-these-tests', region: 'us-east-1' };
const sigv4: SigV4Config = {
  credentials: [{ ...credential, subject: 'robot' }],
  region: credential.region,
  service: 's3',
  maxClockSkewMs: 900_000,
  rejectReplays: false,
  allowUnsignedPayload: true,
};
const everywhere: TokenSource[] = [
  { type: 'bearer' },
  { type: 'query', name: 'token' },
  { type: 'header', name: 'x-auth-token' },
  { type: 'cookie', name: 'session' },
];
const jwt = newConfig({ tokenSources: everywhere });

const authenticator = (more: Omit<EnabledAuthConfig, 'enabled'>) =>
  createAuthenticator({ enabled: true, ...more }, services);
const request = (fields: Readonly<Record<string, string>> = {}, rawQuery = ''): AuthRequest => ({
  method: 'PUT',
  rawPath: '/uploads/key',
  rawQuery,
  headers: new RequestHeaders(Object.entries(fields).flat()),
  host,
});
const signed = (mode: Parameters<typeof signS3Request>[0]['mode'] = 'sha256', headers: Record<string, string> = {}) => {
  const { headers: fields } = signS3Request({
    credential,
    method: 'PUT',
    host,
    path: '/uploads/key',
    body: Buffer.alloc(0),
    mode,
    headers,
  });
  return fields;
};
const presigned = () => presignS3Url({ credential, method: 'PUT', host, path: '/uploads/key' }).split('?')[1];

let token: string;
beforeEach(async () => {
  token = await signToken({ algorithm: 'HS256', secret, subject: 'alice', ttlSeconds: 60 });
});
const plain = { kind: 'plain', sha256: undefined };

describe('where nobody is asked for credentials', () => {
  const authenticate = createAuthenticator({ enabled: false }, services);

  test('everybody is anonymous, whatever they bring', async () => {
    const all = [
      request(),
      request({ authorization: 'Bearer nonsense' }),
      request({ authorization: 'AWS4-HMAC-SHA256 nonsense' }),
    ];
    for (const one of all) {
      expect(await authenticate(one)).toEqual({
        principal: { kind: 'anonymous' },
        payload: plain,
        headers: one.headers,
        isByCookie: false,
      });
    }
  });

  test('what a presigned URL carries in its query counts, though nobody checks who has signed it', async () => {
    const query = `${presigned()}&x-amz-meta-from=url&X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER`;
    const { headers, payload } = await authenticate(request({ host }, query));
    expect([...headers].filter(([name]) => name !== 'host')).toEqual([
      ['x-amz-meta-from', 'url'],
      ['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'],
    ]);
    expect(payload).toMatchObject({ kind: 'aws-chunked', hasTrailer: true });
    const spelt = await authenticate(request({}, 'x%2Damz-meta-from=url'));
    expect([...spelt.headers]).toEqual([['x-amz-meta-from', 'url']]);
  });

  test('signed chunks are read, though nobody can check them', async () => {
    const { payload } = await authenticate(request(signed('STREAMING-AWS4-HMAC-SHA256-PAYLOAD')));
    expect(payload).toEqual({ kind: 'aws-chunked', hasTrailer: false, isSigned: true, signatures: undefined });
  });
});

describe('where tokens are taken', () => {
  test('from every source that is configured', async () => {
    const authenticate = authenticator({ jwt });
    const ways = [
      request({ authorization: `Bearer ${token}` }),
      request({}, `token=${token}`),
      request({ 'x-auth-token': token }),
      request({ cookie: `a=b; session=${token}` }),
    ];
    for (const way of ways) {
      const { principal, payload, headers, isByCookie } = await authenticate(way);
      expect(principal).toMatchObject({ kind: 'jwt', subject: 'alice' });
      expect(isByCookie).toBe(way.headers.has('cookie'));
      expect(payload).toEqual(plain);
      expect(headers).toBe(way.headers);
    }
  });

  test('and from no other', async () => {
    const authenticate = authenticator({ jwt: newConfig() });
    expect(await authenticate(request({ authorization: `Bearer ${token}` }))).toMatchObject({
      principal: { kind: 'jwt' },
    });
    expect(
      await seenOf(authenticate(request({ 'x-auth-token': token, cookie: `session=${token}` }, `token=${token}`))),
    ).toEqual(noToken);
  });

  test('nothing, a broken token and one that is wrong are told apart by the challenge alone', async () => {
    const authenticate = authenticator({ jwt });
    expect(await seenOf(authenticate(request()))).toEqual(noToken);
    expect(await seenOf(authenticate(request({ authorization: 'Basic YTpi' })))).toEqual(noToken);
    expect(await seenOf(authenticate(request({ authorization: 'Bearer' })))).toEqual(badToken);
    expect(await seenOf(authenticate(request({}, `token=${token}&token=${token}`)))).toEqual(badToken);
    expect(await seenOf(authenticate(request({ authorization: `Bearer ${token}x` })))).toEqual(badToken);
    expect(await seenOf(authenticate(request({ authorization: 'Bearer', cookie: `session=${token}` })))).toEqual(
      badToken,
    );
  });

  test('parameters that begin as header fields do have no place beside a token', async () => {
    const authenticate = authenticator({ jwt });
    const withQuery = (rawQuery: string) => authenticate(request({ authorization: `Bearer ${token}` }, rawQuery));
    for (const rawQuery of ['x-amz-acl=private', 'X-Amz-Meta-A=1', 'x%2Damz-meta-a=1']) {
      expect(await refusalOf(withQuery(rawQuery))).toMatchObject({ code: 'InvalidArgument' });
    }
    expect(await withQuery('partNumber=1&uploadId=a%2Fb')).toMatchObject({ principal: { subject: 'alice' } });
    expect(await refusalOf(authenticate(request({}, 'x-amz-acl=private')))).toMatchObject({ code: 'Unauthorized' });
  });

  test('a signature is no token', async () => {
    const authenticate = authenticator({ jwt });
    expect(await seenOf(authenticate(request(signed())))).toEqual(noToken);
    expect(await seenOf(authenticate(request({}, presigned())))).toEqual(noToken);
  });

  test('the payload may be hashed or chunked, but not in signed chunks: nobody has signed them', async () => {
    const authenticate = authenticator({ jwt });
    const withPayload = (value: string) =>
      authenticate(request({ authorization: `Bearer ${token}`, 'x-amz-content-sha256': value }));
    expect(await withPayload(sha256OfNothing)).toMatchObject({ payload: { kind: 'plain', sha256: sha256OfNothing } });
    expect(await withPayload('STREAMING-UNSIGNED-PAYLOAD-TRAILER')).toMatchObject({
      payload: { isSigned: false, hasTrailer: true },
    });
    for (const value of ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER']) {
      expect(await refusalOf(withPayload(value))).toMatchObject({ code: 'InvalidRequest', status: 400 });
    }
    expect(await refusalOf(withPayload('nonsense'))).toMatchObject({ code: 'InvalidArgument' });
  });
});

describe('where signatures are taken', () => {
  test('in the header and in the query', async () => {
    const authenticate = authenticator({ sigv4 });
    for (const way of [request(signed()), request({ host }, presigned())]) {
      expect(await authenticate(way)).toMatchObject({ principal: { kind: 'sigv4', subject: 'robot' } });
    }
    expect(await authenticate(request(signed()))).toMatchObject({
      payload: { kind: 'plain', sha256: sha256OfNothing },
    });
  });

  test('a token is no signature, and neither is nothing', async () => {
    const authenticate = authenticator({ sigv4 });
    for (const way of [request(), request({ authorization: `Bearer ${token}` }), request({}, `token=${token}`)]) {
      expect(await refusalOf(authenticate(way))).toMatchObject({ code: 'AccessDenied', status: 403, headers: [] });
    }
  });
});

describe('where both are taken', () => {
  const both = authenticator({ jwt, sigv4 });

  test('either counts', async () => {
    expect(await both(request(signed()))).toMatchObject({ principal: { kind: 'sigv4' } });
    expect(await both(request({ host }, presigned()))).toMatchObject({ principal: { kind: 'sigv4' } });
    expect(await both(request({ authorization: `Bearer ${token}` }))).toMatchObject({ principal: { kind: 'jwt' } });
    expect(await seenOf(both(request()))).toEqual(noToken);
  });

  test('one of them wrong is not made up for by another kind', async () => {
    const wrong = request({ ...signed(), 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' });
    expect(await refusalOf(both(wrong))).toMatchObject({ code: 'SignatureDoesNotMatch', status: 403 });
    expect(await seenOf(both(request({ authorization: 'Bearer nonsense' })))).toEqual(badToken);
  });

  test('two of them are refused, even if both are right', async () => {
    const ways = [
      request({ ...signed(), 'x-auth-token': token }),
      request({ ...signed(), cookie: `session=${token}` }),
      request({ authorization: `Bearer ${token}` }, presigned()),
      request({ host, 'x-auth-token': token }, presigned()),
      request({ host }, `${presigned()}&token=${token}`),
    ];
    for (const way of ways) expect(await refusalOf(both(way))).toMatchObject({ code: 'InvalidArgument', status: 400 });
  });
});
