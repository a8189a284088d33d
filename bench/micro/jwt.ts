// The bearer token: one that is known already, ones that never were seen before, and forgeries.
import { createJwtVerifier, signToken } from '../../src/auth/jwt.ts';
import type { MicroBenchmark } from '../micro.ts';

const secret = 'a secret of this benchmark, of more than 32 bytes';
const verify = createJwtVerifier({ algorithm: 'HS256', secret, clockSkewSeconds: 30 });

/** More than the verifier remembers, so that each is forgotten before it comes again. */
const strangers = await Promise.all(
  Array.from({ length: 20_000 }, (_, index) => signToken({ secret, subject: `user-${index}`, ttlSeconds: 86_400 })),
);
const known = await signToken({ secret, subject: 'bench', ttlSeconds: 86_400 });
const forged = `${known.slice(0, -8)}AAAAAAAA`;
let next = 0;

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'verify a known token', call: () => verify(known) },
  { name: 'verify a token not seen before', call: () => verify(strangers[next++ % strangers.length] ?? '') },
  { name: 'refuse a forged token', call: () => verify(forged).catch(() => 'refused') },
];
