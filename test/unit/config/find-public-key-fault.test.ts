// Which PEM texts are keys that fit an algorithm.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { jwtAlgorithms, type JwtAlgorithm } from '../../../src/config/config.ts';
import { findPublicKeyFault } from '../../../src/config/find-public-key-fault.ts';
import { certificateKey, certificatePem } from '../auth/jwt/certificate.ts';

const pairs = {
  rsa2048: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsa1024: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  rsaPss: generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  secp256k1: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  ed25519: generateKeyPairSync('ed25519'),
  ed448: generateKeyPairSync('ed448'),
  x25519: generateKeyPairSync('x25519'),
};
type Kind = keyof typeof pairs;
const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string;
const pemOf = (kind: Kind) => spki(pairs[kind].publicKey);

const fitting: readonly [Kind, readonly JwtAlgorithm[]][] = [
  ['rsa2048', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
  ['p256', ['ES256']],
  ['p384', ['ES384']],
  ['p521', ['ES512']],
  ['ed25519', ['EdDSA']],
];

describe('a key fits the algorithms of its kind, all at once, and no other', () => {
  test.each(fitting)('%s', (kind, algorithms) => {
    expect(findPublicKeyFault(pemOf(kind), algorithms)).toBeUndefined();
    for (const algorithm of jwtAlgorithms.filter((name) => !algorithms.includes(name))) {
      expect(findPublicKeyFault(pemOf(kind), [...algorithms, algorithm])).toMatch(
        new RegExp(`^is an? .*, but ${algorithm} needs `, 'u'),
      );
    }
  });

  test.each<Kind>(['rsa1024', 'rsaPss', 'secp256k1', 'ed448', 'x25519'])('%s fits none', (kind) => {
    expect(jwtAlgorithms.filter((algorithm) => findPublicKeyFault(pemOf(kind), [algorithm]) === undefined)).toEqual([]);
  });
});

test('what does not fit is named', () => {
  expect(findPublicKeyFault(pemOf('p256'), ['RS256'])).toBe('is an EC key on P-256, but RS256 needs an RSA key');
  expect(findPublicKeyFault(pemOf('rsa1024'), ['PS384'])).toBe(
    'is an RSA key of 1024 bits, but PS384 needs at least 2048',
  );
  expect(findPublicKeyFault(pemOf('secp256k1'), ['ES256'])).toBe(
    'is an EC key on secp256k1, but ES256 needs an EC key on P-256',
  );
  expect(findPublicKeyFault(pemOf('rsa2048'), ['RS256', 'HS256'])).toBe(
    'is an RSA key of 2048 bits, but HS256 needs a secret',
  );
  expect(findPublicKeyFault(pemOf('ed448'), ['EdDSA'])).toBe('is a key of type ed448, but EdDSA needs an Ed25519 key');
});

test('a certificate is a public key too', () => {
  expect(findPublicKeyFault(certificatePem, ['ES256'])).toBeUndefined();
  expect(findPublicKeyFault(certificatePem, ['ES384'])).toMatch(/^is an EC key on P-256, /u);
});

test('line ends and space around do not matter', () => {
  expect(findPublicKeyFault(`\n ${pemOf('p256').replaceAll('\n', '\r\n')}\n\n`, ['ES256'])).toBeUndefined();
  expect(findPublicKeyFault(pemOf('p256').trim(), ['ES256'])).toBeUndefined();
});

describe('not a public key', () => {
  const { privateKey } = pairs.rsa2048;
  const privately = 'must not be a private key: give its public key (openssl pkey -pubout)';
  const anything = 'must be one PEM block: a public key (BEGIN PUBLIC KEY) or a certificate (BEGIN CERTIFICATE)';
  test.each([
    ['a private key', privateKey.export({ type: 'pkcs8', format: 'pem' }), privately],
    ['an older private key', privateKey.export({ type: 'pkcs1', format: 'pem' }), privately],
    ['a private EC key', certificateKey.export({ type: 'sec1', format: 'pem' }), privately],
    [
      'a private key that is encrypted',
      privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }),
      privately,
    ],
    [
      'a private key behind its public one',
      pemOf('p256') + String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      privately,
    ],
    ['a key in its older form', pairs.rsa2048.publicKey.export({ type: 'pkcs1', format: 'pem' }), anything],
    ['two keys', pemOf('p256') + pemOf('p256'), anything],
    ['text', 'a-secret-for-tests-of-more-than-32-bytes', anything],
    ['nothing', '', anything],
    ['another label at its end', pemOf('p256').replace('END PUBLIC KEY', 'END CERTIFICATE'), anything],
    ['broken base64', pemOf('p256').replace(/\n.{10}/u, '\n!!!!!!!!!!'), 'cannot be read as a public key'],
    ['a key cut short', pemOf('p256').replace(/\n.{40}/u, '\n'), 'cannot be read as a public key'],
    [
      'a key that is called a certificate',
      pemOf('p256').replaceAll('PUBLIC KEY', 'CERTIFICATE'),
      'cannot be read as a certificate',
    ],
  ])('%s', (_, pem, fault) => {
    expect(findPublicKeyFault(String(pem), ['ES256'])).toBe(fault);
  });
});
