// What OPA's answers mean: nothing is allowed that is not said in so many words.
import { describe, expect, test } from 'vitest';
import { readDecision } from '../../../src/authz/opa-decision.ts';

const read = (result: unknown) => readDecision(JSON.stringify({ result }));

test.each<readonly [unknown, unknown]>([
  [true, { allow: true }],
  [false, { allow: false }],
  [{ allow: true }, { allow: true }],
  [{ allow: true, reason: 'fine' }, { allow: true }],
  [{ allow: false }, { allow: false }],
  [
    { allow: false, reason: 'no', max_object_size: 1 },
    { allow: false, reason: 'no' },
  ],
  [
    { allow: true, key_prefix: 'a/', max_object_size: 0, allowed_content_types: [] },
    { allow: true, obligations: { keyPrefix: 'a/', maxObjectBytes: 0, allowedContentTypes: [] } },
  ],
  [
    { allow: true, key_prefix: '', allowed_content_types: ['image/*', '*/*', 'Text/Plain'] },
    { allow: true, obligations: { keyPrefix: '', allowedContentTypes: ['image/*', '*/*', 'Text/Plain'] } },
  ],
])('%j', (result, decision) => {
  expect(read(result)).toEqual(decision);
});

test('no result is a refusal, whatever else there is', () => {
  expect(readDecision('{}')).toEqual({ allow: false, reason: 'undefined' });
  expect(readDecision('{"decision_id":"x","warning":{"code":"api_usage_warning"}}')).toMatchObject({ allow: false });
  expect(readDecision('{"__proto__":{"result":true}}')).toMatchObject({ allow: false });
});

describe('is a fault', () => {
  test.each([
    '',
    ' ',
    'true',
    'null',
    '[]',
    '[{"result":true}]',
    '"true"',
    '{"result":true',
    '{"result":true}}',
    'NaN',
  ])('%s', (text) => {
    expect(() => readDecision(text)).toThrow('OPA');
  });

  test.each<readonly [unknown]>([
    [null],
    [1],
    ['true'],
    [[]],
    [[true]],
    [{}],
    [{ allow: 1 }],
    [{ allow: 'true' }],
    [{ allow: null }],
    [{ allow: [true] }],
    [{ reason: 'x' }],
    [{ allow: true, reason: 1 }],
    [{ allow: true, reason: null }],
    [{ allow: true, key_prefix: null }],
    [{ allow: true, key_prefix: ['a'] }],
    [{ allow: true, max_object_size: '1' }],
    [{ allow: true, max_object_size: -1 }],
    [{ allow: true, max_object_size: 1.5 }],
    [{ allow: true, max_object_size: 1e300 }],
    [{ allow: true, max_object_size: null }],
    [{ allow: true, allowed_content_types: 'image/*' }],
    [{ allow: true, allowed_content_types: {} }],
    [{ allow: true, allowed_content_types: [1] }],
    [{ allow: true, allowed_content_types: ['image'] }],
    [{ allow: true, allowed_content_types: ['image/*; q=1'] }],
    [{ allow: true, allowed_content_types: [['image/*']] }],
    [{ allow: true, allowed_content_type: ['image/*'] }],
    [{ allow: true, max_size: 1 }],
    [{ allow: false, max_size: 1 }],
  ])('%j', (result) => {
    expect(() => read(result)).toThrow('OPA');
  });

  test('which says a member’s name only when it looks like one', () => {
    expect(() => read({ allow: true, max_size: 1 })).toThrow('(max_size)');
    expect(() => read({ allow: true, 'key of a user/x': 1 })).toThrow(/not known$/);
    expect(() => readDecision('{"result":{"allow":true,"__proto__":{"x":1}}}')).toThrow('(__proto__)');
  });
});
