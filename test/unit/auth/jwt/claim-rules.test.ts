// What claims must be, operator by operator.
import { describe, expect, test } from 'vitest';
import { createClaimsCheck } from '../../../../src/auth/jwt/claim-rules.ts';
import type { ClaimRule } from '../../../../src/config/config.ts';

/** From JSON, as a token's claims are: so that names such as `__proto__` are names. */
const holds = (rule: ClaimRule, json: string): boolean =>
  createClaimsCheck([rule])(JSON.parse(json) as Record<string, unknown>) === undefined;
const ofValue = (rule: Omit<ClaimRule, 'claim'>, value: string): boolean =>
  holds({ claim: 'a', ...rule }, `{"a":${value}}`);

describe('where a claim is', () => {
  test.each([
    ['a', '{"a":1}', true],
    ['a.b.c', '{"a":{"b":{"c":1}}}', true],
    ['a.b.c', '{"a":{"b":{"c":null}}}', false],
    ['a.b.c', '{"a":{"b":1}}', false],
    ['a.b', '{"a":"b"}', false],
    ['a.b', '{"a":null}', false],
    ['a', '{"b":1}', false],
    ['https://example.com/roles', '{"https://example.com/roles":1}', true],
    ['https://example.com/app.role', '{"https://example.com/app":{"role":1}}', true],
    ['realm.my.app.role', '{"realm":{"my.app":{"role":1}}}', true],
    // The longest name counts, even where it leads nowhere.
    ['a.b.c', '{"a.b":{"x":1},"a":{"b":{"c":1}}}', false],
    ['a.b', '{"a.b":null,"a":{"b":1}}', false],
    ['a.0', '{"a":[1]}', false],
    ['a.length', '{"a":[1]}', false],
    ['a.length', '{"a":"text"}', false],
    ['constructor', '{}', false],
    ['toString', '{}', false],
    ['__proto__', '{}', false],
    ['a.__proto__.b', '{"a":{}}', false],
    ['__proto__', '{"__proto__":1}', true],
    ['.', '{"":{"":1}}', false],
    ['.a', '{"a":1}', false],
    ['a.', '{"a":{"":1}}', false],
    ['a..b', '{"a":{"b":1}}', false],
    ['a..b', '{"a":{".b":1}}', true],
  ])('%s in %s: %s', (claim, json, isThere) => {
    expect(holds({ claim, exists: true }, json)).toBe(isThere);
    expect(holds({ claim, exists: false }, json)).toBe(!isThere);
  });
});

describe('equals and in', () => {
  test.each<[string | number | boolean, string, boolean]>([
    ['x', '"x"', true],
    ['x', '"X"', false],
    ['1', '1', false],
    [1, '1', true],
    [1, '1.0', true],
    [1, '"1"', false],
    [1, 'true', false],
    [0, 'false', false],
    [0, '""', false],
    [true, 'true', true],
    [true, '"true"', false],
    [false, 'false', true],
    [false, 'null', false],
    ['x', '["x"]', false],
    ['null', 'null', false],
    ['', '""', true],
  ])('%j and %s: %s', (expected, value, isSo) => {
    expect(ofValue({ equals: expected }, value)).toBe(isSo);
    expect(ofValue({ in: [expected] }, value)).toBe(isSo);
    expect(ofValue({ in: ['other', 7, expected] }, value)).toBe(isSo);
  });
});

describe('contains', () => {
  test.each<[string | number | boolean, string, boolean]>([
    ['admin', '["user","admin"]', true],
    ['admin', '["not-admin"]', false],
    ['admin', '[["admin"]]', false],
    ['admin', '[]', false],
    [1, '[1,2]', true],
    [1, '["1"]', false],
    [true, '[true]', true],
    ['upload', '"openid upload profile"', true],
    ['upload', '"upload"', true],
    ['upload', '"  upload "', true],
    ['upload', '"uploads"', false],
    ['upload', '"not-upload"', false],
    ['upload', '"openid\\tupload"', false],
    ['a b', '"a b"', false],
    ['a b', '["a b"]', true],
    [1, '"1 2"', false],
    ['x', '{"x":1}', false],
    ['x', '7', false],
  ])('%j and %s: %s', (expected, value, isSo) => {
    expect(ofValue({ contains: expected }, value)).toBe(isSo);
  });
});

