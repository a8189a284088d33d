// One chunk as two, which give its memory back when both have been released.
import type { Chunk } from '../../http.ts';

/** @param at where it is cut. @returns what lies before and behind; both must be released. */
export function splitChunk(chunk: Chunk, at: number): [Chunk, Chunk] {
  let references = 2;
  const release = () => {
    if (--references === 0) chunk.release();
  };
  return [
    { bytes: chunk.bytes.subarray(0, at), release },
    { bytes: chunk.bytes.subarray(at), release },
  ];
}
