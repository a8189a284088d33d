// Why a PEM text is not a key to verify tokens with.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JwtAlgorithm } from './config.ts';

const onePem = /^-----BEGIN ([A-Z0-9 ]+)-----\s[^-]+-----END \1-----$/;
const leastRsaBits = 2048;

/** JOSE's name of a curve, by OpenSSL's. */
const curves: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
]);

/**
 * What is wrong with the key for any of the algorithms, or undefined.
 * @param pem one public key (SPKI: RFC 7468, section 13) or one certificate (section 5).
 */
export function findPublicKeyFault(pem: string, algorithms: readonly JwtAlgorithm[]): string | undefined {
  const label = onePem.exec(pem.trim())?.[1];
  // Node makes a public key of a private one without a word, and who has a private key here has leaked it already.
  if (pem.includes('PRIVATE KEY-----')) return 'must not be a private key: give its public key (openssl pkey -pubout)';
  if (label !== 'PUBLIC KEY' && label !== 'CERTIFICATE') {
    return 'must be one PEM block: a public key (BEGIN PUBLIC KEY) or a certificate (BEGIN CERTIFICATE)';
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem.trim());
  } catch {
    return `cannot be read as a ${label.toLowerCase()}`;
  }
  for (const algorithm of algorithms) {
    const need = findNeed(key, algorithm);
    if (need !== undefined) return `is ${describe(key)}, but ${algorithm} needs ${need}`;
  }
  return undefined;
}

/** What the algorithm needs in place of this key. Source: RFC 7518, sections 3.2 to 3.5; RFC 8037, section 3.1. */
function findNeed(key: KeyObject, algorithm: JwtAlgorithm): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  switch (algorithm) {
    case 'HS256':
    case 'HS384':
    case 'HS512':
      return 'a secret';
    case 'RS256':
    case 'RS384':
    case 'RS512':
    case 'PS256':
    case 'PS384':
    case 'PS512':
      if (type !== 'rsa') return 'an RSA key';
      return (details?.modulusLength ?? 0) >= leastRsaBits ? undefined : `at least ${leastRsaBits}`;
    case 'ES256':
      return curveOf(key) === 'P-256' ? undefined : 'an EC key on P-256';
    case 'ES384':
      return curveOf(key) === 'P-384' ? undefined : 'an EC key on P-384';
    case 'ES512':
      return curveOf(key) === 'P-521' ? undefined : 'an EC key on P-521';
    case 'EdDSA':
      return type === 'ed25519' ? undefined : 'an Ed25519 key';
  }
}

function curveOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  return type === 'ec' ? (curves.get(details?.namedCurve) ?? details?.namedCurve) : undefined;
}

function describe(key: KeyObject): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') return `an RSA key of ${details?.modulusLength} bits`;
  if (type === 'ec') return `an EC key on ${curveOf(key)}`;
  return `a key of type ${type}`;
}
