// Where tokens are looked for, and what is one.
import { describe, expect, test } from 'vitest';
import { createTokenReader } from '../../../../src/auth/jwt/read-token.ts';
import type { TokenSource } from '../../../../src/config/config.ts';
import { RequestHeaders } from '../../../../src/http.ts';

const read = (sources: readonly TokenSource[], fields: readonly string[], rawQuery = '') =>
  createTokenReader(sources)({ headers: new RequestHeaders(fields), rawQuery })?.token;

const bearer: TokenSource = { type: 'bearer' };
const query: TokenSource = { type: 'query', name: 'token' };
const header: TokenSource = { type: 'header', name: 'x-auth-token' };
const cookie: TokenSource = { type: 'cookie', name: 'session' };

describe('bearer', () => {
  test.each([
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer a.b.c', 'a.b.c'],
    ['BEARER    a.b.c ', 'a.b.c'],
    ['Bearer', ''],
    ['Bearer ', ''],
    ['Basic YTpi', undefined],
    ['Bearers a.b.c', undefined],
    ['Forbearer a.b.c', undefined],
    ['AWS4-HMAC-SHA256 Credential=a', undefined],
    ['', undefined],
  ])('%j is %j', (value, token) => {
    expect(read([bearer], ['authorization', value])).toBe(token);
  });

  test('is not there without its field, and is no token when it comes twice', () => {
    expect(read([bearer], ['x-auth-token', 'a', 'cookie', 'session=a'], 'token=a')).toBeUndefined();
    const field = ['authorization', 'Bearer a.b.c'];
    expect(read([bearer], [...field, ...field])).toBe('a.b.c, Bearer a.b.c');
    expect(read([bearer], [...field, 'authorization', ''])).toBe('a.b.c,');
  });
});

describe('query', () => {
  test.each([
    ['token=a.b.c', 'a.b.c'],
    ['uploadId=1&token=a.b.c&partNumber=2', 'a.b.c'],
    ['%74oken=a%2Eb.c', 'a.b.c'],
    ['token=a+b', 'a+b'],
    ['token', ''],
    ['token=', ''],
    ['token=a.b.c&token=a.b.c', ''],
    ['token=a.b.c&token', ''],
    ['token=&token=a.b.c', ''],
    ['token=a.b.c&token=a.b.c&token=a.b.c', ''],
    ['Token=a.b.c', undefined],
    ['x=token=a', undefined],
    ['', undefined],
  ])('%j is %j', (rawQuery, token) => {
    expect(read([query], [], rawQuery)).toBe(token);
  });

  test('that cannot be decoded is no request', () => {
    expect(() => read([query], [], 'token=%')).toThrow(expect.objectContaining({ code: 'InvalidURI' }));
  });
});

describe('header', () => {
  test('is the whole value, with no scheme', () => {
    expect(read([header], ['x-auth-token', ' a.b.c '])).toBe('a.b.c');
    expect(read([header], ['x-auth-token', 'Bearer a.b.c'])).toBe('Bearer a.b.c');
    expect(read([header], ['x-auth-token', ''])).toBe('');
    expect(read([header], ['x-auth-token', 'a', 'x-auth-token', 'b'])).toBe('a, b');
    expect(read([header], ['authorization', 'Bearer a.b.c'])).toBeUndefined();
  });
});

describe('cookie', () => {
  test.each([
    ['session=a.b.c', 'a.b.c'],
    ['x=1; session=a.b.c; y=2', 'a.b.c'],
    ['x=1;session=a.b.c;y=2', 'a.b.c'],
    ['  session = a.b.c  ', 'a.b.c'],
    ['session="a.b.c"', 'a.b.c'],
    ['session="', '"'],
    ['session="a.b.c"x', '"a.b.c"x'],
    ['session=x"a.b.c"', 'x"a.b.c"'],
    ['session=a=b', 'a=b'],
    ['session=a%2Eb', 'a%2Eb'],
    ['session=', ''],
    ['session=a.b.c; session=a.b.c', ''],
    ['session=; session=a.b.c', ''],
    ['session', undefined],
    ['sessions', undefined],
    ['Session=a.b.c', undefined],
    ['mysession=a.b.c', undefined],
    ['x=session=a.b.c', undefined],
    ['x="; session=a.b.c', 'a.b.c'],
    ['', undefined],
  ])('%j is %j', (value, token) => {
    expect(read([cookie], ['cookie', value])).toBe(token);
  });

  test('is in no other field', () => {
    expect(read([cookie], ['x-cookie', 'session=a.b.c', 'cookie', 'x=1'])).toBeUndefined();
  });

  test('fields are read one by one', () => {
    expect(read([cookie], ['cookie', 'x=1', 'cookie', 'session=a.b.c'])).toBe('a.b.c');
    expect(read([cookie], ['cookie', 'x=1, session=evil', 'cookie', 'session=a.b.c'])).toBe('a.b.c');
    expect(read([cookie], ['cookie', 'session=a.b.c', 'cookie', 'session=a.b.c'])).toBe('');
  });
});

describe('several sources', () => {
  const everywhere = ['authorization', 'Bearer b', 'x-auth-token', 'h', 'cookie', 'session=c'];

  test('the first that is present counts, in the configured order', () => {
    expect(read([bearer, query, header, cookie], everywhere, 'token=q')).toBe('b');
    expect(read([cookie, query, header, bearer], everywhere, 'token=q')).toBe('c');
    expect(read([header, bearer], everywhere, 'token=q')).toBe('h');
    expect(read([query, bearer], everywhere, 'token=q')).toBe('q');
    expect(read([query, bearer], everywhere)).toBe('b');
  });

  test('one that is broken is not made up for by the next', () => {
    expect(read([query, bearer], everywhere, 'token=')).toBe('');
    expect(read([query, bearer], everywhere, 'token=q&token=q')).toBe('');
    expect(read([bearer, cookie], ['authorization', 'Bearer', 'cookie', 'session=c'])).toBe('');
  });

  test('it is told when the one that counts is a cookie', () => {
    const request = { headers: new RequestHeaders(everywhere), rawQuery: 'token=q' };
    expect(createTokenReader([cookie, bearer, query])(request)).toEqual({ token: 'c', isCookie: true });
    for (const source of [bearer, query, header])
      expect(createTokenReader([source, cookie])(request)?.isCookie).toBe(false);
  });

  test('what is not configured is not looked at', () => {
    expect(read([cookie], ['authorization', 'Bearer b', 'x-auth-token', 'h'], 'token=q&session=q')).toBeUndefined();
  });
});
