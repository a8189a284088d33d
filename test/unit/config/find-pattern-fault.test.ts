// Which patterns are RE2's.
import { expect, test } from 'vitest';
import { findPatternFault } from '../../../src/config/find-pattern-fault.ts';

test.each(['', 'a|b', '[^@]+@example\\.com', '(?i)admin', '(?P<name>a)', '\\p{Greek}+', '🔑{2}'])(
  '%s is one',
  (pattern) => {
    expect(findPatternFault(pattern)).toBeUndefined();
  },
);

test.each([
  ['(a', 'missing closing ): `(a`'],
  ['*', 'missing argument to repetition operator: `*`'],
  ['[z-a]', 'invalid character class range: `z-a`'],
  ['(a)\\1', 'invalid escape sequence: `\\1`'],
  ['a(?=b)', 'invalid or unsupported Perl syntax: `(?=`'],
  ['(?<!a)b', 'invalid named capture'],
  ['(a{1000}){1000}', 'invalid repeat count'],
  ['('.repeat(5000) + ')'.repeat(5000), 'nests too deeply'],
])('%s is none', (pattern, reason) => {
  const fault = findPatternFault(pattern);
  expect(fault).toMatch(/^must be a regular expression in RE2's syntax: /u);
  expect(fault).toContain(reason);
});
