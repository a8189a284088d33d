// No claim leads out of its prefix, into a header field of its own, or to a key that cannot be addressed; whatever it holds.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Principal } from '../../src/auth/principal.ts';
import { findKeyPrefixFault, findKeyTemplateFault } from '../../src/config/find-template-fault.ts';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';
import { createHeaderForcer } from '../../src/policy/forced-headers.ts';
import { readMediaType } from '../../src/policy/media-type.ts';
import { createObjectKeys } from '../../src/policy/object-key.ts';
import { createContentSniffer } from '../../src/policy/sniff-content.ts';
import { createUploadIds } from '../../src/policy/upload-ids.ts';
import { decodeKey } from '../../src/routing/decode-key.ts';
import { encodeKey } from '../../src/uri/percent-encode.ts';

const numRuns = 3000;
const none = { keyPrefix: '', keyPattern: '', keyTemplate: '' };

const awkward = fc.constantFrom(
  '.',
  '..',
  '/',
  '\\',
  '%2F',
  '%2e',
  '{sub}',
  '-',
  'a',
  'b',
  'ä',
  'a\u0308',
  ' ',
  '\0',
  '\n',
  '\ud800',
);
const claimText = fc.oneof(
  fc.array(awkward, { maxLength: 4 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ maxLength: 12 }),
);
const claim = fc.oneof(
  claimText,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(claimText, { maxLength: 2 }),
);
const literal = fc
  .array(fc.constantFrom('a', 'b', '-', '.', '/', 'in/', 'ä', ' '), { maxLength: 3 })
  .map((pieces) => pieces.join(''));
const templateOf = (names: readonly string[], isSound: (text: string) => boolean) =>
  fc
    .array(fc.tuple(literal, fc.constantFrom(...names)), { minLength: 1, maxLength: 4 })
    .chain((pieces) => literal.map((last) => pieces.map(([text, name]) => `${text}{${name}}`).join('') + last))
    .filter(isSound);
const prefix = templateOf(['sub', 'tenant.id', 'n'], (text) => findKeyPrefixFault(text) === undefined);
const claims = fc.record({ sub: claimText, id: claim, n: claim });
type Claims = { readonly sub: string; readonly id: unknown; readonly n: unknown };
const toPrincipal = ({ sub, id, n }: Claims): Principal => ({
  kind: 'jwt',
  subject: sub,
  claims: { tenant: { id }, n },
  expiresAtMs: 0,
});

