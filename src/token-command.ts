// The sub-command `token`: a bearer token for a bucket whose secret is the configuration's own.
import { signToken } from './auth/jwt/sign-token.ts';
import type { BucketConfig, Config, JwtAlgorithm, JwtConfig } from './config/config.ts';
import { findPatternBucket } from './find-pattern-bucket.ts';

/** As given on the command line. */
export interface TokenArguments {
  readonly subject?: string | undefined;
  /** Seconds; an hour unless told. */
  readonly ttl?: string | undefined;
  /** Of several buckets; the first that has a secret unless told. A name for which one of the patterns stands will do. */
  readonly bucket?: string | undefined;
  /** Further claims: a JSON object. */
  readonly claims?: string | undefined;
}

/** Rejects with Error for what is missing or cannot be; its message is for whoever typed the command. */
export async function tokenCommand(config: Config, given: TokenArguments): Promise<string> {
  const { subject, ttl = '3600', bucket: name, claims } = given;
  const { buckets } = config;
  const bucket =
    name === undefined
      ? (buckets.find(hasSecret) ?? buckets[0])
      : (buckets.find((one) => one.name === name) ?? findPatternBucket(buckets, name));
  if (bucket === undefined) throw new Error(`no bucket named ${name}`);
  if (!bucket.auth.enabled) throw new Error(`bucket ${bucket.name} takes uploads without a token`);
  const { jwt } = bucket.auth;
  if (jwt === undefined) throw new Error(`bucket ${bucket.name} takes signatures only, no tokens`);
  const { key, algorithms, issuer, audience } = jwt;
  if (key.kind !== 'secret') throw new Error('tokens for this bucket are made by its identity provider');
  if (subject === undefined || subject === '') throw new Error('--subject is missing');
  const ttlSeconds = /^\d{1,10}$/.test(ttl) ? Number(ttl) : 0;
  if (ttlSeconds < 1) throw new Error('--ttl is a number of seconds');
  return signToken({
    algorithm: algorithms[0] as JwtAlgorithm,
    secret: key.secret,
    subject,
    ttlSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    ...(claims !== undefined && { claims: parseClaims(claims, jwt) }),
  });
}

function hasSecret({ auth }: BucketConfig): boolean {
  return auth.enabled && auth.jwt?.key.kind === 'secret';
}

/** What the token has in any case must not be said twice. */
function parseClaims(text: string, { issuer, audience }: JwtConfig): Readonly<Record<string, unknown>> {
  const claims = parseObject(text);
  if (claims === undefined) throw new Error('--claims is a JSON object');
  const own = ['sub', 'iat', 'exp', issuer === undefined ? [] : 'iss', audience === undefined ? [] : 'aud'].flat();
  const twice = own.find((name) => Object.hasOwn(claims, name));
  if (twice !== undefined) throw new Error(`--claims must not hold ${twice}: the token has its own`);
  return claims;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
