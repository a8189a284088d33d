// Why a shared secret is not fit to sign with.

/** Text that stands in documentation, templates and jwt.io for a secret still to be chosen; separators left out. */
const placeholder = /changeme|changethis|replaceme|replacethis|^your.{0,24}(?:secret|key)|placeholder|atleast256bits/;

/**
 * What is wrong with the secret, or undefined.
 * @param minBytes of UTF-8. A key of HMAC-SHA-256 in a JWT has at least 256 bits (RFC 7518, section 3.2).
 */
export function findSecretFault(secret: string, minBytes = 32): string | undefined {
  if (secret.includes('${')) return 'must not hold a ${ that was never filled in';
  if (Buffer.byteLength(secret, 'utf8') < minBytes) return `must have at least ${minBytes} bytes`;
  if (placeholder.test(secret.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) return 'is a placeholder: choose a secret';
  if (/^(.{1,4}?)\1+$/su.test(secret)) return 'must not be the same few characters again and again';
  return undefined;
}
