// Makes tokens for the command line, where the secret is ours.
import { createSecretKey } from 'node:crypto';
import { SignJWT } from 'jose';
import type { JwtAlgorithm } from '../../config/config.ts';
import { toCryptoKey } from './key-source.ts';

export interface SignTokenOptions {
  /** HS256, HS384 or HS512. */
  readonly algorithm: JwtAlgorithm;
  /** At least as many bytes of UTF-8 as the algorithm's digest. */
  readonly secret: string;
  readonly subject: string;
  readonly ttlSeconds: number;
  readonly issuer?: string;
  readonly audience?: readonly string[];
  /** More claims; what the other options say wins over them. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/**
 * A token that `createJwtVerifier` with the same secret, issuer and audience takes from now on for `ttlSeconds`.
 * @throws TypeError for an algorithm that is not HMAC.
 */
export async function signToken(options: SignTokenOptions): Promise<string> {
  const { algorithm, secret, subject, ttlSeconds, issuer, audience, claims } = options;
  const key = toCryptoKey(createSecretKey(secret, 'utf8'), algorithm, 'sign');
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: 'JWT' }).setSubject(subject);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience([...audience]);
  return token
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
    .sign(key);
}
