// What it costs to compute a body's digests and do nothing else: the proxy's own verifier over memory that is used again.
import { Verifier } from '../../src/upload/body/verify.ts';
import type { DigestName } from './body-digest.ts';

/** The proxy's slabs are as large. */
const slab = Buffer.alloc(256 * 1024, 'x');

/** CPU seconds of one pass for each digest, over so many bytes. */
export function passCpuSeconds(digests: readonly DigestName[], byteLength: number): number {
  if (digests.length === 0) return 0;
  const verifier = new Verifier({
    length: undefined,
    maxBytes: Number.POSITIVE_INFINITY,
    digests: digests.map((algorithm) => ({ algorithm, base64: undefined })),
  });
  verifier.write(slab);
  const before = process.cpuUsage();
  for (let done = 0; done < byteLength; done += slab.length) verifier.write(slab);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
