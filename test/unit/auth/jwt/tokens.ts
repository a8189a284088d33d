// Tokens, keys and configurations for the tests of the verifier, and what a client sees of a refusal.
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT, type JWK, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { JwtAlgorithm, JwtConfig } from '../../../../src/config/config.ts';
import { S3Error } from '../../../../src/errors.ts';

/** Long enough for HS512. */
export const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0YaUe8Xo3Iq6Rt1Nv9Bz4Mk7Cw2Lp5Dh0Fj';
/** The time of the tests, in seconds since 1970. */
export const now = 1_800_000_000;

export const newConfig = (more: Partial<JwtConfig> = {}): JwtConfig => ({
  algorithms: ['HS256'],
  key: { kind: 'secret', secret },
  clockSkewSeconds: 30,
  tokenSources: [{ type: 'bearer' }],
  claims: [],
  ...more,
});

/** A key pair that an algorithm takes, made once for each. */
export const keyPair = remember((algorithm: JwtAlgorithm) => newKeyPair(algorithm));

export function newKeyPair(algorithm: JwtAlgorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (algorithm) {
    case 'HS256':
    case 'HS384':
    case 'HS512':
      throw new TypeError('HMAC has no key pairs');
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' });
    case 'ES512':
      return generateKeyPairSync('ec', { namedCurve: 'P-521' });
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
    default:
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
}

export const pemOf = (publicKey: KeyObject): string => publicKey.export({ type: 'spki', format: 'pem' }) as string;
export const jwkOf = (key: KeyObject, members: object = {}): JWK => ({ ...key.export({ format: 'jwk' }), ...members });

export const sign = (
  claims: JWTPayload,
  key: KeyObject | string = secret,
  header: JWTHeaderParameters = { alg: 'HS256' },
): Promise<string> =>
  new SignJWT(claims).setProtectedHeader(header).sign(typeof key === 'string' ? Buffer.from(key) : key);

const encode = (text: string): string => Buffer.from(text).toString('base64url');
/** Signed rightly with HS256, whatever its content. */
export function signText(payload: string, header = '{"alg":"HS256"}', key: string = secret): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

export async function refusalOf(promise: Promise<unknown>): Promise<S3Error> {
  const error: unknown = await promise.then(
    () => 'accepted',
    (reason: unknown) => reason,
  );
  if (error instanceof S3Error) return error;
  throw new Error(`no refusal: ${String(error)}`, { cause: error });
}

/** All that the client sees of a refusal. */
export async function seenOf(promise: Promise<unknown>): Promise<unknown[]> {
  const { status, code, message, headers } = await refusalOf(promise);
  return [status, code, message, ...headers];
}
const message = 'A valid bearer token is required.';
export const noToken = [401, 'Unauthorized', message, ['WWW-Authenticate', 'Bearer realm="mizuchi"']];
export const badToken = [
  401,
  'Unauthorized',
  message,
  ['WWW-Authenticate', 'Bearer realm="mizuchi", error="invalid_token"'],
];

function remember<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const made = new Map<Key, Value>();
  return (key) => {
    if (!made.has(key)) made.set(key, make(key));
    return made.get(key) as Value;
  };
}
