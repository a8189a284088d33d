// One authenticator for SigV4, asked at the time that the requests are signed at, and how it refuses.
import { afterEach, beforeEach, vi } from 'vitest';
import { createAuthenticator } from '../../../../src/auth/authenticate.ts';
import type { AuthServices } from '../../../../src/auth/authentication.ts';
import type { SigV4Config } from '../../../../src/config/config.ts';
import { S3Error } from '../../../../src/errors.ts';
import { sigv4Config } from '../../../support/sigv4.ts';

export const signedAtMs = Date.UTC(2013, 4, 24);

/** For each test of a file. */
export function stopClock(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: signedAtMs });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

const noReplays: AuthServices['replays'] = { claim() {} };

export function authenticatorWith(config: Partial<SigV4Config> = {}, services: Partial<AuthServices> = {}) {
  return createAuthenticator(
    { enabled: true, sigv4: { ...sigv4Config, ...config } },
    { replays: noReplays, ...services },
  );
}
export const authenticate = authenticatorWith();

export async function refusalOf(promise: Promise<unknown>): Promise<S3Error> {
  const error: unknown = await promise.then(
    () => new Error('accepted'),
    (reason: unknown) => reason,
  );
  if (error instanceof S3Error) return error;
  throw error;
}
export const codeOf = async (promise: Promise<unknown>): Promise<string> => (await refusalOf(promise)).code;
