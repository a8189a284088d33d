// Keys that are pasted where a secret belongs.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isKeyDocument } from '../../../src/config/is-key-document.ts';
import { certificatePem } from '../auth/jwt/certificate.ts';

const pairs = [
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['EC', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['Ed25519', generateKeyPairSync('ed25519')],
] as const;
const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const lines = (text: string): string => text.replaceAll(/.{64}/gu, '$&\n');
/** What stands between the first line of a PEM text and its last. */
const inside = (pem: string): string => pem.split('\n').slice(1, -2).join('\n');

describe.each(pairs)('%s', (_, { publicKey, privateKey }) => {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const jwk = publicKey.export({ format: 'jwk' });
  test.each([
    ['PEM', pem],
    ['PEM with its line ends written out', pem.replaceAll('\n', String.raw`\n`)],
    ['a private key', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string],
    ['PEM in base64', base64(pem)],
    ['the inside of PEM', inside(pem)],
    ['DER in base64', base64(publicKey.export({ type: 'spki', format: 'der' }))],
    ['DER in base64url', publicKey.export({ type: 'spki', format: 'der' }).toString('base64url')],
    ['a JWK', JSON.stringify(jwk)],
    ['a JWK in base64', base64(JSON.stringify(jwk, null, 2))],
    ['a set of JWKs', ` ${JSON.stringify({ keys: [jwk] })}`],
  ])('%s is a key', (_form, text) => {
    expect(isKeyDocument(text)).toBe(true);
  });
});

test('so are a certificate and the older form of RSA’s public keys', () => {
  const [[, { publicKey }]] = pairs;
  const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'der' });
  for (const text of [certificatePem, inside(certificatePem), base64(pkcs1), lines(base64(pkcs1))]) {
    expect(isKeyDocument(text)).toBe(true);
  }
});

test.each(['', 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya', '{ no JSON', '{"a": 1}', '{}', '----- my secret -----', 'MIIB'])(
  '%j is none',
  (text) => {
    expect(isKeyDocument(text)).toBe(false);
  },
);

test('nor is what is made at random', () => {
  for (let round = 0; round < 1000; round++) expect(isKeyDocument(base64(randomBytes(48)))).toBe(false);
});
