// The checks of single values: listening addresses, numbers and flags, bucket names, secrets.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { findBucketNameFault, findBucketPatternFault } from '../../../src/bucket-name.ts';
import { findSecretFault } from '../../../src/config/find-secret-fault.ts';
import { parseListenAddress } from '../../../src/config/parse-listen-address.ts';
import { flag, integer, seconds, size } from '../../../src/config/scalars.ts';

describe('listening addresses', () => {
  test.each([
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['localhost:65535', 'localhost', 65_535],
    ['proxy.example.com:80', 'proxy.example.com', 80],
    ['[::1]:8080', '::1', 8080],
    ['[::]:443', '::', 443],
  ])('%s', (text, host, port) => {
    expect(parseListenAddress(text)).toEqual({ host, port });
  });

  test.each(['', '8080', ':8080', 'localhost', 'localhost:', 'localhost:65536', 'localhost:-1', 'localhost:http'])(
    '%j is refused',
    (text) => {
      expect(parseListenAddress(text)).toBeUndefined();
    },
  );

  test.each(['::1:8080', '[::1]', '[::g]:1', '[127.0.0.1]:1', 'a b:1', 'http://a:1', 'a:1:2', 'a:1\n', '-a:1', 'a/:1'])(
    '%j is refused too',
    (text) => {
      expect(parseListenAddress(text)).toBeUndefined();
    },
  );
});

describe('values from the environment, which are text', () => {
  test('are numbers and flags where they are written as such', () => {
    expect(['0', '15', '007'].map((value) => integer(0, 20).parse(value))).toEqual([0, 15, 7]);
    expect(['0.5', '20', '1.000001'].map((value) => seconds(0, 20).parse(value))).toEqual([0.5, 20, 1.000001]);
    expect(['true', 'false'].map((value) => flag().parse(value))).toEqual([true, false]);
    expect(['1024', '1KiB', 1024].map((value) => size(1024, 1024).parse(value))).toEqual([1024, 1024, 1024]);
  });

  test.each(['', ' ', ' 5', '5 ', '+5', '-5', '1e1', '0x5', '5.', '.5', '1_0', '5s', '1'.repeat(16)])(
    '%j is no number',
    (value) => {
      expect(seconds(0, 20).safeParse(value).success).toBe(false);
      expect(integer(0, Number.MAX_SAFE_INTEGER).safeParse(value).success).toBe(false);
    },
  );

  test.each(['1.5', '21'])('%j is no whole number to 20', (value) => {
    expect(integer(0, 20).safeParse(value).success).toBe(false);
  });

  test.each(['True', 'yes', '1', '', 1])('%j is no flag', (value) => {
    expect(flag().safeParse(value).success).toBe(false);
  });

  test.each([1023, '1023', 1025, '1025B', '2KiB', 1.5, -1, ''])('%j is no size of 1 KiB', (value) => {
    expect(size(1024, 1024).safeParse(value).success).toBe(false);
  });
});

describe('bucket names', () => {
  test.each(['abc', 'my-bucket', 'a.b.c', '123', '1.2.3', `a${'b'.repeat(62)}`, 'a-.b'])('%s is one', (name) => {
    expect(findBucketNameFault(name)).toBeUndefined();
  });

  test.each([
    ['ab', 'must have 3 to 63 characters'],
    ['a'.repeat(64), 'must have 3 to 63 characters'],
    ['Uploads', 'may hold lower-case letters, digits, dots and hyphens only'],
    ['my_bucket', 'may hold lower-case letters, digits, dots and hyphens only'],
    ['a/b/c', 'may hold lower-case letters, digits, dots and hyphens only'],
    ['-abc', 'must begin and end with a letter or digit'],
    ['abc.', 'must begin and end with a letter or digit'],
    ['a..b', 'must not hold two dots in a row'],
    ['192.168.5.4', 'must not look like an IP address'],
    ['xn--abc', 'must not use xn--, which S3 reserves'],
    ['abc-s3alias', 'must not use -s3alias, which S3 reserves'],
    ['abc--x-s3', 'must not use --x-s3, which S3 reserves'],
  ])('%s is none', (name, fault) => {
    expect(findBucketNameFault(name)).toBe(fault);
  });

  test('patterns hold the characters of names and *', () => {
    for (const pattern of ['*', 'team-*', '*.example', 'a*b*c']) {
      expect(findBucketPatternFault(pattern)).toBeUndefined();
    }
    expect(findBucketPatternFault('Team-*')).toContain('lower-case');
    expect(findBucketPatternFault('a/*')).toContain('lower-case');
    expect(findBucketPatternFault('a**')).toBe('must not hold two * in a row');
    expect(findBucketPatternFault(`${'a'.repeat(63)}*`)).toBe('must have at most 63 characters');
  });
});

