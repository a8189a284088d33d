// Which bucket a path belongs to, and which key it names.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { createAddressParser, createBucketFinder, type BucketRoute } from '../../../src/routing/parse-address.ts';

const route = (name: string, pathPrefix?: string, backendBucket?: string, backend = 'here'): BucketRoute<string> => ({
  name,
  pathPrefix,
  backendBucket,
  backend,
  target: `${name}@${pathPrefix ?? ''}`,
});

function refusalOf(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('buckets', () => {
  const parse = createAddressParser([
    route('*'),
    route('team-*', undefined, 'teams'),
    route('team-*-eu'),
    route('plain', undefined, 'plain-backend'),
    route('uploads', '/uploads', 'b1'),
    route('deep', '/uploads/deep/er', 'b2'),
    route('odd', '/a.b~c_d-e', 'b3'),
  ]);

  test.each([
    ['/uploads/k', 'uploads@/uploads', 'uploads', 'b1', 'k'],
    ['/uploads', 'uploads@/uploads', 'uploads', 'b1', undefined],
    ['/uploads/', 'uploads@/uploads', 'uploads', 'b1', undefined],
    ['/uploads//k', 'uploads@/uploads', 'uploads', 'b1', '/k'],
    ['/uploads/deep/k', 'uploads@/uploads', 'uploads', 'b1', 'deep/k'],
    ['/uploads/deep/er', 'deep@/uploads/deep/er', 'deep', 'b2', undefined],
    ['/uploads/deep/er/', 'deep@/uploads/deep/er', 'deep', 'b2', undefined],
    ['/uploads/deep/er/k', 'deep@/uploads/deep/er', 'deep', 'b2', 'k'],
    ['/uploads/deep/error', 'uploads@/uploads', 'uploads', 'b1', 'deep/error'],
    ['/uploads/deep//er/k', 'uploads@/uploads', 'uploads', 'b1', 'deep//er/k'],
    ['/%75ploads/d%65ep/er/k', 'deep@/uploads/deep/er', 'deep', 'b2', 'k'],
    ['/uploads/deep%2Fer/k', 'uploads@/uploads', 'uploads', 'b1', 'deep/er/k'],
    ['/a.b~c_d-e/k', 'odd@/a.b~c_d-e', 'odd', 'b3', 'k'],
    ['/plain/k', 'plain@', 'plain', 'plain-backend', 'k'],
    ['/team-a/k', 'team-*@', 'team-a', 'teams', 'k'],
    ['/team-a-eu/k', 'team-*-eu@', 'team-a-eu', 'team-a-eu', 'k'],
    ['/uploadsandmore/k', '*@', 'uploadsandmore', 'uploadsandmore', 'k'],
    ['/any.bucket', '*@', 'any.bucket', 'any.bucket', undefined],
  ])('%s belongs to %s', (path, bucket, bucketName, backendBucket, key) => {
    expect(parse(path)).toEqual({ bucket, bucketName, backendBucket, key });
  });

  test.each(['/Upper/k', '/ab/k', '/a%2Fb/k', '/under_score/k', '/..%2Fx/k', '/%EF%BF%BDabc/k', '/192.168.0.1/k'])(
    '%s: a pattern takes no name that S3 would not',
    (path) => {
      expect(refusalOf(() => parse(path)).code).toBe('NoSuchBucket');
    },
  );

  test('what is configured nowhere is no bucket', () => {
    const narrow = createAddressParser([route('uploads', '/uploads', 'b'), route('team-*')]);
    for (const path of ['/uploadsandmore/k', '/upload/k', '//uploads/k', '/UPLOADS/k', '/x-team-a/k', '/./uploads/k']) {
      expect([path, refusalOf(() => narrow(path)).code]).toEqual([path, 'NoSuchBucket']);
    }
    // The prefix is where this bucket is served, and its name is not.
    const renamed = createAddressParser([route('uploads', '/media', 'b')]);
    expect(refusalOf(() => renamed('/uploads/k')).code).toBe('NoSuchBucket');
  });

  test('a pattern opens no bucket that another entry names, by its name or by the backend’s', () => {
    const routes = [
      route('*'),
      route('team-*', undefined, 'teams'),
      route('invoices', '/inv', 'inv-backend'),
      route('far', '/far', 'media', 'there'),
      route('team-a', '/a', 'team-b'),
    ];
    const mixed = createAddressParser(routes);
    const find = createBucketFinder(routes);
    expect(mixed('/inv/k')).toMatchObject({ bucket: 'invoices@/inv', backendBucket: 'inv-backend' });
    for (const path of ['/invoices/k', '/inv-backend/k', '/%69nv-backend/k', '/team-a/k']) {
      expect([path, refusalOf(() => mixed(path)).code, find(path)]).toEqual([path, 'NoSuchBucket', undefined]);
    }
    // In another place, or where the pattern has one bucket for all, a name stands for another bucket.
    expect(mixed('/media/k')).toMatchObject({ bucket: '*@', backendBucket: 'media' });
    expect(mixed('/team-b/k')).toMatchObject({ bucket: 'team-*@', backendBucket: 'teams' });
  });

  test('the list of buckets is not shown', () => {
    const refusal = refusalOf(() => parse('/'));
    expect([refusal.status, refusal.code, refusal.headers]).toEqual([405, 'MethodNotAllowed', [['Allow', '']]]);
  });

  test.each(['', '*', 'uploads/k', 'http://host/uploads/k'])('%j is no path', (path) => {
    expect(refusalOf(() => parse(path)).code).toBe('InvalidURI');
  });
});

describe('what serves a path', () => {
  const routes = [route('uploads', '/uploads'), route('deep', '/uploads/deep/er'), route('team-*')];
  const find = createBucketFinder(routes);

  test.each([
    '/uploads',
    '/uploads/k',
    '/uploads/%ff',
    '/uploads/a%00b',
    '/uploads/../x',
    `/uploads/${'k'.repeat(2000)}`,
  ])('%s is found, whatever the key', (path) => {
    expect(find(path)).toBe('uploads@/uploads');
  });

  test.each(['/', '', '*', 'uploads/k', '/nowhere/k', '/%ff/k', '/uploadsandmore', '/team-A/k', '/uploads%2Fk'])(
    '%j is nobody’s',
    (path) => {
      expect(find(path)).toBeUndefined();
    },
  );

  test('a key that cannot be decoded is refused as such, however deep the prefixes go', () => {
    expect(find('/uploads/deep/er/%ff')).toBe('deep@/uploads/deep/er');
    expect(find('/uploads/deep/%ff')).toBe('uploads@/uploads');
    expect(find('/team-a/%ff')).toBe('team-*@');
    const parse = createAddressParser(routes);
    for (const path of ['/uploads/%ff', '/uploads/deep/%', '/team-a/%ff', '/%ff/k']) {
      expect(refusalOf(() => parse(path)).code).toBe('InvalidURI');
    }
    expect(refusalOf(() => parse('/nowhere/%ff')).code).toBe('NoSuchBucket');
  });
});

describe('keys', () => {
  const parse = createAddressParser([route('uploads', '/uploads', 'b')]);
  const keyOf = (raw: string): string | undefined => parse(`/uploads/${raw}`).key;

  test.each([
    ['plain/path-1_2.bin', 'plain/path-1_2.bin'],
    ['two%20words', 'two words'],
    ['plus+plus%2B', 'plus+plus+'],
    ['slash%2Fencoded', 'slash/encoded'],
    ['percent%2541', 'percent%41'],
    ['nfc-%C3%A9-nfd-e%CC%81', 'nfc-\u00e9-nfd-e\u0301'],
    ['raw-é-🦈', 'raw-é-🦈'],
    ['mixed-é%C3%a9', 'mixed-éé'],
    ['%F0%9F%A6%88', '🦈'],
    ['%EF%BF%BD', '\ufffd'],
    ['a//b/', 'a//b/'],
    ['/', '/'],
    ['back\\slash', 'back\\slash'],
    ['..a/.b/c../.../%20..%20', '..a/.b/c../.../ .. '],
    ['%01%0A%7F', '\u0001\n\u007f'],
    ['!"$&\'()*,;:=@[]^`{|}<>?~', '!"$&\'()*,;:=@[]^`{|}<>?~'],
    ['question%3Fhash%23', 'question?hash#'],
  ])('%s means %j', (raw, key) => {
    expect(keyOf(raw)).toBe(key);
  });

  test.each([
    '%00',
    'a%00b',
    'a%',
    'a%4',
    'a%zz',
    'a%C3%',
    '%ff',
    '%C3',
    '%C3é',
    '%ED%A0%80',
    '%C0%AE',
    '%F4%90%80%80',
    'raw-\ufffd',
    'lone-\ud83e',
    'space d',
    'tab\t',
    'delete\u007f',
    'fragment#a',
    '.',
    '..',
    'a/../b',
    'a/./b',
    './a',
    'a/..',
    '%2e%2e/b',
    '.%2E/b',
    'a%2F..%2Fb',
    '/..',
  ])('%j is refused', (raw) => {
    expect(refusalOf(() => keyOf(raw)).code).toBe('InvalidURI');
  });

  test('has at most 1,024 bytes of UTF-8 after decoding', () => {
    expect(keyOf('a'.repeat(1024))).toHaveLength(1024);
    expect(keyOf('%C3%A9'.repeat(512))).toBe('é'.repeat(512));
    expect(keyOf('%61'.repeat(1024))).toHaveLength(1024);
    for (const raw of ['a'.repeat(1025), `${'é'.repeat(512)}a`, '€'.repeat(342), '%E2%82%AC'.repeat(342)]) {
      expect(refusalOf(() => keyOf(raw)).code).toBe('KeyTooLongError');
    }
  });
});
