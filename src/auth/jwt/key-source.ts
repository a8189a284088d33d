// Where a verifier has its keys from: a secret or a public key that stays, or an identity provider that changes its own.
import { createPublicKey, createSecretKey, type KeyObject, type webcrypto } from 'node:crypto';
import type { JWTVerifyGetKey } from 'jose';
import type { CallTrace } from '../../call-trace.ts';
import type { JwtAlgorithm, JwtKeyConfig } from '../../config/config.ts';

/** The keys of one moment. Another object means other keys: what was verified with these says nothing about those. */
export interface KeySet {
  /** Throws jose's JWKSNoMatchingKey, or JWKSMultipleMatchingKeys, which can be iterated. */
  readonly find: JWTVerifyGetKey;
}

export interface KeySource {
  /** The keys that may be used now; undefined when they must be waited for. */
  current(): KeySet | undefined;
  /**
   * The keys, waited for if need be.
   * @throws S3Error ServiceUnavailable when they cannot be had.
   */
  load(trace?: CallTrace): Promise<KeySet>;
  /** After a token that names a key which is not there. @returns whether looking again may help. */
  renew(trace?: CallTrace): Promise<boolean>;
}

/** @throws Error when the key does not fit an algorithm. */
export function createFixedKeys(
  key: Exclude<JwtKeyConfig, { kind: 'jwks' }>,
  algorithms: readonly JwtAlgorithm[],
): KeySource {
  const keyObject = key.kind === 'secret' ? createSecretKey(key.secret, 'utf8') : createPublicKey(key.pem.trim());
  // A CryptoKey is bound to one hash, so there is one for each algorithm.
  const keys = new Map(algorithms.map((algorithm) => [algorithm, toCryptoKey(keyObject, algorithm, 'verify')]));
  const keySet: KeySet = {
    find: ({ alg }) => keys.get((alg === 'Ed25519' ? 'EdDSA' : alg) as JwtAlgorithm) as webcrypto.CryptoKey,
  };
  return { current: () => keySet, load: async () => keySet, renew: async () => false };
}

/** As the library wants it: given bytes or PEM it would import them anew for every token. */
export function toCryptoKey(key: KeyObject, algorithm: JwtAlgorithm, usage: 'sign' | 'verify'): webcrypto.CryptoKey {
  if (key.type !== (algorithm.startsWith('HS') ? 'secret' : 'public')) {
    throw new TypeError(`a ${key.type} key does not fit ${algorithm}`);
  }
  try {
    return key.toCryptoKey(importParameters(algorithm), false, [usage]);
  } catch (error) {
    throw new TypeError(`the key does not fit ${algorithm}`, { cause: error });
  }
}

/** RFC 7518, section 3.1, and RFC 8037, section 3.1, in the words of the Web Cryptography API. */
function importParameters(algorithm: JwtAlgorithm): Parameters<KeyObject['toCryptoKey']>[0] {
  const hash = `SHA-${algorithm.slice(2)}`;
  switch (algorithm) {
    case 'HS256':
    case 'HS384':
    case 'HS512':
      return { name: 'HMAC', hash };
    case 'RS256':
    case 'RS384':
    case 'RS512':
      return { name: 'RSASSA-PKCS1-v1_5', hash };
    case 'PS256':
    case 'PS384':
    case 'PS512':
      return { name: 'RSA-PSS', hash };
    case 'ES256':
      return { name: 'ECDSA', namedCurve: 'P-256' };
    case 'ES384':
      return { name: 'ECDSA', namedCurve: 'P-384' };
    case 'ES512':
      return { name: 'ECDSA', namedCurve: 'P-521' };
    case 'EdDSA':
      return { name: 'Ed25519' };
  }
}
