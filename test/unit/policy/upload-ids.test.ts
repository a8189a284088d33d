// Ids of multipart uploads that only their creator can use.
import { expect, test } from 'vitest';
import type { Principal } from '../../../src/auth/principal.ts';
import { createUploadIds, type UploadScope } from '../../../src/policy/upload-ids.ts';

const jwt = (subject: string | undefined, claims: Readonly<Record<string, unknown>> = {}): Principal => ({
  kind: 'jwt',
  subject,
  claims,
  expiresAtMs: 0,
});
const sigv4 = (subject: string, accessKeyId = 'AKID'): Principal => ({
  kind: 'sigv4',
  subject,
  accessKeyId,
  expiresAtMs: 0,
});
const scope: UploadScope = { backendBucket: 'b', key: 'k', creator: jwt('alice') };
const ids = createUploadIds({ bucket: 'uploads', secret: 'a-secret-of-some-length' });
const sealed = ids.seal(scope, 'backend.id~=', 'image/png');
const refused = expect.objectContaining({ code: 'NoSuchUpload' });

test('an id opens for whom and what it was sealed', () => {
  expect(ids.open(scope, sealed)).toEqual({ uploadId: 'backend.id~=', declaredType: 'image/png' });
  const agreeing = createUploadIds({ bucket: 'uploads', secret: 'a-secret-of-some-length' });
  expect(agreeing.open(scope, sealed).uploadId).toBe('backend.id~=');
  expect(sealed).toMatch(/^backend\.id~=\.[\w-]+\.[\w-]{43}$/);
});

test.each<[string, UploadScope]>([
  ['bucket', { ...scope, backendBucket: 'c' }],
  ['key', { ...scope, key: 'l' }],
  ['subject', { ...scope, creator: jwt('bob') }],
  ['kind', { ...scope, creator: sigv4('alice') }],
  ['issuer', { ...scope, creator: jwt('alice', { iss: 'other' }) }],
  ['name at all', { ...scope, creator: { kind: 'anonymous' } }],
  ['binding', { ...scope, creator: undefined }],
])('and for no other %s', (_, other) => {
  expect(() => ids.open(other, sealed)).toThrow(refused);
});

test('and on no proxy of another secret or bucket', () => {
  const foreign = [
    { bucket: 'uploads', secret: 'another-secret-of-some-length' },
    { bucket: 'other', secret: 'a-secret-of-some-length' },
  ];
  for (const options of foreign) expect(() => createUploadIds(options).open(scope, sealed)).toThrow(refused);
});

test('an access key may be replaced by another one of its owner', () => {
  const id = ids.seal({ ...scope, creator: sigv4('alice', 'OLD') }, 'x', '');
  expect(ids.open({ ...scope, creator: sigv4('alice', 'NEW') }, id).uploadId).toBe('x');
  expect(() => ids.open({ ...scope, creator: sigv4('bob', 'OLD') }, id)).toThrow(refused);
});

test('no other spelling of an id is one', () => {
  const [type = '', code = ''] = sealed.split('.').slice(-2);
  const others = [
    '',
    '.',
    '..',
    'backend.id~=',
    `backend.id~=.${type}`,
    `backend.id~=..${code}`,
    `backend.id~=.${type}=.${code}`,
    `backend.id~=.${Buffer.from('text/html').toString('base64url')}.${code}`,
    `backend.id.~=.${type}.${code}`,
    `Backend.id~=.${type}.${code}`,
    `${sealed}.`,
    `${sealed}A`,
    sealed.slice(0, -1),
    `.${sealed}`,
    sealed.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
  ];
  for (const other of others) expect(() => ids.open(scope, other)).toThrow(refused);
  // The last character of a code carries two bits that say nothing.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const opening = alphabet.split('').filter((last) => {
    try {
      return ids.open(scope, sealed.slice(0, -1) + last).uploadId !== '';
    } catch {
      return false;
    }
  });
  expect(opening).toEqual([sealed.at(-1)]);
});

test('a token without sub owns nothing', () => {
  for (const subject of [undefined, '']) {
    expect(() => ids.seal({ ...scope, creator: jwt(subject) }, 'x', '')).toThrow(
      expect.objectContaining({ code: 'AccessDenied' }),
    );
  }
});
