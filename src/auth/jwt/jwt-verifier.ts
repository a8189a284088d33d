// Verifies tokens that are JWTs (RFC 7519): signature, times, issuer, audience, and the claims that a bucket asks for.
import { errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import { LRUCache } from 'lru-cache';
import type { CallTrace } from '../../call-trace.ts';
import type { JwtConfig, JwksConfig } from '../../config/config.ts';
import { S3Error } from '../../errors.ts';
import type { JwtPrincipal } from '../principal.ts';
import type { HitCounter, WatchFetch } from '../authentication.ts';
import { unauthorized } from '../unauthorized.ts';
import { createClaimsCheck } from './claim-rules.ts';
import { fetchKeySet, type FetchedKeySet } from './fetch-key-set.ts';
import { Jwks } from './jwks.ts';
import { createFixedKeys, type KeySet, type KeySource } from './key-source.ts';

/**
 * Rejects with S3Error Unauthorized, whose cause says what is wrong and holds nothing of the token; ServiceUnavailable when
 * the identity provider's keys cannot be had.
 */
export type JwtVerifier = (token: string, trace?: CallTrace) => Promise<JwtPrincipal>;

export interface JwtVerifierOptions {
  /** The identity provider's keys could not be fetched: called at most once in each cool-down. */
  readonly onFetchFailed?: ((error: unknown) => void) | undefined;
  /** The keys were fetched, and none is of use: called once for each such set. */
  readonly onNoUsableKey?: (() => void) | undefined;
  readonly watchFetch?: WatchFetch | undefined;
  readonly cacheHits?: HitCounter | undefined;
}

/** Base64url, three times: jose would also take white space and padding, and so many spellings of one token. */
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const maxCachedTokens = 10_000;
/** What a token and its claims hold at the least, and the largest that is remembered: the cache is bounded by both. */
const smallestEntry = 1024;
const largestEntry = 8192;
/** Keys that are tried on a token that does not say which one has signed it. */
const maxKeysTried = 16;

/**
 * `exp` is required, `nbf` and `iat` must not lie ahead, `iss` and `aud` are required when they are configured; `typ` is not
 * looked at, and neither is a key or an address of one in the token's own header. A verification costs a trip through a
 * thread pool, so that a token once found good is believed until it expires, by a clock that is read every time, and as
 * long as the keys that it was verified with are the ones to use.
 * @throws Error when the key does not fit an algorithm, the address of keys is none, or a rule's pattern is not RE2's.
 */
export function createJwtVerifier(config: JwtConfig, services: JwtVerifierOptions = {}): JwtVerifier {
  const { issuer, audience, clockSkewSeconds } = config;
  const { cacheHits = { value: 0 } } = services;
  // RFC 9864, section 2.2: Ed25519 is the new name of what EdDSA means here.
  const algorithms = config.algorithms.flatMap((name) => (name === 'EdDSA' ? [name, 'Ed25519'] : [name]));
  const source: KeySource =
    config.key.kind === 'jwks'
      ? createJwks(config.key, algorithms, services)
      : createFixedKeys(config.key, config.algorithms);
  const findBrokenRule = createClaimsCheck(config.claims);
  const verify = createVerification(source, {
    algorithms,
    clockTolerance: clockSkewSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: [...audience] }),
  });
  const known = new LRUCache<string, KnownToken>({
    maxSize: maxCachedTokens * smallestEntry,
    maxEntrySize: largestEntry - 1,
    sizeCalculation: (_, token) => Math.max(token.length, smallestEntry),
  });

  return async (token, trace) => {
    const hit = known.get(token);
    if (hit !== undefined && hit.keys === source.current() && isNow(hit, clockSkewSeconds)) {
      cacheHits.value++;
      return hit.principal;
    }
    if (!compactJws.test(token)) throw unauthorized('not a compact JWS');
    const { claims, keys } = await verify(token, trace);
    const brokenRule = findBrokenRule(claims);
    if (brokenRule !== undefined) throw unauthorized(`the rule for the claim "${brokenRule}" does not hold`);
    const verified = toKnownToken(claims, keys);
    if (!isNow(verified, clockSkewSeconds)) throw unauthorized('outside the time that the token is for');
    known.set(token, verified);
    return verified.principal;
  };
}

