// Whether a text is a key in one of the forms in which keys are handed on, and no secret to sign with.
import { createPublicKey, X509Certificate } from 'node:crypto';

/** PEM, DER in base64, PEM in base64, a JWK or a set of them: public keys, certificates, and what else has such a form. */
export function isKeyDocument(text: string): boolean {
  const decoded = Buffer.from(text, 'base64');
  const texts = [text, decoded.toString('latin1')];
  return texts.some((one) => one.includes('-----BEGIN ') || isJwk(one)) || isDer(decoded);
}

/** RFC 7517, sections 4.1 and 5.1. */
function isJwk(text: string): boolean {
  if (!text.trimStart().startsWith('{')) return false;
  try {
    const value = JSON.parse(text) as object;
    return 'kty' in value || 'keys' in value;
  } catch {
    return false;
  }
}

function isDer(bytes: Buffer): boolean {
  const readers = [
    () => createPublicKey({ key: bytes, format: 'der', type: 'spki' }),
    () => createPublicKey({ key: bytes, format: 'der', type: 'pkcs1' }),
    () => new X509Certificate(bytes),
  ];
  return readers.some((read) => {
    try {
      read();
      return true;
    } catch {
      return false;
    }
  });
}
