// Signed requests, right and wrong in one thing each.
import { describe, expect, test, vi } from 'vitest';
import type { AuthRequest } from '../../../../src/auth/authentication.ts';
import { S3Error } from '../../../../src/errors.ts';
import { RequestHeaders } from '../../../../src/http.ts';
import { accessKey, secretKey, signedByHeader, signedByQuery, type ToPresign } from '../../../support/sigv4.ts';
import { authenticate, authenticatorWith, codeOf, refusalOf, signedAtMs, stopClock } from './ask-authenticator.ts';

stopClock();

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

  test('temporary credentials are refused once they have expired, whatever the signature allows', async () => {
    const expiresAtMs = signedAtMs + 1000;
    const temporary = authenticatorWith({ credentials: [{ accessKey, secretKey, expiresAtMs, subject: 's' }] });
    vi.setSystemTime(expiresAtMs - 1);
    expect(await temporary(sign())).toMatchObject({ principal: { subject: 's', expiresAtMs } });
    vi.setSystemTime(expiresAtMs);
    expect(await codeOf(temporary(sign()))).toBe('ExpiredToken');
    // Who has not signed is not told so.
    expect(await codeOf(temporary(sign({ secretKey: 'wrong' })))).toBe('SignatureDoesNotMatch');
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

  test('a path with two slashes in a row, sent as the SDK for Java sends it', async () => {
    const canonicalPath = '/examplebucket//a///b%2Fc';
    const request = sign({ rawPath: '/examplebucket/%2Fa/%2F/b%2fc', canonicalPath });
    for (const rawPath of [request.rawPath, '/examplebucket/%2fa//%2Fb%2Fc', '/examplebucket//a///b%2Fc']) {
      expect(await authenticate({ ...request, rawPath })).toBeDefined();
    }
    for (const rawPath of [
      '/examplebucket%2F/a///b%2Fc',
      '/examplebucket/%2Fa/%2F/b/c',
      '/examplebucket/%2Fa/%2Fb%2Fc',
    ]) {
      expect([rawPath, await codeOf(authenticate({ ...request, rawPath }))]).toEqual([
        rawPath,
        'SignatureDoesNotMatch',
      ]);
    }
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
