// For how long it is remembered that an upload has ended.
import { expect, test } from 'vitest';
import { EndedUploads } from '../../../../src/telemetry/metrics/ended-uploads.ts';

test('an upload ends once in its bucket, whatever has ended meanwhile, within bounds', () => {
  const uploads = new EndedUploads();
  expect([uploads.add('a', 'first'), uploads.add('b', 'first'), uploads.add('a', 'first')]).toEqual([
    true,
    true,
    false,
  ]);
  for (let index = 0; index < 9000; index++) uploads.add('a', `${index}`);
  expect(uploads.add('a', 'first')).toBe(false);
  for (let index = 0; index < 10_000; index++) uploads.add('c', `${index}`);
  expect(uploads.add('a', 'first')).toBe(true);
});
