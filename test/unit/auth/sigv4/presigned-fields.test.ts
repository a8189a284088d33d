// Header fields that stand in the query of a presigned URL.
import { describe, expect, test } from 'vitest';
import { signedByHeader, signedByQuery } from '../../../support/sigv4.ts';
import { authenticate, codeOf, stopClock } from './ask-authenticator.ts';

stopClock();

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
    // An algorithm by itself promises no more; beside the checksum of a body it stands.
    const alone = `x-amz-sdk-checksum-algorithm=${algorithm.toUpperCase()}`;
    expect(await headersOf(`x-amz-meta-a=1&${alone}`)).toEqual([['x-amz-meta-a', '1']]);
    expect(await headersOf(`${of}&${alone}`)).toHaveLength(2);
    // Some SDKs have it signed, and so sent.
    const announced = signedByQuery({ fields: { 'x-amz-sdk-checksum-algorithm': algorithm, 'x-amz-meta-a': '1' } });
    expect([...(await authenticate(announced)).headers].map(([name]) => name)).not.toContain(
      'x-amz-sdk-checksum-algorithm',
    );
    expect((await authenticate(announced)).headers.get('x-amz-meta-a')).toBe('1');
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

  test('may stand in the header as well, where they must say the same', async () => {
    const both = { rawQuery: 'x-amz-meta-a=%201', fields: { 'x-amz-meta-a': '1' } };
    const { headers } = await authenticate(signedByQuery(both));
    expect([...headers].filter(([name]) => name === 'x-amz-meta-a')).toEqual([['x-amz-meta-a', '1']]);
    const other = { rawQuery: 'x-amz-meta-a=2', fields: { 'x-amz-meta-a': '1' } };
    expect(await codeOf(authenticate(signedByQuery(other)))).toBe('InvalidArgument');
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
