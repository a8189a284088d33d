// Queries taken apart.
import { expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { parseQuery } from '../../../src/uri/parse-query.ts';

test.each([
  ['', []],
  ['&&', []],
  ['uploads', [['uploads', '']]],
  ['uploads=', [['uploads', '']]],
  [
    'a=1&b=2&a=3',
    [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ],
  ],
  ['a=b=c', [['a', 'b=c']]],
  ['=v', [['', 'v']]],
  ['a%3D=%26', [['a=', '&']]],
  ['a+b=c+d', [['a+b', 'c+d']]],
  ['k=%C3%A9', [['k', 'é']]],
])('%j', (raw, parameters) => {
  expect(parseQuery(raw)).toEqual(parameters);
});

test.each(['a=%', 'a=%4', '%zz', 'a=%ff', 'a=\ufffd', 'a=b c', 'a=#b'])('%j is refused', (raw) => {
  expect(() => parseQuery(raw)).toThrow(expect.objectContaining({ code: 'InvalidURI' }));
  expect(() => parseQuery(raw)).toThrow(S3Error);
});
