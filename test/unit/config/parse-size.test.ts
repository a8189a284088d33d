// Sizes as people write them.
import { expect, test } from 'vitest';
import { formatSize, parseSize } from '../../../src/config/parse-size.ts';

test.each([
  ['0', 0],
  ['1024', 1024],
  ['7B', 7],
  ['1KB', 1000],
  ['1KiB', 1024],
  ['16MiB', 16 * 1024 ** 2],
  ['3MB', 3_000_000],
  ['5GB', 5_000_000_000],
  ['2 GiB', 2 * 1024 ** 3],
  ['1TB', 1_000_000_000_000],
  ['5TiB', 5 * 1024 ** 4],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
])('%s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'MiB', '-1', '1.5GiB', '1e3', '0x10', '16mib', '16Mib', '16 M', '16  MiB', ' 1', '1\n', '1PiB', '٣MiB'])(
  '%j is no size',
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

test.each(['9007199254740992', '9000TiB', '99999999999999999999'])('%s is more than can be counted', (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test('a size is written in the largest unit that fits exactly', () => {
  expect(formatSize(16 * 1024 ** 2)).toBe('16MiB');
  expect(formatSize(1536)).toBe('1536');
  expect(formatSize(5 * 1024 ** 4)).toBe('5TiB');
  expect(formatSize(0)).toBe('0');
});
