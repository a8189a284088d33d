// Names that patterns match.
import { expect, test } from 'vitest';
import { compileBucketPattern } from '../../../src/routing/bucket-pattern.ts';

test.each([
  ['*', ['', 'a', 'abc'], []],
  ['team-*', ['team-', 'team-a'], ['team', 'xteam-a']],
  ['*-eu', ['-eu', 'a-eu'], ['a-eu-b', 'eu']],
  ['a*a', ['aa', 'aba'], ['a', 'ab']],
  ['ab*ba', ['abba', 'abxba'], ['aba', 'ab', 'ba']],
  ['a*b*c', ['abc', 'axbxc', 'abbcc'], ['acb', 'ac', 'bac']],
  ['a*bc*c', ['abcc', 'abcxc', 'abcbcc'], ['abc', 'axbc']],
  ['a*bc*cd*e', ['abccde', 'abcxcde'], ['abcde', 'abcdxxe']],
  ['*a*', ['a', 'xax'], ['', 'x']],
])('%s', (pattern, matching, others) => {
  const compiled = compileBucketPattern(pattern);
  expect(matching.filter((name) => !compiled.matches(name))).toEqual([]);
  expect(others.filter((name) => compiled.matches(name))).toEqual([]);
});