/** A key as a client can send it. */
const clientKey = fc
  .oneof(
    fc.array(awkward, { maxLength: 5 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary' }),
  )
  .filter((key) => key !== '' && refusalOf(() => decodeKey(encodeKey(key))) === undefined);

function refusalOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

test('two senders never come into each other’s prefix', () => {
  let pairs = 0;
  fc.assert(
    fc.property(prefix, claims, claims, clientKey, clientKey, (keyPrefix, first, second, key, otherKey) => {
      const keys = createObjectKeys({ ...none, keyPrefix });
      const senders = [first, second].map(toPrincipal);
      const isRefused = senders.some((sender) => refusalOf(() => keys.finalKey(sender, key)) !== undefined);
      fc.pre(!isRefused);
      const texts = [first, second].map(({ sub, id, n }) => ({ sub, 'tenant.id': String(id), n: String(n) }));
      const names = [...keyPrefix.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name as 'sub' | 'tenant.id' | 'n');
      const isOne = names.every((name) => texts[0]?.[name] === texts[1]?.[name]);
      const [mine = '', theirs = ''] = senders.map((sender) => keys.finalKey(sender, ''));
      if (isOne) {
        expect(mine).toBe(theirs);
        return;
      }
      pairs++;
      expect(keys.finalKey(senders[0] as Principal, key).startsWith(theirs)).toBe(false);
      expect(keys.finalKey(senders[1] as Principal, otherKey).startsWith(mine)).toBe(false);
    }),
    { numRuns },
  );
  expect(pairs).toBeGreaterThan(numRuns / 10);
});

test('a key is its prefix and what the client sent, and can be addressed', () => {
  fc.assert(
    fc.property(prefix, claims, clientKey, (keyPrefix, one, key) => {
      const keys = createObjectKeys({ ...none, keyPrefix });
      const sender = toPrincipal(one);
      const refusal = refusalOf(() => keys.finalKey(sender, key));
      if (refusal !== undefined) {
        expect(['AccessDenied', 'KeyTooLongError']).toContain(refusal);
        return;
      }
      const final = keys.finalKey(sender, key);
      expect(final.endsWith(key)).toBe(true);
      const own = final.slice(0, final.length - key.length);
      // As many segments as the template has: no value brought one along.
      expect(own.split('/').length).toBe(keyPrefix.replaceAll(/\{[^}]+\}/g, 'x').split('/').length);
      expect(own).not.toMatch(/\p{Cc}/u);
      expect(decodeKey(encodeKey(final))).toBe(final);
    }),
    { numRuns },
  );
});

test('a key that the proxy makes up can be addressed', () => {
  const template = templateOf(['sub', 'uuid', 'ext', 'dd', 'n'], (text) => findKeyTemplateFault(text) === undefined);
  fc.assert(
    fc.property(template, claims, fc.option(fc.string()), (keyTemplate, one, type) => {
      const keys = createObjectKeys({ ...none, keyTemplate });
      const sender = toPrincipal(one);
      if (refusalOf(() => keys.makeKey(sender, type ?? undefined)) === 'AccessDenied') return;
      const key = keys.makeKey(sender, type ?? undefined);
      expect(decodeKey(encodeKey(key))).toBe(key);
      expect(key.startsWith('/')).toBe(false);
    }),
    { numRuns },
  );
});

test('a forced field is one line of printable text, and there once', () => {
  const field = fc.constantFrom('x-amz-meta-a', 'content-disposition', 'x-amz-tagging');
  fc.assert(
    fc.property(field, claims, fc.constantFrom('{n}', 'a={n}', '<{n}> {sub}'), (name, one, value) => {
      const force = createHeaderForcer({ [name]: value });
      const sent = new RequestHeaders([name, 'x', 'other', 'y', name, 'z']);
      const refusal = refusalOf(() => force('PutObject', sent, toPrincipal(one)));
      if (refusal !== undefined) {
        expect(refusal).toBe('AccessDenied');
        return;
      }
      const fields = [...force('PutObject', sent, toPrincipal(one))];
      expect(fields.map(([given]) => given)).toEqual(['other', name]);
      expect(fields[1]?.[1]).toMatch(/^[ -~]+$/);
      if (name !== 'x-amz-meta-a') expect(fields[1]?.[1]).not.toMatch(/[;,"\\]/);
      if (name === 'x-amz-tagging') expect(fields[1]?.[1]).not.toContain('&');
    }),
    { numRuns },
  );
});

test('an upload id opens with its own scope, and no other text does', () => {
  const ids = createUploadIds({ bucket: 'b', secret: 'a-secret-of-some-length' });
  const text = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(text, claimText, fc.string(), fc.nat(), fc.string({ maxLength: 2 }), (uploadId, key, type, at, put) => {
      const scope = { backendBucket: 'b', key, creator: undefined };
      fc.pre(uploadId.isWellFormed());
      const sealed = ids.seal(scope, uploadId, type);
      expect(ids.open(scope, sealed)).toEqual({ uploadId, declaredType: type });
      const place = at % (sealed.length + 1);
      for (const changed of [
        sealed.slice(0, place) + put + sealed.slice(place),
        sealed.slice(0, place) + put + sealed.slice(place + 1),
      ]) {
        if (changed !== sealed) expect(refusalOf(() => ids.open(scope, changed))).toBe('NoSuchUpload');
      }
      expect(refusalOf(() => ids.open({ ...scope, key: `${key}x` }, sealed))).toBe('NoSuchUpload');
    }),
    { numRuns },
  );
});

test('a content type that is read is one, wherever its value is cut at commas', () => {
  const piece = fc.constantFrom('image/png', 'text/html', ',', ';', ' ', '"', '\\', 'a=b', 'a', '=', '\t', '/', '*');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const value = pieces.join('');
      const type = readMediaType(value);
      if (type === undefined || value === '') return;
      const unquoted = value.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
      expect(unquoted).not.toContain(',');
      expect(value.toLowerCase().startsWith(type)).toBe(true);
    }),
    { numRuns: numRuns * 5 },
  );
});

test('however a body is cut, it is judged the same', () => {
  const head = fc.constantFrom(
    '89504e470d0a1a0a',
    '7f454c460201',
    '255044462d',
    '504b0304',
    '3c68746d6c3e',
    '4d5a',
    '',
  );
  const type = fc.constantFrom('image/png', 'application/pdf', 'text/plain', 'application/zip', 'application/x-own');
  const judge = (declared: string, pieces: readonly Uint8Array[]): boolean =>
    refusalOf(() => {
      const sniffer = createContentSniffer(declared);
      for (const bytes of pieces) {
        const lent = Buffer.from(bytes);
        sniffer?.write(lent);
        lent.fill(0xff);
      }
      sniffer?.finish();
    }) === undefined;
  fc.assert(
    fc.property(
      type,
      head,
      fc.uint8Array({ maxLength: 1500 }),
      fc.array(fc.nat(1500), { maxLength: 5 }),
      (declared, start, rest, cuts) => {
        const body = Buffer.concat([Buffer.from(start, 'hex'), rest]);
        const places = [0, ...cuts.toSorted((a, b) => a - b), body.length];
        const pieces = places
          .slice(1)
          .map((end, index) => body.subarray(places[index], end))
          .filter(({ length }) => length > 0);
        expect(judge(declared, pieces)).toBe(judge(declared, body.length === 0 ? [] : [body]));
      },
    ),
    { numRuns: 1000 },
  );
});
