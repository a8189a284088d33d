// Tokens for the command line are tokens that the verifier takes.
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createJwtVerifier } from '../../../../src/auth/jwt/jwt-verifier.ts';
import { signToken } from '../../../../src/auth/jwt/sign-token.ts';
import { badToken, newConfig, now, secret, seenOf } from './tokens.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: now * 1000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const options = { algorithm: 'HS256', secret, subject: 'alice', ttlSeconds: 60 } as const;

describe('signToken', () => {
  test.each(['HS256', 'HS384', 'HS512'] as const)('%s: is accepted for its time', async (algorithm) => {
    const names = { issuer: 'https://issuer', audience: ['uploads', 'other'] };
    const token = await signToken({ ...options, ...names, algorithm });
    const verify = createJwtVerifier(newConfig({ ...names, algorithms: [algorithm], clockSkewSeconds: 0 }));
    expect(await verify(token)).toMatchObject({ subject: 'alice', expiresAtMs: (now + 60) * 1000 });
    vi.setSystemTime((now + 60) * 1000);
    expect(await seenOf(verify(token))).toEqual(badToken);
  });

  test('leaves out what is not configured', async () => {
    const token = await signToken(options);
    expect(decodeJwt(token)).toEqual({ sub: 'alice', iat: now, exp: now + 60 });
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' });
  });

  test('adds claims, which never replace its own', async () => {
    const claims = { tenant: { id: 'acme' }, roles: ['a'], sub: 'mallory', exp: now + 1e6, iat: 0, iss: 'x', aud: 'x' };
    const token = await signToken({ ...options, issuer: 'i', audience: ['u'], claims });
    expect(decodeJwt(token)).toEqual({
      tenant: { id: 'acme' },
      roles: ['a'],
      sub: 'alice',
      iat: now,
      exp: now + 60,
      iss: 'i',
      aud: ['u'],
    });
  });

  test('needs an algorithm of secrets', async () => {
    await expect(signToken({ ...options, algorithm: 'RS256' })).rejects.toThrow('a secret key does not fit RS256');
  });
});
