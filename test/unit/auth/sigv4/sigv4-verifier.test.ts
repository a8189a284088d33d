// Signed requests, right and wrong in one thing each.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAuthenticator } from '../../../../src/auth/authenticate.ts';
import type { AuthRequest, AuthServices } from '../../../../src/auth/authentication.ts';
import type { SigV4Config } from '../../../../src/config/config.ts';
import { S3Error } from '../../../../src/errors.ts';
import { RequestHeaders } from '../../../../src/http.ts';
import {
  accessKey,
  emptySha256,
  hmacOf,
  secretKey,
  sha256,
  signedByHeader,
  signedByQuery,
  sigv4Config,
  type ToPresign,
} from '../../../support/sigv4.ts';

const signedAtMs = Date.UTC(2013, 4, 24);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: signedAtMs });
});
afterEach(() => {
  vi.useRealTimers();
});

const noReplays: AuthServices['replays'] = { claim() {} };

function authenticatorWith(config: Partial<SigV4Config> = {}, services: Partial<AuthServices> = {}) {
  return createAuthenticator(
    { enabled: true, sigv4: { ...sigv4Config, ...config } },
    { replays: noReplays, ...services },
  );
}
const authenticate = authenticatorWith();

async function refusalOf(promise: Promise<unknown>): Promise<S3Error> {
  const error: unknown = await promise.then(
    () => new Error('accepted'),
    (reason: unknown) => reason,
  );
  if (error instanceof S3Error) return error;
  throw error;
}
const codeOf = async (promise: Promise<unknown>): Promise<string> => (await refusalOf(promise)).code;

/** Both forms of one request. */
const forms = [
  ['header', signedByHeader],
  ['query', signedByQuery],
] as const;
const scopeError = { header: 'AuthorizationHeaderMalformed', query: 'AuthorizationQueryParametersError' };

