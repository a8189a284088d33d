// One chunk as several, which give its memory back when the last of them is released.
import type { Chunk } from '../../http.ts';

/** @param pieces of the chunk's memory, at least one. @returns one chunk for each, all of which must be released. */
export function shareChunk(chunk: Chunk, pieces: readonly Uint8Array[]): Chunk[] {
  let references = pieces.length;
  const release = () => {
    if (--references === 0) chunk.release();
  };
  return pieces.map((bytes) => ({ bytes, release }));
}

/** Cuts a chunk in two; both must be released. */
export function splitChunk(chunk: Chunk, at: number): [Chunk, Chunk] {
  const { bytes } = chunk;
  return shareChunk(chunk, [bytes.subarray(0, at), bytes.subarray(at)]) as [Chunk, Chunk];
}