// A token's numbers are rounded too, but in their order, and safe ones not at all: so no other becomes one that a rule may hold.
test('whole numbers that are rounded are no others that are not', () => {
  const [most, least] = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  for (const value of ['9007199254740992', '9007199254740993', '9007199254740994', '1e300']) {
    for (const rule of [{ equals: most }, { in: [most] }, { lt: most }]) expect(ofValue(rule, value)).toBe(false);
    expect(ofValue({ contains: most }, `[${value}]`)).toBe(false);
    expect(ofValue({ gt: most }, value)).toBe(true);
    for (const rule of [{ equals: least }, { in: [least] }, { gt: least }])
      expect(ofValue(rule, `-${value}`)).toBe(false);
    expect(ofValue({ contains: least }, `[-${value}]`)).toBe(false);
    expect(ofValue({ lt: least }, `-${value}`)).toBe(true);
  }
  for (const rule of [{ gt: most }, { lt: most }]) expect(ofValue(rule, String(most))).toBe(false);
});

describe('matches', () => {
  test.each([
    ['a+', '"aaa"', true],
    ['a+', '"baab"', false],
    ['a|ab', '"ab"', true],
    ['a$', '"a\\n"', false],
    ['^a$', '"x\\na\\nx"', false],
    ['.*@example\\.com', '"alice@example.com"', true],
    ['.*@example\\.com', '"alice@example.com.evil.org"', false],
    ['.', '"🔑"', true],
    ['', '""', true],
    ['1', '1', false],
    ['.*', '["a"]', false],
    ['.*', 'true', false],
    ['.*', 'null', false],
  ])('%s and %s: %s', (matches, value, isSo) => {
    expect(ofValue({ matches }, value)).toBe(isSo);
  });

  test('takes linear time', () => {
    const startedAt = performance.now();
    expect(ofValue({ matches: '(a*)*b' }, JSON.stringify('a'.repeat(16_000)))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('a pattern that is none is said at the start', () => {
    expect(() => createClaimsCheck([{ claim: 'a', matches: '(a' }])).toThrow('missing closing )');
  });
});

describe('gt and lt', () => {
  test.each([
    [{ gt: 1 }, '2', true],
    [{ gt: 1 }, '1', false],
    [{ gt: 1 }, '"2"', false],
    [{ gt: 1 }, '1e999', false],
    [{ gt: -1 }, 'true', false],
    [{ gt: -1 }, 'null', false],
    [{ gt: -1 }, '[5]', false],
    [{ lt: 1 }, '0.5', true],
    [{ lt: 1 }, '1', false],
    [{ lt: 1 }, '"0"', false],
    [{ lt: 1 }, '-1e999', false],
    [{ lt: 1 }, 'false', false],
    [{ gt: 1, lt: 3 }, '2', true],
    [{ gt: 1, lt: 3 }, '3', false],
    [{ gt: 1, lt: 3 }, '1', false],
  ])('%j and %s: %s', (rule, value, isSo) => {
    expect(ofValue(rule, value)).toBe(isSo);
  });
});

describe('several', () => {
  test('a claim that is absent meets nothing but exists: false', () => {
    const rules: Omit<ClaimRule, 'claim'>[] = [
      { equals: 'x' },
      { contains: 'x' },
      { in: ['x'] },
      { matches: '.*' },
      { gt: -1e9 },
      { lt: 1e9 },
      { exists: true },
      {},
    ];
    for (const rule of rules) {
      expect(holds({ claim: 'a', ...rule }, '{}')).toBe(false);
      expect(holds({ claim: 'a', ...rule, exists: false }, '{}')).toBe(
        Object.keys(rule).join() === 'exists' || Object.keys(rule).length === 0,
      );
    }
  });

  test('every operator of a rule must hold, and every rule', () => {
    const check = createClaimsCheck([
      { claim: 'level', gt: 1, in: [1, 2, 3] },
      { claim: 'tenant.id', equals: 'acme' },
      { claim: 'suspended', exists: false },
    ]);
    const right = { level: 2, tenant: { id: 'acme' } };
    expect(check(right)).toBeUndefined();
    expect(check({ ...right, suspended: null })).toBeUndefined();
    expect(check({ ...right, level: 1 })).toBe('level');
    expect(check({ ...right, level: 4 })).toBe('level');
    expect(check({ ...right, tenant: 'acme' })).toBe('tenant.id');
    expect(check({ ...right, suspended: false })).toBe('suspended');
  });

  test('no rules ask for nothing', () => {
    expect(createClaimsCheck([])({})).toBeUndefined();
  });
});
