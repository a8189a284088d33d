// Any Authorization header: a principal or S3Error Unauthorized, and never another throw.
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.ts';
import { signToken } from '../../src/auth/jwt.ts';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const authenticate = createAuthenticator({ enabled: true, jwt: { algorithm: 'HS256', secret, clockSkewSeconds: 30 } });

async function outcomeOf(...values: string[]): Promise<string> {
  try {
    const fields = values.flatMap((value) => ['authorization', value]);
    return (await authenticate({ headers: new RequestHeaders(fields) })).kind;
  } catch (error) {
    if (error instanceof S3Error && error.code === 'Unauthorized') return 'refused';
    throw error;
  }
}

const text = fc.string({ unit: 'binary' });

test('nothing that is not signed is taken', async () => {
  const value = fc.oneof(
    text,
    text.map((token) => `Bearer ${token}`),
    fc.tuple(text, text, text).map((parts) => {
      const encoded = parts.map((part) => Buffer.from(part).toString('base64url'));
      return `Bearer ${encoded.join('.')}`;
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 2 }), async (values) => {
      expect(await outcomeOf(...values)).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('whatever a signed token holds, it is taken or refused', async () => {
  const claims = fc.record(
    {
      exp: fc.oneof(fc.constant(4_000_000_000), fc.jsonValue()),
      nbf: fc.jsonValue(),
      iat: fc.jsonValue(),
      sub: fc.jsonValue(),
      aud: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const header = fc.oneof(
    fc.constant({ alg: 'HS256' }),
    fc.record({ alg: fc.constant('HS256'), crit: fc.jsonValue() }),
  );
  await fc.assert(
    fc.asyncProperty(header, fc.oneof(claims, fc.jsonValue()), async (head, payload) => {
      const signed = [head, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      const signature = createHmac('sha256', secret).update(signed).digest('base64url');
      expect(await outcomeOf(`Bearer ${signed}.${signature}`)).toMatch(/^(jwt|refused)$/);
    }),
    { numRuns: 1000 },
  );
});

test('one changed character makes a token worthless', async () => {
  const token = await signToken({ secret, subject: 'alice', ttlSeconds: 3600 });
  expect(await outcomeOf(`Bearer ${token}`)).toBe('jwt');
  // The last character's lowest two bits are not part of the signature.
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 2), fc.string({ minLength: 1, maxLength: 1 }), async (at, character) => {
      fc.pre(token[at] !== character);
      const changed = token.slice(0, at) + character + token.slice(at + 1);
      expect(await outcomeOf(`Bearer ${changed}`)).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});
