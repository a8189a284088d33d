// Signing keys: derived once for a day, and forgotten when many other days have come.
import { expect, test } from 'vitest';
import { createSigningKeys } from '../../../../src/auth/sigv4/signing-keys.ts';
import { hmacOf, secretKey } from '../../../support/sigv4.ts';

const keyOf = createSigningKeys(secretKey, { region: 'eu-west-1', service: 's3' });

test('are those of the day', () => {
  for (const date of ['20130524', '20130525', '20130524']) {
    const { scope, hmac } = keyOf(date);
    expect(scope).toBe(`${date}/eu-west-1/s3/aws4_request`);
    expect(hmac('to sign')).toBe(hmacOf(secretKey, scope)('to sign'));
  }
});

test('are kept for the nine days that requests may come from, and not for more', () => {
  const days = Array.from({ length: 9 }, (_, index) => `2013060${index + 1}`);
  const keys = days.map((date) => keyOf(date));
  expect(days.map((date) => keyOf(date) === keys[Number(date.slice(-1)) - 1])).toEqual(days.map(() => true));
  keyOf('20130610');
  expect(keyOf(days[1] ?? '')).toBe(keys[1]);
  expect(keyOf(days[0] ?? '')).not.toBe(keys[0]);
});
