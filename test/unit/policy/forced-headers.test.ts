// Header fields that a bucket gives to every object.
import { expect, test } from 'vitest';
import type { Principal } from '../../../src/auth/principal.ts';
import { RequestHeaders } from '../../../src/http.ts';
import { createHeaderForcer } from '../../../src/policy/forced-headers.ts';

const jwt = (claims: Readonly<Record<string, unknown>>): Principal => ({
  kind: 'jwt',
  subject: 'alice@example.com',
  claims,
  expiresAtMs: 0,
});
const sent = new RequestHeaders(['x-amz-meta-by', 'mallory', 'a', '1', 'x-amz-meta-by', 'eve', 'content-length', '3']);
const fieldsOf = (headers: RequestHeaders) => [...headers].map(([name, value]) => `${name}: ${value}`);

test('replace every field of the client’s of that name', () => {
  const force = createHeaderForcer({ 'x-amz-meta-by': '{sub}', 'x-amz-storage-class': 'STANDARD_IA' });
  for (const operation of ['PutObject', 'CreateMultipartUpload'] as const) {
    expect(fieldsOf(force(operation, sent, jwt({})))).toEqual([
      'a: 1',
      'content-length: 3',
      'x-amz-meta-by: alice@example.com',
      'x-amz-storage-class: STANDARD_IA',
    ]);
  }
  for (const operation of ['UploadPart', 'CompleteMultipartUpload', 'AbortMultipartUpload', 'ListParts'] as const) {
    expect(force(operation, sent, jwt({}))).toBe(sent);
  }
});

test.each(['x-amz-expected-bucket-owner', 'x-amz-server-side-encryption-customer-algorithm'])(
  'are there on every call that must state them again: %s',
  (name) => {
    const force = createHeaderForcer({ [name]: '111122223333', 'cache-control': 'no-store' });
    for (const operation of [
      'PutObject',
      'CreateMultipartUpload',
      'UploadPart',
      'CompleteMultipartUpload',
      'ListParts',
    ] as const) {
      const headers = force(operation, new RequestHeaders([name, '9']), { kind: 'anonymous' });
      expect(headers.get(name)).toBe('111122223333');
    }
    expect(force('AbortMultipartUpload', sent, { kind: 'anonymous' })).toBe(sent);
  },
);

test('are not on every call when their names only hold such a one', () => {
  const names = ['x-amz-meta-x-amz-expected-bucket-owner', 'x-amz-expected-bucket-owners'];
  const force = createHeaderForcer(Object.fromEntries(names.map((name) => [name, '1'])));
  expect(force('UploadPart', sent, { kind: 'anonymous' })).toBe(sent);
});

test('of encryption, or of locks, replace all that the client says of it, on every call', () => {
  const client = [
    'x-amz-server-side-encryption-aws-kms-key-id',
    'x-amz-server-side-encryption-context',
    'x-amz-server-side-encryption-customer-key',
    'x-amz-object-lock-legal-hold',
    'x-amz-storage-class',
  ];
  const namesOf = (forced: Readonly<Record<string, string>>, operation: 'PutObject' | 'UploadPart') =>
    [...createHeaderForcer(forced)(operation, new RequestHeaders(client.flatMap((name) => [name, 'a'])), jwt({}))]
      .map(([name]) => name)
      .toSorted();
  const encryption = { 'x-amz-server-side-encryption': 'aws:kms' };
  const rest = ['x-amz-object-lock-legal-hold', 'x-amz-storage-class'];
  expect(namesOf(encryption, 'PutObject')).toEqual([...rest, 'x-amz-server-side-encryption'].toSorted());
  expect(namesOf(encryption, 'UploadPart')).toEqual(rest);
  expect(namesOf({ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 'PutObject')).toEqual(
    [...client.filter((name) => !name.startsWith('x-amz-object-lock-')), 'x-amz-object-lock-mode'].toSorted(),
  );
  expect(namesOf({ 'x-amz-storage-class': 'STANDARD' }, 'PutObject')).toEqual(client.toSorted());
});

test('cost nothing where there are none', () => {
  expect(createHeaderForcer({})('PutObject', sent, jwt({}))).toBe(sent);
});

test.each(['a\r\nb', 'ä', ' a', 'a ', 'a\tb', '\0', '', '\u007f', null, 1.5, {}])(
  'the claim %j is none for a field',
  (a) => {
    const force = createHeaderForcer({ 'x-amz-meta-a': '{a}' });
    expect(() => force('PutObject', sent, jwt({ a }))).toThrow(expect.objectContaining({ code: 'AccessDenied' }));
  },
);

test('a claim adds no value or parameter of its own', () => {
  for (const a of ['x"; filename=y', 'a;b', 'a, b', 'a\\']) {
    const force = createHeaderForcer({ 'content-disposition': 'attachment; filename="{a}"' });
    expect(() => force('PutObject', sent, jwt({ a }))).toThrow(expect.objectContaining({ code: 'AccessDenied' }));
    const asMetadata = createHeaderForcer({ 'x-amz-meta-a': '<{a}>' })('PutObject', sent, jwt({ a }));
    expect(asMetadata.get('x-amz-meta-a')).toBe(`<${a}>`);
  }
});

test('a claim that adds nothing is a value as any other', () => {
  const force = createHeaderForcer({ 'content-disposition': 'attachment; filename="{a}"' });
  const headers = force('PutObject', sent, jwt({ a: 'report  of 2026.pdf' }));
  expect(headers.get('content-disposition')).toBe('attachment; filename="report  of 2026.pdf"');
});

test('a claim adds no tag of its own', () => {
  const force = createHeaderForcer({ 'x-amz-tagging': 'by={a}&proxy=yes' });
  const headers = force('PutObject', sent, jwt({ a: 'x&admin=1 ä+' }));
  expect(headers.get('x-amz-tagging')).toBe('by=x%26admin%3D1%20%C3%A4%2B&proxy=yes');
});
