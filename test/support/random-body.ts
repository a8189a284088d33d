// Bodies of any size from a seed, never held whole: the same seed gives the same bytes.
import { createCipheriv, createHash } from 'node:crypto';

export interface RandomBody {
  readonly sizeBytes: number;
  /** The bytes, in chunks of `chunkBytes` (the last may be shorter), from the start on every call. */
  chunks(): Generator<Buffer>;
  /** The whole body: for small ones. */
  bytes(): Buffer;
  /** Hex. */
  sha256(): string;
}

const defaultChunkBytes = 256 * 1024;

export function createRandomBody(seed: string, sizeBytes: number, chunkBytes = defaultChunkBytes): RandomBody {
  let sha256: string | undefined;
  function* chunks(): Generator<Buffer> {
    // A cipher's key stream is the fastest seeded noise that Node has.
    const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
    const zeros = Buffer.alloc(Math.min(chunkBytes, sizeBytes));
    for (let left = sizeBytes; left > 0; left -= chunkBytes)
      yield cipher.update(zeros.subarray(0, Math.min(left, chunkBytes)));
  }
  return {
    sizeBytes,
    chunks,
    bytes: () => Buffer.concat([...chunks()]),
    sha256() {
      if (sha256 === undefined) {
        const hash = createHash('sha256');
        for (const chunk of chunks()) hash.update(chunk);
        sha256 = hash.digest('hex');
      }
      return sha256;
    },
  };
}

/** Numbers from a seed, for tests that strike at random places: print the seed. @returns a function giving 0 ≤ n < limit. */
export function createRandomNumbers(seed: string): (limit: number) => number {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
  return (limit) => cipher.update(Buffer.alloc(4)).readUInt32LE(0) % limit;
}
