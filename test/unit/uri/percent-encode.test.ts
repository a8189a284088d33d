// Percent-encoding of keys and query values, and which keys are taken at all.
import { describe, expect, test } from 'vitest';
import { createKeyCheck } from '../../../src/storage/s3/check-key.ts';
import { encodeKey, percentEncode } from '../../../src/uri/percent-encode.ts';

test.each([
  ['plain/Key-1._~', 'plain/Key-1._~'],
  ['a b+c', 'a%20b%2Bc'],
  ['%2F%', '%252F%25'],
  ["!'()*", '%21%27%28%29%2A'],
  ['//a//', '//a//'],
  ['a/../b', 'a/../b'],
  ['\u00e9', '%C3%A9'],
  ['e\u0301', 'e%CC%81'],
  ['🦑', '%F0%9F%A6%91'],
  ['?#&=;:@,$\\"<>', '%3F%23%26%3D%3B%3A%40%2C%24%5C%22%3C%3E'],
  ['\u0001\n\u007f', '%01%0A%7F'],
])('the key %j is sent as %s', (key, encoded) => {
  expect(encodeKey(key)).toBe(encoded);
});

test('a query value keeps no slash', () => {
  expect(percentEncode('a/b+c=')).toBe('a%2Fb%2Bc%3D');
});

test('a lone surrogate has no UTF-8 form', () => {
  expect(() => encodeKey('a\ud800')).toThrow(expect.objectContaining({ code: 'InvalidURI' }));
});

describe('which keys are taken', () => {
  const refusal = (code: string) => expect.objectContaining({ name: 'S3Error', code, status: 400 });

  test.each([true, false])('up to 1,024 bytes of UTF-8 (empty segments kept: %s)', (keepsEmptySegments) => {
    const check = createKeyCheck(keepsEmptySegments);
    for (const key of ['x'.repeat(1024), 'é'.repeat(512), '🦑'.repeat(256), 'a/', '.', 'é'.repeat(400)]) check(key);
    for (const key of ['x'.repeat(1025), 'é'.repeat(513), '🦑'.repeat(257)]) {
      expect(() => check(key)).toThrow(refusal('KeyTooLongError'));
    }
  });

  test.each(['/', '/a', 'a//b', 'a//'])('%j only where it is kept as it is', (key) => {
    expect(() => createKeyCheck(true)(key)).not.toThrow();
    expect(() => createKeyCheck(false)(key)).toThrow(refusal('InvalidArgument'));
  });
});
