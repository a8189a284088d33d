// The bearer token: one that is known already, ones that never were seen before for each kind of key, and forgeries.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { createJwtVerifier, type JwtVerifier } from '../../src/auth/jwt/jwt-verifier.ts';
import type { JwtAlgorithm, JwtConfig } from '../../src/config/config.ts';
import type { MicroBenchmark } from '../micro.ts';

const issuer = 'https://login.example.com';
const secret = 'a secret of this benchmark, of more than 32 bytes';
/** Each is verified once by every verifier, which is then replaced, so that none is known when it comes. */
const strangersCount = 256;

const newConfig = (algorithm: JwtAlgorithm, key: JwtConfig['key']): JwtConfig => ({
  algorithms: [algorithm],
  key,
  issuer,
  audience: ['uploads'],
  clockSkewSeconds: 30,
  tokenSources: [{ type: 'bearer' }],
  claims: [{ claim: 'scope', contains: 'upload' }],
});

async function benchmarksOf(
  algorithm: JwtAlgorithm,
  key: JwtConfig['key'],
  signingKey: KeyObject | Uint8Array,
): Promise<readonly MicroBenchmark[]> {
  const config = newConfig(algorithm, key);
  const expSeconds = Math.floor(Date.now() / 1000) + 86_400;
  const strangers = await Promise.all(
    Array.from({ length: strangersCount }, (_, index) =>
      new SignJWT({ sub: `user-${index}`, iss: issuer, aud: 'uploads', exp: expSeconds, scope: 'openid upload' })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .sign(signingKey),
    ),
  );
  const known = strangers[0] ?? '';
  const forged = `${known.slice(0, -8)}AAAAAAAA`;
  let verify: JwtVerifier = createJwtVerifier(config);
  let next = 0;
  const verifyStranger = () => {
    if (next === strangersCount) {
      next = 0;
      verify = createJwtVerifier(config);
    }
    return verify(strangers[next++] ?? '');
  };
  const verifyKnown = createJwtVerifier(config);
  // As from a socket: a string that has never been looked up has no hash yet.
  const knownBytes = Buffer.from(known);
  return [
    { name: `${algorithm}: verify a known token`, call: () => verifyKnown(knownBytes.toString('latin1')) },
    { name: `${algorithm}: verify a token not seen before`, call: verifyStranger },
    { name: `${algorithm}: refuse a forged token`, call: () => verifyKnown(forged).catch(() => 'refused') },
  ];
}

function benchmarksOfPair(
  algorithm: JwtAlgorithm,
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
): Promise<readonly MicroBenchmark[]> {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  return benchmarksOf(algorithm, { kind: 'public-key', pem }, privateKey);
}

export const benchmarks: readonly MicroBenchmark[] = (
  await Promise.all([
    benchmarksOf('HS256', { kind: 'secret', secret }, Buffer.from(secret)),
    benchmarksOfPair('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })),
    benchmarksOfPair('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    benchmarksOfPair('EdDSA', generateKeyPairSync('ed25519')),
  ])
).flat();
