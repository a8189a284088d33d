// The key under which an object is stored: prefixes from claims, keys that the proxy makes up, and patterns.
import other from 'mime/types/other.js';
import standard from 'mime/types/standard.js';
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../../src/auth/principal.ts';
import { S3Error } from '../../../src/errors.ts';
import { createObjectKeys } from '../../../src/policy/object-key.ts';

const none = { keyPrefix: '', keyPattern: '', keyTemplate: '' };
const jwt = (claims: Readonly<Record<string, unknown>>, subject?: string): Principal => ({
  kind: 'jwt',
  subject,
  claims,
  expiresAtMs: 0,
});
const alice = jwt({ tenant: { id: 'acme' }, 'https://example.com/org': 'o', n: 7 }, 'alice');
const byKey: Principal = { kind: 'sigv4', subject: 'alice', accessKeyId: 'AKID', expiresAtMs: 0 };
const anonymous: Principal = { kind: 'anonymous' };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

describe('prefixes', () => {
  const keyOf = (keyPrefix: string, principal: Principal, key = 'a//b/') =>
    createObjectKeys({ ...none, keyPrefix }).finalKey(principal, key);

  test.each([
    ['', anonymous, 'a//b/'],
    ['in', anonymous, 'ina//b/'],
    ['in/', byKey, 'in/a//b/'],
    ['{sub}/', alice, 'alice/a//b/'],
    ['{sub}/', byKey, 'alice/a//b/'],
    ['t-{tenant.id}/{sub}.d/', alice, 't-acme/alice.d/a//b/'],
    ['{https://example.com/org}/', alice, 'o/a//b/'],
    ['{n}/', alice, '7/a//b/'],
    ['{sub}/', jwt({}, 'a..b'), 'a..b/a//b/'],
    ['{sub}/', jwt({}, '...'), '.../a//b/'],
    ['{sub}/', jwt({}, 'ä b\\%2F'), 'ä b\\%2F/a//b/'],
  ])('%s', (prefix, principal, key) => {
    expect(keyOf(prefix, principal)).toBe(key);
  });

  test.each<readonly [string, Principal]>([
    ['{sub}/', anonymous],
    ['{sub}/', jwt({ sub: 'other' })],
    ['{tenant.id}/', byKey],
    ['{tenant}/', alice],
    ['{toString}/', alice],
    ['{__proto__}/', alice],
    ['.{sub}/', jwt({}, '.')],
    ['{sub}./', jwt({}, '.')],
    ['{a}{b}/', jwt({ a: '.', b: '.' })],
    ...['', '.', '..', 'a/b', '/', '\0', '\n', '\u007f', '\u0085', '\ud800', 'a\udc00'].map(
      (subject) => ['{sub}/', jwt({}, subject)] as const,
    ),
    ...[null, undefined, true, [], ['a'], {}, 1.5, Number.NaN, Infinity, 2 ** 53].map(
      (a) => ['{a}/', jwt({ a })] as const,
    ),
  ])('%s is refused where the claim does not fit', (prefix, principal) => {
    expect(codeOf(() => keyOf(prefix, principal))).toBe('AccessDenied');
  });

  test('what is wrong is for the log alone', () => {
    const error = expect.objectContaining({ message: 'Access Denied.', cause: expect.any(Error) });
    expect(() => keyOf('{tenant.id}/', byKey)).toThrow(error);
  });

  test('the whole key has at most 1,024 bytes', () => {
    const prefix = jwt({}, 'ä'.repeat(100));
    expect(keyOf('{sub}/', prefix, 'k'.repeat(823))).toHaveLength(100 + 1 + 823);
    expect(codeOf(() => keyOf('{sub}/', prefix, 'k'.repeat(824)))).toBe('KeyTooLongError');
  });

  test('a prefix and a key make no dots together', () => {
    expect(codeOf(() => keyOf('.', anonymous, './x'))).toBe('AccessDenied');
    expect(codeOf(() => keyOf('a/.', anonymous, '/x'))).toBe('AccessDenied');
  });
});

describe('patterns', () => {
  const codeFor = (keyPattern: string, key: string, keyPrefix = '') =>
    codeOf(() => createObjectKeys({ ...none, keyPattern, keyPrefix }).finalKey(alice, key));

  test('the whole key matches, prefix included', () => {
    expect(codeFor('[a-z]+/\\d+', '12', '{sub}/')).toBe('none');
    expect(codeFor('\\d+', '12', '{sub}/')).toBe('AccessDenied');
    expect(codeFor('\\d+', '12a')).toBe('AccessDenied');
    expect(codeFor('a|b', 'ab')).toBe('AccessDenied');
    expect(codeFor('^a$', 'a\n')).toBe('AccessDenied');
    expect(codeFor('(?m)^a$', 'a\nb')).toBe('AccessDenied');
  });

  test('takes linear time', () => {
    const startedAt = performance.now();
    expect(codeFor('(a+)+', `${'a'.repeat(1000)}!`)).toBe('AccessDenied');
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe('keys of the proxy’s own', () => {
  test('are made where there is a template for them', () => {
    expect(createObjectKeys(none).makesKeys).toBe(false);
    expect(createObjectKeys({ ...none, keyTemplate: '{uuid}' }).makesKeys).toBe(true);
  });

  const now = () => new Date('2026-02-03T23:59:59Z');
  const make = (keyTemplate: string, principal: Principal, type?: string) =>
    createObjectKeys({ ...none, keyTemplate }, now).makeKey(principal, type);

  test('hold the day, a name that nobody can guess, and what the type calls for', () => {
    expect(make('{yyyy}/{mm}/{dd}/{uuid}{ext}', anonymous, 'Image/PNG; q=1')).toMatch(
      /^2026\/02\/03\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.png$/,
    );
    expect(make('{uuid}', anonymous)).not.toBe(make('{uuid}', anonymous));
    for (const type of [undefined, '', 'no/such', 'image', '/', 'a;b', '../../x']) {
      expect(make('{uuid}{ext}', anonymous, type)).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(make('{sub}/{tenant.id}/{uuid}', alice)).toMatch(/^alice\/acme\//);
  });

  test('can be addressed, or are none', () => {
    const named = (length: number) => jwt({}, 'x'.repeat(length));
    expect(make('{sub}/{uuid}', named(1024 - 37))).toHaveLength(1024);
    expect(() => make('{sub}/{uuid}', named(1025 - 37))).toThrow(expect.objectContaining({ code: 'KeyTooLongError' }));
  });

  test('an extension is letters and digits', () => {
    // Those of the library that the type is looked up in.
    const extensions = [standard, other].flatMap((types) => Object.values(types).flatMap((names) => [...names]));
    expect(extensions.length).toBeGreaterThan(1000);
    expect(extensions.filter((extension) => !/^\*?[a-z0-9][a-z0-9_-]*$/.test(extension))).toEqual([]);
  });

  test('a claim must fit them too', () => {
    expect(codeOf(() => make('{sub}/{uuid}', anonymous))).toBe('AccessDenied');
    expect(codeOf(() => make('{sub}/{uuid}', jwt({}, '..')))).toBe('AccessDenied');
    expect(codeOf(() => make('.{sub}/{uuid}', jwt({}, '.')))).toBe('AccessDenied');
  });
});