function createJwks(
  { url, timeoutMs, ...times }: JwksConfig,
  algorithms: readonly string[],
  { onFetchFailed, onNoUsableKey, watchFetch = (fetch) => fetch() }: JwtVerifierOptions,
): KeySource {
  const { protocol, username, password } = new URL(url);
  // A name and password would stand in every error that fetch makes, and fetch takes none.
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') {
    throw new TypeError('the address of a JWK set must be http: or https:, without a name and password');
  }
  return new Jwks<FetchedKeySet>({
    ...times,
    fetch: async (previous, cause) => {
      const keys = await watchFetch((trace) => fetchKeySet({ url, timeoutMs, algorithms, trace }, previous), cause);
      if (keys !== previous && !keys.isUsable) onNoUsableKey?.();
      return keys;
    },
    onFetchFailed,
  });
}

interface Verified {
  readonly claims: JWTPayload;
  readonly keys: KeySet;
}

/** Rejects as a JwtVerifier does. */
function createVerification(
  source: KeySource,
  options: JWTVerifyOptions,
): (token: string, trace?: CallTrace) => Promise<Verified> {
  return async (token, trace) => {
    // Once more after a fetch that was under way when the token came, and once more after one that was made for it.
    for (let fetches = 0; ; fetches++) {
      const attempt: Attempt = { keys: undefined, hasKeyId: false };
      try {
        return await verifyWith(attempt, token, trace);
      } catch (error) {
        if (error instanceof S3Error) throw error;
        if (fetches === 2 || !mayHaveNewKey(error, attempt) || !(await source.renew(trace)))
          throw unauthorized(faultOf(error));
      }
    }
  };

  async function verifyWith(attempt: Attempt, token: string, trace: CallTrace | undefined): Promise<Verified> {
    try {
      const { payload } = await jwtVerify(
        token,
        async (header, jws) => {
          // RFC 7797, section 7: unencoded payloads are not for JWTs, whether `crit` says so or not.
          if (header.b64 === false) throw unauthorized('an unencoded payload');
          attempt.hasKeyId = header.kid !== undefined;
          attempt.keys = await source.load(trace);
          return attempt.keys.find(header, jws);
        },
        options,
      );
      return { claims: payload, keys: attempt.keys as KeySet };
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      return { claims: await tryEach(error, token), keys: attempt.keys as KeySet };
    }
  }

  async function tryEach(candidates: errors.JWKSMultipleMatchingKeys, token: string): Promise<JWTPayload> {
    let tried = 0;
    for await (const key of candidates) {
      if (++tried > maxKeysTried) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        // What is no error of JOSE is one of the key (RSA of too few bits): another may be the right one.
        if (error instanceof errors.JOSEError && !(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

interface Attempt {
  keys: KeySet | undefined;
  hasKeyId: boolean;
}

/** A token that names no key says with its signature alone that it was made with one that is not there yet. */
function mayHaveNewKey(error: unknown, { hasKeyId }: Attempt): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return !hasKeyId && error instanceof errors.JWSSignatureVerificationFailed;
}

/** The library's errors carry the claims, their messages may quote the header: the code alone is for the log. */
function faultOf(error: unknown): string {
  if (!(error instanceof errors.JOSEError)) return 'unreadable';
  const isOfClaim = error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired;
  // One of RFC 7519, section 4.1: the library looks at no other.
  return isOfClaim ? `${error.code}: ${error.claim}` : error.code;
}

interface KnownToken {
  readonly principal: JwtPrincipal;
  readonly keys: KeySet;
  /** In seconds since 1970: the later of `nbf` and `iat`. */
  readonly fromSeconds: number;
  readonly untilSeconds: number;
}

function toKnownToken(claims: JWTPayload, keys: KeySet): KnownToken {
  const { sub: subject, exp, nbf = -Infinity, iat = -Infinity } = claims;
  if (exp === undefined || !Number.isFinite(exp)) throw unauthorized('no finite "exp" claim');
  if (subject !== undefined && typeof subject !== 'string') throw unauthorized('"sub" claim must be a string');
  freezeDeep(claims);
  return {
    principal: Object.freeze({ kind: 'jwt', subject, claims, expiresAtMs: exp * 1000 }),
    keys,
    fromSeconds: Math.max(nbf, iat),
    untilSeconds: exp,
  };
}

/** Without recursion: a token may hold more brackets than the stack has room for. */
function freezeDeep(value: object): void {
  const left = [value];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    for (const member of Object.values(Object.freeze(next)) as unknown[]) {
      if (typeof member === 'object' && member !== null) left.push(member);
    }
  }
}

function isNow({ fromSeconds, untilSeconds }: KnownToken, skewSeconds: number): boolean {
  const now = Math.floor(Date.now() / 1000);
  return untilSeconds > now - skewSeconds && fromSeconds <= now + skewSeconds;
}
