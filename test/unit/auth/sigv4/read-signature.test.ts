// What is a signature, what is a broken one, and what is none.
import { describe, expect, test } from 'vitest';
import { readSignature } from '../../../../src/auth/sigv4/read-signature.ts';
import { S3Error } from '../../../../src/errors.ts';
import { RequestHeaders } from '../../../../src/http.ts';

const credential = 'Credential=AKID/20130524/us-east-1/s3/aws4_request';
const signedHeaders = 'SignedHeaders=host;x-amz-date';
const signature = `Signature=${'ab'.repeat(32)}`;
const whole = `AWS4-HMAC-SHA256 ${credential}, ${signedHeaders}, ${signature}`;

const parameters: Readonly<Record<string, string>> = {
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-Credential': 'AKID%2F20130524%2Fus-east-1%2Fs3%2Faws4_request',
  'X-Amz-Date': '20130524T000000Z',
  'X-Amz-Expires': '3600',
  'X-Amz-SignedHeaders': 'host%3Bx-amz-date',
  'X-Amz-Signature': 'ab'.repeat(32),
};

function queryOf(changes: Readonly<Record<string, string | undefined>> = {}): string {
  return Object.entries({ ...parameters, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function read(authorization: string | readonly string[] | undefined, rawQuery = '') {
  const values = authorization === undefined ? [] : [authorization].flat();
  const headers = new RequestHeaders(values.flatMap((value) => ['authorization', value]));
  return readSignature({ method: 'PUT', rawPath: '/b/k', rawQuery, headers, host: 'h' });
}

function seen(authorization: string | readonly string[] | undefined, rawQuery = ''): string {
  try {
    return read(authorization, rawQuery)?.form ?? 'none';
  } catch (error) {
    if (error instanceof S3Error) return `${error.status} ${error.code}`;
    throw error;
  }
}

const scope = { date: '20130524', region: 'us-east-1', service: 's3', terminator: 'aws4_request' };
const names = ['host', 'x-amz-date'];

describe('none', () => {
  test.each([
    ['nothing', undefined, ''],
    ['a token', 'Bearer abc', ''],
    ['a token that looks alike', `Bearer ${whole}`, ''],
    ['a password', 'Basic YTpi', ''],
    ['a scheme that begins alike', 'AWSX abc', ''],
    ['a query of its own', undefined, 'partNumber=1&uploadId=x'],
    ['a parameter that is none of a signature', undefined, 'X-Amz-Foo=1&X-Amz-Security-Token=x'],
    ['parameters in another case', undefined, queryOf().toLowerCase()],
    ['half of Signature Version 2', undefined, 'AWSAccessKeyId=AKID&XSignature=x'],
  ])('%s', (_, authorization, rawQuery) => {
    expect(seen(authorization, rawQuery)).toBe('none');
  });
});

describe('the header form', () => {
  test.each([
    ['as SDKs write it', whole],
    ['without spaces', `AWS4-HMAC-SHA256 ${credential},${signedHeaders},${signature}`],
    ['in another order', `AWS4-HMAC-SHA256 ${signature}, ${credential},${signedHeaders}`],
    ['with more spaces', `AWS4-HMAC-SHA256   ${credential},   ${signedHeaders}, ${signature}`],
  ])('%s', (_, authorization) => {
    expect(read(authorization)).toEqual({
      form: 'header',
      accessKey: 'AKID',
      scope,
      signedHeaders: names,
      signature: 'ab'.repeat(32),
    });
  });

  test('an access key may hold slashes', () => {
    expect(read(whole.replace('AKID/', 'a/b//'))).toMatchObject({ accessKey: 'a/b/', scope });
  });

  test.each([
    ['nothing behind the scheme', 'AWS4-HMAC-SHA256'],
    ['spaces behind the scheme', 'AWS4-HMAC-SHA256   '],
    ['no credential', `AWS4-HMAC-SHA256 ${signedHeaders}, ${signature}`],
    ['no names', `AWS4-HMAC-SHA256 ${credential}, ${signature}`],
    ['no signature', `AWS4-HMAC-SHA256 ${credential}, ${signedHeaders}`],
    ['a part without an equals sign', whole.replace(/Signature=.*/, 'SignatureX')],
    ['a signature twice', `${whole}, ${signature}`],
    ['a credential twice', `${whole}, ${credential}`],
    ['names twice', `${whole}, ${signedHeaders}`],
    ['a space in the signature', `${whole} x`],
    ['an unknown part', `${whole}, Extra=1`],
    ['an empty part', `${whole},`],
    ['an empty part between', whole.replace(', ', ',, ')],
    ['no comma', whole.replaceAll(',', ' ')],
    ['a semicolon for a comma', whole.replace(', S', '; S')],
    ['space before a comma', whole.replace(',', ' ,')],
    ['a tab for a space', whole.replace(', ', ',\t')],
    ['space before the equals sign', whole.replace('Signature=', 'Signature =')],
    ['an empty value', `AWS4-HMAC-SHA256 ${credential}, ${signedHeaders}, Signature=`],
    ['a name in another case', whole.replace('Credential', 'credential')],
    ['no access key', whole.replace('AKID/', '/')],
    ['no access key and no slash', whole.replace('AKID/', '')],
    ['an empty region', whole.replace('us-east-1', '')],
    ['a scope that is too short', whole.replace('/aws4_request', '')],
    ['a credential that is not ASCII', whole.replace('AKID', 'AKÏD')],
    ['names in upper case', whole.replace('host', 'Host')],
    ['names out of order', whole.replace('host;x-amz-date', 'x-amz-date;host')],
    ['a name twice', whole.replace('host;', 'host;host;')],
    ['an empty name', whole.replace('host;', 'host;;')],
    ['an empty name behind', whole.replace('x-amz-date', 'x-amz-date;')],
    ['a name that no field can have', whole.replace('host', 'ho:st')],
    ['two fields', [whole, whole]],
    ['two fields that make one', [`AWS4-HMAC-SHA256 ${credential}`, `${signedHeaders}, ${signature}`]],
    ['a token behind it', [whole, 'Bearer abc']],
  ])('is malformed: %s', (_, authorization) => {
    expect(seen(authorization)).toBe('400 AuthorizationHeaderMalformed');
  });
});

describe('the query form', () => {
  test('as SDKs write it', () => {
    expect(read(undefined, `x-id=PutObject&${queryOf({ 'X-Amz-Security-Token': 'a%2Bb%2f' })}`)).toEqual({
      form: 'query',
      accessKey: 'AKID',
      scope,
      signedHeaders: names,
      signature: 'ab'.repeat(32),
      timestamp: '20130524T000000Z',
      expiresSeconds: 3600,
      sessionToken: 'a+b/',
      parameters: [
        ['x-id', 'PutObject'],
        ...Object.entries(parameters).map(([name, value]) => [name, decodeURIComponent(value)]),
        ['X-Amz-Security-Token', 'a+b/'],
      ],
    });
  });

  test.each([1, 604_800])('for %d seconds', (seconds) => {
    expect(read(undefined, queryOf({ 'X-Amz-Expires': String(seconds) }))).toMatchObject({ expiresSeconds: seconds });
  });

  test.each([
    ...Object.keys(parameters).map((name) => [`no ${name}`, queryOf({ [name]: undefined })]),
    ...Object.keys(parameters).map((name) => [`${name} twice`, `${queryOf()}&${name}=${parameters[name]}`]),
    ...Object.keys(parameters).map((name) => [`${name} in lower case as well`, `${queryOf()}&${name.toLowerCase()}=x`]),
    ['X-Amz-Security-Token twice', `${queryOf()}&X-Amz-Security-Token=a&X-Amz-Security-Token=a`],
    ['X-Amz-Security-Token in lower case', `${queryOf()}&x-amz-security-token=a`],
    ['another algorithm', queryOf({ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA512' })],
    ...['0', '604801', '-1', '+1', '1.5', '1e3', ' 1', '', 'x', '9'.repeat(30)].map((expires) => [
      `expires is ${expires}`,
      queryOf({ 'X-Amz-Expires': encodeURIComponent(expires) }),
    ]),
    ['no access key', queryOf({ 'X-Amz-Credential': '%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' })],
    ['a space in the credential', queryOf({ 'X-Amz-Credential': 'A%20B%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' })],
    [
      'a line end in the credential',
      queryOf({ 'X-Amz-Credential': 'AB%2F20130524%2Fus-east-1%2Fs3%2Faws4_request%0A' }),
    ],
    ['names out of order', queryOf({ 'X-Amz-SignedHeaders': 'x%3Bhost' })],
    ['a line end in a name', queryOf({ 'X-Amz-SignedHeaders': 'host%0A' })],
    ['no names', queryOf({ 'X-Amz-SignedHeaders': '' })],
  ])('has a fault: %s', (_, rawQuery) => {
    expect(seen(undefined, rawQuery)).toBe('400 AuthorizationQueryParametersError');
  });

  test('bad percent-encoding', () => {
    expect(seen(undefined, `${queryOf()}&a=%zz`)).toBe('400 InvalidURI');
  });
});

describe('other kinds', () => {
  test('both forms at once, or the query and any other credential', () => {
    for (const other of [whole, 'Bearer abc', '']) expect(seen(other, queryOf())).toBe('400 InvalidArgument');
  });

  test('Signature Version 2, and versions to come', () => {
    const refused = '400 InvalidRequest';
    expect(seen('AWS AKID:c2ln')).toBe(refused);
    expect(seen('AWS4-HMAC-SHA512 x')).toBe(refused);
    expect(seen(undefined, 'AWSAccessKeyId=AKID&Expires=1&Signature=c2ln')).toBe(refused);
    expect(seen(undefined, 'Signature=c2ln&AWSAccessKeyId=AKID&Expires=1')).toBe(refused);
    expect(() => read('AWS AKID:c2ln')).toThrow('not supported. Please use AWS4-HMAC-SHA256.');
  });

  test('SigV4A', () => {
    expect(seen(whole.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'))).toBe('501 NotImplemented');
    expect(seen(undefined, queryOf({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }))).toBe('501 NotImplemented');
    // It has no region in its credential, and a parameter of its own.
    const own = {
      'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256',
      'X-Amz-Credential': 'AKID%2F20130524%2Fs3%2Faws4_request',
    };
    expect(seen(undefined, `${queryOf(own)}&X-Amz-Region-Set=us-east-1`)).toBe('501 NotImplemented');
  });
});