describe('secrets', () => {
  test.each([
    'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya',
    'y3JqgqZ2pXn0l7uC0W1oYw2o5Tzv1gk9bqJx8m4o3aE=',
    'eine lange Passphrase für die Tokens',
    'ключ-для-токенов-0123',
  ])('%s is fit', (secret) => {
    expect(findSecretFault(secret)).toBeUndefined();
  });

  test('bytes are counted, not characters', () => {
    expect(findSecretFault('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Y')).toBe('must have at least 32 bytes');
    expect(findSecretFault('ключдлятокено012')).toBe('must have at least 32 bytes');
    expect(findSecretFault('')).toBe('must have at least 32 bytes');
  });

  test('a larger digest needs a longer one', () => {
    const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0YaUe8Xo3Iq6Rt1Nv9B';
    expect(findSecretFault(secret, 48)).toBeUndefined();
    expect(findSecretFault(secret.slice(1), 48)).toBe('must have at least 48 bytes');
    expect(findSecretFault(secret, 64)).toBe('must have at least 64 bytes');
  });

  test.each([
    'changeme-changeme-please-0123456789',
    'CHANGE_ME_TO_A_LONG_RANDOM_STRING_0',
    'please-change-this-to-something-long',
    'your-secret-key-that-is-long-enough-now',
    'your-super-secret-jwt-key-min-32-chars',
    '<your secret goes here, 32 bytes min>',
    'replace-me-with-a-real-secret-000000',
    'a-string-secret-at-least-256-bits-long',
    'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY',
    'minioadmin-minioadmin-minioadmin-1',
    'Insecure! Only for my own machine, really.',
    'this key is for development, of 32 bytes',
    'not-a-secret-but-for-testing-the-proxy',
    'do_not_use_this_key_in_production_2026',
    'MySuperSecretKeyThatNobodyWillEverGuess',
    'abcdefghijklmnopqrstuvwxyz-0123456789',
    '0123456789abcdef0123456789abcdef0123456789abcde_',
    'secret-key-for-jwt-signing-please-change',
    'secret key of the tokens of this server',
    'todo-set-a-real-secret-before-deploy!!',
    'a better one is needed before deployment',
    'password1234password5678password90',
    'thisisasecretkeythatislongenough!!',
  ])('%s is a placeholder', (secret) => {
    expect(findSecretFault(secret)).toBe('is a placeholder: choose a secret');
  });

  test('a variable that was never filled in is no secret', () => {
    expect(findSecretFault('${JWT_SECRET_OF_THE_UPLOAD_PROXY}')).toBe('must not hold a ${ that was never filled in');
  });

  test.each([
    'a'.repeat(40),
    'abcd'.repeat(9),
    '0'.repeat(32),
    '🔑'.repeat(8),
    'hunter2'.repeat(5),
    'Zx8Qm2Lp7Vr4Tn9K'.repeat(2),
    'dragonfly dragonfly dragonfly drago',
    '00000000000000000000000000000001',
    'testtesttesttesttesttesttesttestx',
    'hunter2hunter2hunter2hunter2hunter2-new',
    'abcdabcaabcdaabcdabcdaaabcdabcabcdda',
  ])('%s repeats itself', (secret) => {
    expect(findSecretFault(secret)).toBe('must not be the same few characters again and again');
  });

  test('what is made at random is never taken for any of that', () => {
    const encodings = ['hex', 'base64', 'base64url'] as const;
    for (let round = 0; round < 3000; round++) {
      const secret = randomBytes(24).toString(encodings[round % 3]);
      expect([secret, findSecretFault(secret, 16)]).toEqual([secret, undefined]);
      expect(findSecretFault(secret.slice(0, 16), 16)).toBeUndefined();
    }
  });
});
