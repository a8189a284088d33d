// Bearer tokens that are JWTs (RFC 7519) signed with HS256: verified, and made for the command line.
import { createSecretKey, type webcrypto } from 'node:crypto';
import { errors, jwtVerify, SignJWT, type JWTPayload, type JWTVerifyOptions } from 'jose';
import { LRUCache } from 'lru-cache';
import type { JwtConfig } from '../config/config.ts';
import type { JwtPrincipal } from './principal.ts';
import { unauthorized } from './unauthorized.ts';

/** Rejects with S3Error Unauthorized, whose cause says what is wrong and holds nothing of the token. */
export type JwtVerifier = (token: string) => Promise<JwtPrincipal>;

/** Base64url, three times: jose would also take white space and padding, and so many spellings of one token. */
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const maxCachedTokens = 10_000;
/** What a token and its claims hold at the least, and the largest that is remembered: the cache is bounded by both. */
const smallestEntry = 1024;
const largestEntry = 8192;

/**
 * `exp` is required, `nbf` and `iat` must not lie ahead, `iss` and `aud` are required when they are configured; `typ` is not
 * looked at. A verification costs a trip through a thread pool, so that a token once found good is believed until it
 * expires, by a clock that is read every time.
 */
export function createJwtVerifier({ algorithm, secret, issuer, audience, clockSkewSeconds }: JwtConfig): JwtVerifier {
  const key = hmacKey(secret, 'verify');
  const options: JWTVerifyOptions = {
    algorithms: [algorithm],
    clockTolerance: clockSkewSeconds,
    requiredClaims: ['exp'],
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: [...audience] }),
  };
  const known = new LRUCache<string, KnownToken>({
    maxSize: maxCachedTokens * smallestEntry,
    maxEntrySize: largestEntry - 1,
    sizeCalculation: (_, token) => Math.max(token.length, smallestEntry),
  });

  return async (token) => {
    const hit = known.get(token);
    if (hit !== undefined && isNow(hit, clockSkewSeconds)) return hit.principal;
    if (!compactJws.test(token)) throw unauthorized('not a compact JWS');
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, key, options));
    } catch (error) {
      // The library's errors carry the claims, and others may quote the token: neither is for the log.
      throw unauthorized(error instanceof errors.JOSEError ? `${error.code}: ${error.message}` : 'unreadable');
    }
    const verified = toKnownToken(payload);
    if (!isNow(verified, clockSkewSeconds)) throw unauthorized('outside the time that the token is for');
    known.set(token, verified);
    return verified.principal;
  };
}

interface KnownToken {
  readonly principal: JwtPrincipal;
  /** In seconds since 1970: the later of `nbf` and `iat`. */
  readonly fromSeconds: number;
  readonly untilSeconds: number;
}

function toKnownToken(claims: JWTPayload): KnownToken {
  const { sub: subject, exp, nbf = -Infinity, iat = -Infinity } = claims;
  if (exp === undefined || !Number.isFinite(exp)) throw unauthorized('no finite "exp" claim');
  if (subject !== undefined && typeof subject !== 'string') throw unauthorized('"sub" claim must be a string');
  return {
    principal: Object.freeze({ kind: 'jwt', subject, claims: Object.freeze(claims), expiresAtMs: exp * 1000 }),
    fromSeconds: Math.max(nbf, iat),
    untilSeconds: exp,
  };
}

function isNow({ fromSeconds, untilSeconds }: KnownToken, skewSeconds: number): boolean {
  const now = Math.floor(Date.now() / 1000);
  return untilSeconds > now - skewSeconds && fromSeconds <= now + skewSeconds;
}

export interface SignTokenOptions {
  /** At least 32 bytes of UTF-8. */
  readonly secret: string;
  readonly subject: string;
  readonly ttlSeconds: number;
  readonly issuer?: string;
  readonly audience?: readonly string[];
}

/** A token that `createJwtVerifier` with the same secret, issuer and audience takes from now on for `ttlSeconds`. */
export function signToken({ secret, subject, ttlSeconds, issuer, audience }: SignTokenOptions): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT().setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setSubject(subject);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience([...audience]);
  return token
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
    .sign(hmacKey(secret, 'sign'));
}

/** As the library wants it: given bytes it would import them anew for every token. */
function hmacKey(secret: string, usage: 'sign' | 'verify'): webcrypto.CryptoKey {
  return createSecretKey(secret, 'utf8').toCryptoKey({ name: 'HMAC', hash: 'SHA-256' }, false, [usage]);
}
