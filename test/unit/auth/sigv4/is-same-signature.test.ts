import { expect, test } from 'vitest';
import { isSameSignature } from '../../../../src/auth/sigv4/is-same-signature.ts';

const signature = '0123456789abcdef'.repeat(4);

test('a signature is the same as itself, again and again', () => {
  for (let times = 0; times < 3; times++) {
    expect(isSameSignature(signature, signature)).toBe(true);
    expect(isSameSignature(signature, signature.replace('f', 'e'))).toBe(false);
  }
});

test.each([
  ['nothing', ''],
  ['all of it but the last digit', signature.slice(0, -1)],
  ['one digit more', `${signature}0`],
  ['upper case', signature.toUpperCase()],
  ['a letter whose low byte is the digit’s', signature.replace('a', '\u{161}')],
  ['a letter of several bytes at the end', `${signature.slice(0, -1)}\u{166}`],
])('%s is another', (_, presented) => {
  // What was compared before is not what is compared now.
  expect(isSameSignature(signature, signature)).toBe(true);
  expect(isSameSignature(signature, presented)).toBe(false);
});
