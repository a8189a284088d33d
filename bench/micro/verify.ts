// The verifier: one pass over a body for each algorithm, in slabs as they arrive and in crumbs as nobody wants them.
import { createHash, randomBytes } from 'node:crypto';

import { checksumAlgorithms, Verifier, type ExpectedDigest } from '../../src/upload/body/verify.ts';
import type { MicroBenchmark } from '../micro.ts';

const slab = randomBytes(256 * 1024);
const crumbs = Array.from({ length: 4096 }, (_, index) => slab.subarray(index * 64, (index + 1) * 64));

const pass = (pieces: readonly Uint8Array[], digests: readonly ExpectedDigest[]): number => {
  const verifier = new Verifier({ length: slab.length, maxBytes: slab.length, digests });
  for (const piece of pieces) verifier.write(piece);
  return verifier.receivedBytes;
};

const algorithms = [...checksumAlgorithms, 'md5'] as const;

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'verify 256 KiB, length alone', bytesPerCall: slab.length, call: () => pass([slab], []) },
  ...algorithms.flatMap((algorithm): MicroBenchmark[] => {
    const digests = [{ algorithm, base64: createHash('md5').update(algorithm).digest('base64') }];
    return [
      { name: `verify 256 KiB, ${algorithm}`, bytesPerCall: slab.length, call: () => pass([slab], digests) },
      { name: `the same in 64-byte crumbs`, bytesPerCall: slab.length, call: () => pass(crumbs, digests) },
    ];
  }),
];