describe.each(forms)('in the %s form', (form, sign) => {
  test('says who it is', async () => {
    const { principal, payload } = await authenticate(sign());
    const untilMs = signedAtMs + (form === 'header' ? 900_000 : 3_600_000);
    expect(principal).toEqual({ kind: 'sigv4', subject: 'example', accessKeyId: accessKey, expiresAtMs: untilMs });
    expect(payload).toEqual({ kind: 'plain', sha256: undefined });
  });

  test.each<[string, Partial<AuthRequest>]>([
    ['method', { method: 'POST' }],
    ['path', { rawPath: '/examplebucket/key2' }],
    ['path, by an encoded slash', { rawPath: '/examplebucket%2Fkey' }],
    ['path, by a slash more', { rawPath: '/examplebucket//key' }],
    ['query', { rawQuery: 'uploads=' }],
    ['host', { host: 's3.example' }],
  ])('another %s', async (_, change) => {
    const request = sign();
    const rawQuery = change.rawQuery === undefined ? request.rawQuery : `${change.rawQuery}&${request.rawQuery}`;
    expect(await codeOf(authenticate({ ...request, ...change, rawQuery }))).toBe('SignatureDoesNotMatch');
  });

  test('another secret, or another credential', async () => {
    expect(await codeOf(authenticate(sign({ secretKey: `${secretKey}x` })))).toBe('SignatureDoesNotMatch');
    const two = authenticatorWith({
      credentials: [
        { accessKey: 'A', secretKey: 'secret of a', subject: 'a' },
        { accessKey: 'B', secretKey: 'secret of b', subject: 'b' },
      ],
    });
    const principal = { kind: 'sigv4', subject: 'b', accessKeyId: 'B' };
    expect(await two(sign({ accessKey: 'B', secretKey: 'secret of b' }))).toMatchObject({ principal });
    expect(await codeOf(two(sign({ accessKey: 'B', secretKey: 'secret of a' })))).toBe('SignatureDoesNotMatch');
  });

  test.each(['', 'x', 'ab'.repeat(31), 'AB'.repeat(32), 'é'.repeat(32), '0'.repeat(64)])(
    'a signature that is %j',
    async (signature) => {
      const request = sign();
      const replace = (text: string) => text.replace(/(Signature=)[0-9a-f]{64}$/, `$1${encodeURIComponent(signature)}`);
      const fields = [...request.headers].flatMap(([name, value]) => [
        name,
        name === 'authorization' ? replace(value) : value,
      ]);
      const changed = { ...request, rawQuery: replace(request.rawQuery), headers: new RequestHeaders(fields) };
      expect(await codeOf(authenticate(changed))).toMatch(
        form === 'header' && signature === '' ? 'AuthorizationHeaderMalformed' : 'SignatureDoesNotMatch',
      );
    },
  );

  test('an unknown access key', async () => {
    for (const unknown of ['AKIA', accessKey.toLowerCase(), `${accessKey}/x`, '__proto__']) {
      expect(await codeOf(authenticate(sign({ accessKey: unknown })))).toBe('InvalidAccessKeyId');
    }
  });

  test.each([
    ['region', '20130524/eu-west-1/s3/aws4_request', "the region 'eu-west-1' is wrong; expecting 'us-east-1'"],
    ['service', '20130524/us-east-1/ec2/aws4_request', 'incorrect service "ec2". This endpoint belongs to "s3".'],
    ['terminator', '20130524/us-east-1/s3/aws4', 'incorrect terminal "aws4". This endpoint uses "aws4_request".'],
    ['date', '20130523/us-east-1/s3/aws4_request', 'Invalid credential date "20130523".'],
  ])('a scope of another %s', async (what, scope, detail) => {
    const refusal = await refusalOf(authenticate(sign({ scope })));
    expect(refusal.code).toBe(scopeError[form]);
    expect(refusal.message).toContain(detail);
    expect(refusal.headers).toEqual(what === 'region' ? [['x-amz-bucket-region', 'us-east-1']] : []);
  });

  test('a scope that is configured otherwise', async () => {
    const authenticate = authenticatorWith({ region: 'eu-west-1', service: 'uploads' });
    const scope = '20130524/eu-west-1/uploads/aws4_request';
    expect(await authenticate(sign({ scope }))).toMatchObject({ principal: { subject: 'example' } });
    expect(await codeOf(authenticate(sign()))).toBe(scopeError[form]);
  });

  test('the scope is looked at before the access key, and that before the rest', async () => {
    const request = { scope: '20130524/x/s3/aws4_request', accessKey: 'unknown', secretKey: 'wrong' };
    expect(await codeOf(authenticate(sign(request)))).toBe(scopeError[form]);
    const late = { timestamp: '20100524T000000Z', scope: '20100524/us-east-1/s3/aws4_request' };
    expect(await codeOf(authenticate(sign({ ...late, accessKey: 'unknown' })))).toBe('InvalidAccessKeyId');
  });

  test('a session token', async () => {
    const sessionToken = 'session+token/==';
    const withToken = (token: string | undefined, signer: ToPresign = {}): AuthRequest => {
      if (token === undefined) return sign(signer);
      const given: ToPresign =
        form === 'query' ? { sessionToken: token } : { fields: { 'x-amz-security-token': token } };
      return sign({ ...signer, ...given });
    };
    const temporary = authenticatorWith({ credentials: [{ accessKey, secretKey, sessionToken, subject: 's' }] });
    expect(await temporary(withToken(sessionToken))).toMatchObject({ principal: { subject: 's' } });
    for (const wrong of [undefined, '', 'other', `${sessionToken}=`]) {
      expect(await codeOf(temporary(withToken(wrong)))).toBe('InvalidToken');
    }
    // Who has not signed is not told whether it is right.
    for (const token of [undefined, 'other', sessionToken])
      expect(await codeOf(temporary(withToken(token, { secretKey: 'wrong' })))).toBe('SignatureDoesNotMatch');
    for (const given of ['', sessionToken]) expect(await codeOf(authenticate(withToken(given)))).toBe('InvalidToken');
  });

  test.each([
    '20130524T000000',
    '2013-05-24T00:00:00Z',
    '20130524T240000Z',
    '20130524T000060Z',
    '20130532T000000Z',
    '',
    'x',
  ])('a timestamp that is %j', async (timestamp) => {
    const code = await codeOf(authenticate(sign({ timestamp })));
    expect(code).toBe(form === 'query' ? 'AuthorizationQueryParametersError' : 'AccessDenied');
  });

  test('a timestamp of a day that no calendar has', async () => {
    vi.setSystemTime(Date.UTC(2013, 2, 2));
    const request = { timestamp: '20130230T000000Z', scope: '20130230/us-east-1/s3/aws4_request' };
    expect(await codeOf(authenticate(sign(request)))).toBe(form === 'query' ? scopeError.query : 'AccessDenied');
  });

  test('fields that are not signed', async () => {
    const unsigned = { unsignedFields: { 'x-amz-meta-a': '1', 'x-amz-acl': 'private' } };
    const refusal = await refusalOf(authenticate(sign(unsigned)));
    expect(refusal).toMatchObject({ code: 'AccessDenied', status: 403 });
    expect(refusal.message).toBe(
      'There were headers present in the request which were not signed: x-amz-meta-a, x-amz-acl',
    );
    const others = { 'content-type': 'text/plain', 'content-md5': 'x', 'x-amzn-trace-id': 'Root=1', date: 'x' };
    expect(await authenticate(sign({ unsignedFields: others }))).toMatchObject({ payload: { kind: 'plain' } });
  });

  test('a host that is not signed', async () => {
    const fields = { 'content-type': 'text/plain' };
    const signedHeaders = ['content-type', ...(form === 'header' ? ['x-amz-content-sha256', 'x-amz-date'] : [])];
    const refusal = await refusalOf(authenticate(sign({ fields, signedHeaders })));
    expect(refusal.code).toBe('AccessDenied');
    expect(refusal.message).toContain('not signed: host');
  });

  test('a field that is signed and not there', async () => {
    const own = form === 'header' ? ['x-amz-content-sha256', 'x-amz-date'] : [];
    const signedHeaders = ['content-type', 'host', ...own];
    const refusal = await refusalOf(authenticate(sign({ signedHeaders })));
    expect(refusal.code).toBe('SignatureDoesNotMatch');
    expect(refusal.message).toBe('The signature covers the header content-type, which is not in the request.');
  });

  test('fields as they are signed: folded, joined, empty', async () => {
    const fields = { 'content-type': 'text/plain; a=b', 'x-amz-meta-a': '1,2 3,', 'x-amz-meta-b': '' };
    const request = sign({ fields });
    const others = [...request.headers].filter(([name]) => name !== 'x-amz-meta-a' && name !== 'content-type').flat();
    const sent = [
      'x-amz-meta-a',
      '1',
      'content-type',
      ' text/plain;  a=b',
      'x-amz-meta-a',
      '2\t 3 ',
      'x-amz-meta-a',
      '',
    ];
    const headers = new RequestHeaders([...others, ...sent]);
    expect((await authenticate({ ...request, headers })).headers).toBe(headers);
    const swapped = ['x-amz-meta-a', '2 3', 'content-type', 'text/plain; a=b', 'x-amz-meta-a', '1', 'x-amz-meta-a', ''];
    const other = { ...request, headers: new RequestHeaders([...others, ...swapped]) };
    expect(await codeOf(authenticate(other))).toBe('SignatureDoesNotMatch');
  });

  test('the host is the one that the client addressed, as a trusted proxy says', async () => {
    const request = sign({ fields: { host: 'uploads.example.com' } });
    const rewritten = [...request.headers].flatMap(([name, value]) => [
      name,
      name === 'host' ? '10.0.0.7:8080' : value,
    ]);
    expect(await authenticate({ ...request, headers: new RequestHeaders(rewritten) })).toBeDefined();
    expect(await codeOf(authenticate({ ...request, host: '10.0.0.7:8080' }))).toBe('SignatureDoesNotMatch');
  });

  test('a path in another spelling is the same path', async () => {
    const request = sign({
      rawPath: '/examplebucket/%E3%83%9F%20%28a%29+b%2fc',
      canonicalPath: '/examplebucket/%E3%83%9F%20%28a%29%2Bb%2Fc',
    });
    for (const rawPath of [
      request.rawPath,
      '/ex%61mplebucket/%e3%83%9f%20(a)%2bb%2Fc',
      '/examplebucket/ミ%20(a)+b%2Fc',
    ]) {
      expect(await authenticate({ ...request, rawPath })).toBeDefined();
    }
    const rawPath = '/examplebucket/%E3%83%9F%20%28a%29+b/c';
    expect(await codeOf(authenticate({ ...request, rawPath }))).toBe('SignatureDoesNotMatch');
    expect(await codeOf(authenticate({ ...request, rawPath: '/examplebucket/%ff' }))).toBe('InvalidURI');
  });

  test('two months of days', async () => {
    for (let day = 0; day < 60; day++) {
      const date = new Date(signedAtMs + day * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
      vi.setSystemTime(signedAtMs + day * 86_400_000);
      const request = sign({ timestamp: `${date}T000000Z`, scope: `${date}/us-east-1/s3/aws4_request` });
      expect(await authenticate(request)).toBeDefined();
      expect(await authenticate(request)).toBeDefined();
    }
  });
});

describe('the time', () => {
  const atMs = async (ms: number, request: AuthRequest): Promise<string> => {
    vi.setSystemTime(signedAtMs + ms);
    const outcome = await authenticate(request).catch((error: unknown) => error);
    return outcome instanceof S3Error ? `${outcome.code}: ${outcome.message}` : 'accepted';
  };

  test('of a header may differ by the allowed skew', async () => {
    const request = signedByHeader();
    for (const ms of [-900_000, 0, 900_000]) expect(await atMs(ms, request)).toBe('accepted');
    for (const ms of [-900_001, 900_001]) expect(await atMs(ms, request)).toMatch(/^RequestTimeTooSkewed/);
  });

  test('of a header tells what it was and should be', async () => {
    vi.setSystemTime(signedAtMs + 3_600_000);
    await expect(authenticate(signedByHeader())).rejects.toMatchObject({
      code: 'RequestTimeTooSkewed',
      elements: [
        ['RequestTime', '20130524T000000Z'],
        ['ServerTime', '2013-05-24T01:00:00Z'],
        ['MaxAllowedSkewMilliseconds', '900000'],
      ],
    });
  });

  test('of a presigned URL is from its date to its end', async () => {
    const request = signedByQuery({ expires: '60' });
    for (const ms of [-900_000, 0, 60_000]) expect(await atMs(ms, request)).toBe('accepted');
    expect(await atMs(-900_001, request)).toBe('AccessDenied: Request is not valid yet');
    expect(await atMs(60_001, request)).toBe('AccessDenied: Request has expired');
  });

  test('of a presigned URL that lives for a week', async () => {
    const request = signedByQuery({ expires: '604800' });
    expect(await atMs(604_800_000, request)).toBe('accepted');
    expect(await atMs(604_800_001, request)).toBe('AccessDenied: Request has expired');
  });

  test('is from the Date field when there is no x-amz-date', async () => {
    const dated = (date: string) =>
      signedByHeader({ fields: { date }, signedHeaders: ['date', 'host', 'x-amz-content-sha256'] });
    const sent = (request: AuthRequest): AuthRequest => {
      const fields = [...request.headers].filter(([name]) => name !== 'x-amz-date').flat();
      return { ...request, headers: new RequestHeaders(fields) };
    };
    for (const date of ['Fri, 24 May 2013 00:00:00 GMT', '20130524T000000Z']) {
      expect(await authenticate(sent(dated(date)))).toBeDefined();
    }
    const other = sent(dated('Fri, 24 May 2013 00:00:01 GMT'));
    expect(await codeOf(authenticate(other))).toBe('SignatureDoesNotMatch');
    for (const date of [
      'Fri, 24 May 2013 00:00:00 +0000',
      '2013-05-24',
      'Fri, 99 May 2013 00:00:00 GMT',
      'x Fri, 24 May 2013 00:00:00 GMT',
      'Fri, 24 May 2013 00:00:00 GMT (x)',
      '',
    ]) {
      const refusal = await refusalOf(authenticate(sent(dated(date))));
      expect(refusal.code).toBe('AccessDenied');
      expect(refusal.message).toContain('Date or x-amz-date');
    }
  });
});

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

describe('header fields in the query of a presigned URL', () => {
  const headersOf = async (rawQuery: string) => {
    const request = signedByQuery({ rawQuery, fields: { 'content-type': 'text/plain' } });
    const { headers } = await authenticate(request);
    return [...headers].filter((field) => ![...request.headers].some(([name]) => name === field[0]));
  };

  test('are among the fields that the operation sees', async () => {
    const query = 'X-Amz-Acl=private&x-amz-meta-Name=%20a%20b%2B%20&X-AMZ-TAGGING=a%3Db&x-id=PutObject&partNumber=1';
    expect(await headersOf(query)).toEqual([
      ['x-amz-tagging', 'a=b'],
      ['x-amz-acl', 'private'],
      ['x-amz-meta-name', 'a b+'],
    ]);
  });

  test('are none: then the fields are the request’s own', async () => {
    const request = signedByQuery({ rawQuery: 'x-id=PutObject&not-x-amz-acl=private' });
    expect((await authenticate(request)).headers).toBe(request.headers);
  });

  test.each([
    ['crc32', 'AAAAAA=='],
    ['crc32c', 'AAAAAA=='],
    ['crc64nvme', 'AAAAAAAAAAA='],
    ['sha1', '2jmj7l5rSw0yVb/vlWAYkK/YBwk='],
    ['sha256', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
  ])('%s of the empty body is not meant', async (algorithm, value) => {
    const named = `x-amz-checksum-${algorithm}=${encodeURIComponent(value)}`;
    const query = `x-amz-meta-a=1&${named}&x-amz-sdk-checksum-algorithm=${algorithm.toUpperCase()}`;
    expect(await headersOf(query)).toEqual([['x-amz-meta-a', '1']]);
    const of = `x-amz-checksum-${algorithm}=${encodeURIComponent(value.replace(/^./, 'B'))}`;
    expect(await headersOf(of)).toEqual([[`x-amz-checksum-${algorithm}`, value.replace(/^./, 'B')]]);
    // In a header it is the client's own word.
    const field = signedByQuery({ fields: { [`x-amz-checksum-${algorithm}`]: value } });
    expect((await authenticate(field)).headers.get(`x-amz-checksum-${algorithm}`)).toBe(value);
  });

  test.each([
    ['twice', 'X-Amz-Meta-A=1&x-amz-meta-a=2'],
    ['with a line end', 'x-amz-meta-a=1%0D%0Ax-evil%3A%201'],
    ['with NUL', 'x-amz-meta-a=%00'],
    ['that is not ASCII', 'x-amz-meta-a=%C3%A9'],
    ['with DEL', 'x-amz-meta-a=%7F'],
    ['with a name that no field can have', 'x-amz-meta-a%3A=1'],
    ['with a space in its name', 'x-amz-meta-%20a=1'],
    ['with a name that is not ASCII', 'x-amz-meta-%C3%A9=1'],
  ])('are refused: %s', async (_, rawQuery) => {
    expect(await codeOf(authenticate(signedByQuery({ rawQuery })))).toBe('InvalidArgument');
  });

  test('are refused: as a header as well', async () => {
    const both = { rawQuery: 'x-amz-meta-a=1', fields: { 'x-amz-meta-a': '1' } };
    expect(await codeOf(authenticate(signedByQuery(both)))).toBe('InvalidArgument');
    const date = { fields: { 'x-amz-date': '20130524T000000Z' } };
    expect(await codeOf(authenticate(signedByQuery(date)))).toBe('InvalidArgument');
  });

  test('have no place beside a signature in the header', async () => {
    for (const rawQuery of ['x-amz-acl=private', 'X-Amz-Security-Token=x', 'x%2Damz-meta-a=1']) {
      const canonicalQuery = rawQuery.replace('%2D', '-');
      expect(await codeOf(authenticate(signedByHeader({ rawQuery, canonicalQuery })))).toBe('InvalidArgument');
    }
  });
});

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
      'x-amz-server-side-encryption-customer-key-md5': 'x',
    };
    const masked = { 'host-token': 'the-first', 'my-host': 'the-second' };
    const fields = { 'x-amz-security-token': sessionToken, ...shown, ...masked };
    expect(await codeOf(loud({ ...signedByHeader({ fields }), method: 'POST' }))).toBe('SignatureDoesNotMatch');
    const ofHeader = onMismatch.mock.calls[0]?.[0].canonicalRequest;
    for (const [name, value] of Object.entries(shown)) expect(ofHeader).toContain(`\n${name}:${value}\n`);
    for (const name of Object.keys(masked)) expect(ofHeader).toContain(`\n${name}:***\n`);

    const plain = ['x-amz-server-side-encryption-customer-key-md5=x', 'x-id=PutObject'];
    const rawQuery = `my-x-id=the-first&${plain.join('&')}&x-id-token=the-second`;
    expect(await codeOf(loud({ ...signedByQuery({ rawQuery, sessionToken }), method: 'POST' }))).toBe(
      'SignatureDoesNotMatch',
    );
    const ofQuery = onMismatch.mock.calls[1]?.[0].canonicalRequest.split('\n')[2]?.split('&');
    expect(ofQuery).toEqual(expect.arrayContaining(['my-x-id=***', 'x-id-token=***', ...plain]));
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
    expect(canonicalRequest).toContain('&X-Amz-Security-Token=***&');
    expect(canonicalRequest).toContain('&x-amz-server-side-encryption-customer-key=***\n');
    for (const secret of [sessionToken, 'the-customer-key', secretKey, /Signature=[0-9a-f]/]) {
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

describe('replays', () => {
  const claim = vi.fn<AuthServices['replays']['claim']>();
  const replays = { claim, async close() {} };
  const once = authenticatorWith({ rejectReplays: true, allowUnsignedPayload: false }, { replays });
  const payloadHash = sha256('body');
  beforeEach(() => {
    claim.mockReset();
  });

  test.each([
    ['header', signedByHeader({ payloadHash }), signedAtMs + 900_000],
    ['query', signedByQuery({ payloadHash, rawQuery: `X-Amz-Content-Sha256=${payloadHash}` }), signedAtMs + 3_600_000],
  ])('are claimed with their end, in the %s form', async (_, request, untilMs) => {
    const { claim: useUp } = await once(request);
    expect(claim).not.toHaveBeenCalled();
    await useUp?.();
    const sent = `${request.rawQuery}${request.headers.get('authorization') ?? ''}`;
    const signature = /Signature=(?<hex>[0-9a-f]{64})$/.exec(sent)?.groups?.['hex'];
    expect(claim).toHaveBeenCalledExactlyOnceWith(signature, untilMs, expect.stringMatching(/^AKIA/));
  });

  test.each([
    ['header', signedByHeader({ payloadHash }), 900_001, 'RequestTimeTooSkewed'],
    [
      'query',
      signedByQuery({ payloadHash, rawQuery: `X-Amz-Content-Sha256=${payloadHash}` }),
      3_600_001,
      'AccessDenied',
    ],
  ])(
    'are not claimed after their end, in the %s form: the guard may have forgotten them',
    async (_, request, ms, code) => {
      const { claim: useUp } = await once(request);
      vi.setSystemTime(signedAtMs + ms);
      await expect(useUp?.()).rejects.toMatchObject({ code });
      expect(claim).not.toHaveBeenCalled();
    },
  );

  test('are refused as the guard says, whether it takes its time or not', async () => {
    const refusal = new S3Error('AccessDenied', { detail: 'The signature has been used before.' });
    const { claim: useUp } = await once(signedByHeader({ payloadHash }));
    claim.mockRejectedValueOnce(refusal);
    await expect(useUp?.()).rejects.toBe(refusal);
    claim.mockImplementationOnce(() => {
      throw refusal;
    });
    await expect(useUp?.()).rejects.toBe(refusal);
  });

  test('are not claimed by what is refused anyway', async () => {
    expect(await codeOf(once(signedByHeader({ payloadHash, secretKey: 'wrong' })))).toBe('SignatureDoesNotMatch');
    expect(await codeOf(once(signedByHeader()))).toBe('AccessDenied');
    expect(await codeOf(once(signedByHeader({ payloadHash: 'x' })))).toBe('InvalidArgument');
    expect(claim).not.toHaveBeenCalled();
  });

  test('are nobody’s business where they are allowed', async () => {
    const authentication = await authenticatorWith({}, { replays })(signedByHeader());
    expect(authentication.claim).toBeUndefined();
  });
});
