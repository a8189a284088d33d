// The one spelling of a request: what must become alike does, and what is different stays different.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalPath,
  canonicalQuery,
  canonicalValue,
  readSignedFields,
} from '../../../../src/auth/sigv4/canonical-request.ts';
import { RequestHeaders } from '../../../../src/http.ts';
import { parseQuery } from '../../../../src/uri/parse-query.ts';

describe('the path', () => {
  test.each([
    ['/', '/'],
    ['/b/k', '/b/k'],
    ['/b/a-b._~/c', '/b/a-b._~/c'],
    ['/b/a%2Db%7Ec%41', '/b/a-b~cA'],
    ['/b/%e3%83%9f', '/b/%E3%83%9F'],
    ['/b/ミ', '/b/%E3%83%9F'],
    ["/b/(a)'*!", '/b/%28a%29%27%2A%21'],
    ['/b/a+b', '/b/a%2Bb'],
    ['/b/a%20b', '/b/a%20b'],
    ['/b/a%252Fb', '/b/a%252Fb'],
    ['/b//a/./../c/', '/b//a/./../c/'],
    ['/b/a%2fb', '/b/a%2Fb'],
    ['/b%2Fa%2F/b', '/b%2Fa%2F/b'],
    ['/b/$&,:;=@', '/b/%24%26%2C%3A%3B%3D%40'],
    ['/b/%F0%9F%98%80', '/b/%F0%9F%98%80'],
  ])('%s', (raw, canonical) => {
    expect(canonicalPath(raw)).toBe(canonical);
  });

  test.each(['/b/%', '/b/%4', '/b/%zz', '/b/%ff', '/b/%C0%AF', '/b/%ED%A0%80', '/b/a b', '/b/\ufffd', '/b/%2F%'])(
    'refuses %s',
    (raw) => {
      expect(() => canonicalPath(raw)).toThrow(expect.objectContaining({ code: 'InvalidURI' }));
    },
  );
});

type How = 'raw' | 'upper' | 'lower';
const how = fc.constantFrom<How>('raw', 'upper', 'lower');

