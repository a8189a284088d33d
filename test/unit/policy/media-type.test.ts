// What a content type is, and which ones a list allows.
import { describe, expect, test } from 'vitest';
import { RequestHeaders } from '../../../src/http.ts';
import { isMediaTypePattern } from '../../../src/media-type-pattern.ts';
import { createMediaTypeSet, nameMediaType, readMediaType } from '../../../src/policy/media-type.ts';

test.each([
  [undefined, 'application/octet-stream'],
  ['', 'application/octet-stream'],
  ['image/png', 'image/png'],
  ['IMAGE/Svg+XML', 'image/svg+xml'],
  ['text/plain;charset=utf-8', 'text/plain'],
  ['text/plain \t; charset="a, b" ;; x=1; ', 'text/plain'],
  [String.raw`a/b; x="\", c/d"`, 'a/b'],
])('%j is %s', (value, type) => {
  expect(readMediaType(value)).toBe(type);
});

test('a type that is left open is written out beside the other fields', () => {
  const named = (...fields: string[]) => [...nameMediaType(new RequestHeaders(fields))].flat();
  expect(named('a', '1', 'content-type', '', 'b', '2')).toEqual([
    'a',
    '1',
    'b',
    '2',
    'content-type',
    'application/octet-stream',
  ]);
  expect(named('a', '1', 'content-type', 'a/b')).toEqual(['a', '1', 'content-type', 'a/b']);
});

test.each([
  'image',
  '/',
  'image/',
  '/png',
  ' image/png',
  'image/*',
  '*/*',
  'image/png, text/html',
  'image/png;a, text/html',
  'image/png;a=b, text/html',
  'image/png;a="b", text/html',
  'image/png;a="b',
  'image/png; a',
  'image/png text/html',
  'image /png',
  'image/png\n',
  'image/pńg',
  `image/${'x'.repeat(250)}`,
])('%j is none', (value) => {
  expect(readMediaType(value)).toBeUndefined();
});

test('reading takes linear time, whatever is sent', () => {
  const startedAt = performance.now();
  for (const run of ['; ', ' ;', ';', ' ', '; a=b ', '; a="\\" ', ';\t \t', 'a', '"']) {
    expect(readMediaType(`a/b${run.repeat(16_000 / run.length)}\n`)).toBeUndefined();
  }
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

describe('lists', () => {
  test.each([
    [['image/png'], 'image/png', true],
    [['Image/PNG'], 'image/png', true],
    [['image/*'], 'image/png', true],
    [['*/*'], 'image/png', true],
    [['image/*'], 'imagex/png', false],
    [['image/png'], 'image/png2', false],
    [['image/pn'], 'image/png', false],
    [[], 'image/png', false],
  ])('%j: %s', (patterns, type, isAllowed) => {
    expect(createMediaTypeSet(patterns).has(type)).toBe(isAllowed);
  });

  test('hold types, and wildcards for whole parts', () => {
    for (const pattern of ['image/png', 'Image/*', '*/*', 'a/b+c']) expect(isMediaTypePattern(pattern)).toBe(true);
    for (const pattern of ['image', '*', '*/png', 'image/p*', 'a/b;c=d', ' a/b', 'a/b\n', 'a/b, c/d', '']) {
      expect(isMediaTypePattern(pattern)).toBe(false);
    }
  });
});
