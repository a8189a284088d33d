// Any credential that is a token: a principal or S3Error Unauthorized, and never another throw.
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.ts';
import { createClaimsCheck } from '../../src/auth/jwt/claim-rules.ts';
import { signToken } from '../../src/auth/jwt/sign-token.ts';
import type { ClaimRule } from '../../src/config/config.ts';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
const authenticate = createAuthenticator(
  {
    enabled: true,
    jwt: {
      algorithms: ['HS256'],
      key: { kind: 'secret', secret },
      clockSkewSeconds: 30,
      tokenSources: [
        { type: 'bearer' },
        { type: 'query', name: 'token' },
        { type: 'header', name: 'x-auth-token' },
        { type: 'cookie', name: 'session' },
      ],
      claims: [{ claim: 'locked', exists: false }],
    },
  },
  { replays: { claim: () => {} } },
);

async function outcomeOf(fields: readonly string[], rawQuery = ''): Promise<string> {
  try {
    const request = { method: 'PUT', rawPath: '/uploads/key', rawQuery, host: 'localhost' };
    return (await authenticate({ ...request, headers: new RequestHeaders(fields) })).principal.kind;
  } catch (error) {
    if (error instanceof S3Error && error.code === 'Unauthorized') return 'refused';
    if (error instanceof S3Error && error.code === 'InvalidURI') return 'no query';
    throw error;
  }
}
const bearer = (...values: string[]) => outcomeOf(values.flatMap((value) => ['authorization', value]));

const text = fc.string({ unit: 'binary' });
const threeParts = fc
  .tuple(text, text, text)
  .map((parts) => parts.map((part) => Buffer.from(part).toString('base64url')).join('.'));

test('nothing that is not signed is taken', async () => {
  const value = fc.oneof(
    text,
    text.map((token) => `Bearer ${token}`),
    threeParts.map((token) => `Bearer ${token}`),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 2 }), async (values) => {
      expect(await bearer(...values)).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('nor from any other place', async () => {
  const piece = fc.oneof(
    text,
    threeParts,
    fc.constantFrom('session', 'token', '=', ';', '"', '; ', '&', '%', '%41', ','),
  );
  const value = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const field = fc.tuple(fc.constantFrom('cookie', 'x-auth-token', 'authorization'), value);
  await fc.assert(
    fc.asyncProperty(fc.array(field, { maxLength: 3 }), value, async (fields, rawQuery) => {
      expect(await outcomeOf(fields.flat(), rawQuery)).toMatch(/^(?:refused|no query)$/u);
    }),
    { numRuns: 1000 },
  );
});

const good = await signToken({ algorithm: 'HS256', secret, subject: 'alice', ttlSeconds: 3600 });

test('a good token is found among whatever else is there', async () => {
  const name = fc.stringMatching(/^[a-z]{1,6}$/u).filter((word) => word !== 'session' && word !== 'token');
  const pairs = fc.array(fc.tuple(name, fc.stringMatching(/^[\w.=-]{0,9}$/u)), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(pairs, pairs, fc.boolean(), async (before, after, isCookie) => {
      const own = [isCookie ? 'session' : 'token', good] as const;
      const joined = [...before, own, ...after].map((pair) => pair.join('=')).join(isCookie ? '; ' : '&');
      expect(await (isCookie ? outcomeOf(['cookie', joined]) : outcomeOf([], joined))).toBe('jwt');
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
      locked: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const header = fc.oneof(
    fc.constant({ alg: 'HS256' }),
    fc.record(
      { alg: fc.constant('HS256'), crit: fc.jsonValue(), b64: fc.jsonValue(), kid: fc.jsonValue() },
      { requiredKeys: ['alg'] },
    ),
  );
  await fc.assert(
    fc.asyncProperty(header, fc.oneof(claims, fc.jsonValue()), async (head, payload) => {
      const signed = [head, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      const signature = createHmac('sha256', secret).update(signed).digest('base64url');
      expect(await bearer(`Bearer ${signed}.${signature}`)).toMatch(/^(?:jwt|refused)$/u);
    }),
    { numRuns: 1000 },
  );
});

test('one changed character makes a token worthless', async () => {
  expect(await bearer(`Bearer ${good}`)).toBe('jwt');
  // The last character's lowest two bits are not part of the signature.
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 2), fc.string({ minLength: 1, maxLength: 1 }), async (at, character) => {
      fc.pre(good[at] !== character);
      const changed = good.slice(0, at) + character + good.slice(at + 1);
      expect(await bearer(`Bearer ${changed}`)).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('whatever claims hold, a rule holds or does not, and at most one of exists: true and exists: false', () => {
  const name = fc.constantFrom('a', 'b', 'a.b', '', '.', '__proto__', 'constructor', 'length', '0');
  const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue({ maxDepth: 0 }),
      fc.dictionary(name, tie('any')),
      fc.array(tie('any'), { maxLength: 3 }),
    ),
  })).any;
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('.'));
  const operators = fc.record<Omit<ClaimRule, 'claim'>>(
    {
      equals: fc.oneof(fc.string(), fc.integer(), fc.boolean()),
      contains: fc.oneof(fc.string(), fc.integer(), fc.boolean()),
      in: fc.array(fc.string()),
      matches: fc.constantFrom('.*', 'a|b', '(?i)a+'),
      gt: fc.integer(),
      lt: fc.integer(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), path, operators, (claims, claim, rule) => {
      // As a token's claims are: made by JSON, where every name is a name.
      const read = JSON.parse(JSON.stringify(claims)) as Record<string, unknown>;
      const holds = (more: Omit<ClaimRule, 'claim'>) => createClaimsCheck([{ claim, ...more }])(read) === undefined;
      expect(holds({ exists: true })).toBe(!holds({ exists: false }));
      if (holds(rule)) expect(holds({ exists: true })).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
