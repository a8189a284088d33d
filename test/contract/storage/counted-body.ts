// A body that watches its chunks: which are out, whether one was released twice, and whether one was read after its release.
import type { Chunk } from '../../../src/http.ts';
import type { ChecksumAlgorithm, OutgoingBody } from '../../../src/storage/storage.ts';

export interface CountedBody extends OutgoingBody {
  /** Chunks that were handed out and not yet released. */
  readonly chunksOut: number;
  readonly bytesRead: number;
  readonly chunksReleased: number;
}

export interface CountedBodyOptions {
  /** Announced length; left out, it is that of the bytes. */
  readonly length?: number | undefined;
  /** Sizes of the chunks, used in turn. */
  readonly cuts?: readonly number[];
  /** Known once the body has been read to its end. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly base64: string };
  /** After so many bytes, a read rejects with this error; without one, it waits for ever. */
  readonly stop?: { readonly afterBytes: number; readonly failure?: Error };
}

export function createCountedBody(bytes: Uint8Array, options: CountedBodyOptions = {}): CountedBody {
  const { cuts = [256 * 1024], stop, checksum } = options;
  let isRead = false;
  let offset = 0;
  let reads = 0;
  let chunksOut = 0;
  let chunksReleased = 0;

  function cutChunk(): Chunk {
    const size = cuts[reads++ % cuts.length] ?? 1;
    // Memory of its own, spoilt on release: a backend that still needs it then stores the wrong bytes.
    const copy = Uint8Array.prototype.slice.call(bytes, offset, offset + size);
    offset += copy.byteLength;
    chunksOut++;
    let isReleased = false;
    return {
      bytes: copy,
      release() {
        if (isReleased) throw new Error('a chunk was released twice');
        isReleased = true;
        chunksOut--;
        chunksReleased++;
        copy.fill(0xee);
      },
    };
  }

  return {
    length: 'length' in options ? options.length : bytes.byteLength,
    checksum: checksum && {
      algorithm: checksum.algorithm,
      get base64() {
        return isRead ? checksum.base64 : undefined;
      },
    },
    get chunksOut() {
      return chunksOut;
    },
    get bytesRead() {
      return offset;
    },
    get chunksReleased() {
      return chunksReleased;
    },
    async read() {
      // Sometimes at once and sometimes later, as chunks come from a client.
      if (reads % 3 === 0) await new Promise(setImmediate);
      if (stop !== undefined && offset >= stop.afterBytes) {
        if (stop.failure === undefined) return new Promise<never>(() => undefined);
        throw stop.failure;
      }
      if (offset < bytes.byteLength) return cutChunk();
      isRead = true;
      return null;
    },
  };
}

/** What a call failed with; undefined when it succeeded. For failures that must be caught before they are looked at. */
export function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}
