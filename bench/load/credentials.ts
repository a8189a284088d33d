// What the arms are shown to let an upload in: bearer tokens, and the keys that signatures are made with.
import { createHmac, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

/** Of this run only. */
export const jwtSecret = randomBytes(32).toString('hex');
export const accessKey = 'BENCHACCESSKEY';
export const secretKey = randomBytes(20).toString('hex');
export const region = 'us-east-1';

export const tokenAlgorithms = ['HS256', 'RS256', 'ES256'] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const keyPairs = new Map<TokenAlgorithm, KeyPair>();

function keyPair(algorithm: TokenAlgorithm): KeyPair {
  const pair =
    keyPairs.get(algorithm) ??
    (algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  keyPairs.set(algorithm, pair);
  return pair;
}

/** A bucket's `auth.jwt` that takes these tokens. */
export function jwtSettings(algorithm: TokenAlgorithm): Readonly<Record<string, unknown>> {
  if (algorithm === 'HS256') return { algorithm, secret: jwtSecret };
  return { algorithm, public_key: keyPair(algorithm).publicKey.export({ type: 'spki', format: 'pem' }) };
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function unsignedToken(algorithm: TokenAlgorithm, subject: string): string {
  const issuedAt = Math.floor(Date.now() / 1000);
  const claims = { sub: subject, iat: issuedAt, exp: issuedAt + 86_400 };
  return `${base64url({ alg: algorithm, typ: 'JWT' })}.${base64url(claims)}`;
}

const hs256 = (unsigned: string): string =>
  `${unsigned}.${createHmac('sha256', jwtSecret).update(unsigned).digest('base64url')}`;

/** An HS256 token that lives for a day. */
export const bearerToken = (): string => hs256(unsignedToken('HS256', 'bench'));

const signAsync = promisify<string, Buffer, { key: KeyObject; dsaEncoding: 'ieee-p1363' }, Buffer>(sign);

async function signToken(algorithm: TokenAlgorithm, subject: string): Promise<string> {
  const unsigned = unsignedToken(algorithm, subject);
  if (algorithm === 'HS256') return hs256(unsigned);
  const key = { key: keyPair(algorithm).privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${unsigned}.${(await signAsync('sha256', Buffer.from(unsigned), key)).toString('base64url')}`;
}

/** So many tokens, each for another subject, that live for a day. */
export const signTokens = (algorithm: TokenAlgorithm, count: number): Promise<readonly string[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => signToken(algorithm, `bench-${index}`)));