function spell(character: string, as: How): string {
  if (as === 'raw' && !['%', ' ', '#'].includes(character)) return character;
  const bytes = [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return as === 'lower' ? bytes : bytes.toUpperCase();
}

/** A text in two of its spellings, or a text and another one. */
const twoSpellings = (characters: readonly string[]) =>
  fc
    .array(fc.record({ one: fc.constantFrom(...characters), other: fc.constantFrom(...characters), how, how2: how }), {
      maxLength: 5,
    })
    .chain((pieces) =>
      fc.boolean().map((isSame) => ({
        one: pieces.map((piece) => spell(piece.one, piece.how)).join(''),
        other: pieces.map((piece) => spell(isSame ? piece.one : piece.other, piece.how2)).join(''),
      })),
    );

test('two paths are alike when, and only when, their segments mean the same', () => {
  const paths = twoSpellings(['a', '/', '%', '+', ' ', '2', 'F', '.', 'é', '~', "'"]);
  const meaning = (raw: string): string => JSON.stringify(raw.split('/').map((segment) => decodeURIComponent(segment)));
  const seen = { alike: 0, different: 0 };
  fc.assert(
    fc.property(paths, ({ one, other }) => {
      const isAlike = meaning(`/${one}`) === meaning(`/${other}`);
      seen[isAlike ? 'alike' : 'different']++;
      expect(canonicalPath(`/${one}`) === canonicalPath(`/${other}`)).toBe(isAlike);
    }),
    { numRuns: 10_000 },
  );
  expect(Math.min(seen.alike, seen.different)).toBeGreaterThan(1000);
});

describe('the query', () => {
  const canonical = (raw: string): string => canonicalQuery(parseQuery(raw));

  test.each([
    ['', ''],
    ['uploads', 'uploads='],
    ['uploads=', 'uploads='],
    ['uploadId=b&partNumber=1', 'partNumber=1&uploadId=b'],
    ['a=2&a=1&a', 'a=&a=1&a=2'],
    ['a-b=1&a=2', 'a=2&a-b=1'],
    ['a=1&A=2', 'A=2&a=1'],
    ['a=b%2Bc+d%20e', 'a=b%2Bc%2Bd%20e'],
    ['a=b=c', 'a=b%3Dc'],
    ['%61=%7e', 'a=~'],
    ['a=/', 'a=%2F'],
    ['&a=1&&b=2&', 'a=1&b=2'],
    ['=x', '=x'],
    ['é=ü', '%C3%A9=%C3%BC'],
    ['x=1&X-Amz-Signature=abc', 'x=1'],
    ['x-amz-signature=abc', 'x-amz-signature=abc'],
  ])('%s', (raw, expected) => {
    expect(canonical(raw)).toBe(expected);
  });

  test('two queries are alike when, and only when, they have the same parameters', () => {
    const queries = fc
      .array(fc.tuple(twoSpellings(['a', 'A', '-', '+', ' ', '/']), twoSpellings(['a', '=', '%', '+', ' '])), {
        maxLength: 3,
      })
      .map((pairs) => ({
        one: pairs.map(([name, value]) => `${name.one}=${value.one}`).join('&'),
        other: pairs
          .map(([name, value]) => `${name.other}=${value.other}`)
          .toReversed()
          .join('&'),
      }));
    const seen = { alike: 0, different: 0 };
    const meaning = (raw: string): string =>
      JSON.stringify(
        raw
          .split('&')
          .filter((piece) => piece !== '')
          .map((piece) => {
            const [name = '', ...values] = piece.split('=');
            return JSON.stringify([decodeURIComponent(name), decodeURIComponent(values.join('='))]);
          })
          .toSorted(),
      );
    fc.assert(
      fc.property(queries, ({ one, other }) => {
        const isAlike = meaning(one) === meaning(other);
        seen[isAlike ? 'alike' : 'different']++;
        expect(canonical(one) === canonical(other)).toBe(isAlike);
      }),
      { numRuns: 10_000 },
    );
    expect(Math.min(seen.alike, seen.different)).toBeGreaterThan(1000);
  });
});

test.each([
  ['a', 'a'],
  ['  a  b   c ', 'a b c'],
  ['a\t \tb\t', 'a b'],
  ['"a  b"', '"a b"'],
  ['', ''],
  ['   ', ''],
  ['a\u00a0\u00a0b', 'a\u00a0\u00a0b'],
])('the value %j', (value, canonical) => {
  expect(canonicalValue(value)).toBe(canonical);
});

describe('the signed fields', () => {
  const sent = [
    ['x-amz-meta-a', ' 1 '],
    ['host', 'ignored'],
    ['x-amz-meta-b', ''],
    ['content-type', 'text/plain'],
    ['x-amz-meta-a', '2  3'],
    ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
  ];
  const headers = new RequestHeaders(sent.flat());

  test('in the order of the names, several of one name joined in the order received', () => {
    const { fields, missing, unsigned } = readSignedFields(['host', 'x-amz-meta-a', 'x-amz-meta-b'], headers, 'h:1');
    expect([...fields]).toEqual([
      ['host', 'h:1'],
      ['x-amz-meta-a', '1,2 3'],
      ['x-amz-meta-b', ''],
    ]);
    expect(missing).toBeUndefined();
    expect(unsigned).toEqual([]);
  });

  test('which are missing, and which are not signed', () => {
    expect(readSignedFields(['a', 'content-type', 'z'], headers, 'h')).toMatchObject({ missing: 'a' });
    expect(readSignedFields(['content-type'], headers, 'h').unsigned).toEqual([
      'x-amz-meta-a',
      'x-amz-meta-b',
      'x-amz-meta-a',
    ]);
  });
});
