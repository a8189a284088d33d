// A body whose chunks and ends a test decides, and which counts what becomes of them.
import type { OutgoingBody } from '../../../../src/storage/storage.ts';

export interface ScriptedBody extends OutgoingBody {
  readonly reads: number;
  readonly handedOut: number;
  readonly released: number;
}

/** What one read gives: bytes, the end, a failure, or whatever a promise of these becomes. */
export type Step = Uint8Array | null | Error | Promise<Uint8Array | null>;

/** @param steps used one after the other; after the last, reads give null. */
export function createScriptedBody(length: number | undefined, steps: Iterable<Step>): ScriptedBody {
  const script = steps[Symbol.iterator]();
  let reads = 0;
  let handedOut = 0;
  let released = 0;
  return {
    length,
    get reads() {
      return reads;
    },
    get handedOut() {
      return handedOut;
    },
    get released() {
      return released;
    },
    async read() {
      reads++;
      const next = script.next();
      const step = next.done === true ? null : await next.value;
      if (step instanceof Error) throw step;
      if (step === null) return null;
      handedOut++;
      let isReleased = false;
      return {
        bytes: step,
        release() {
          if (isReleased) throw new Error('a chunk was released twice');
          isReleased = true;
          released++;
        },
      };
    },
  };
}

/** A body of one piece. */
export function createTextBody(text: string): ScriptedBody {
  return createScriptedBody(Buffer.byteLength(text), text === '' ? [] : [Buffer.from(text)]);
}
