// Remembers used signatures in this process alone.
import { S3Error } from '../../errors.ts';
import { replayRefusal, type ReplayGuard } from './replay-guard.ts';

export interface MemoryReplayGuardOptions {
  /** Signatures that are remembered at once, at about 130 bytes each. */
  readonly maxEntries: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface MemoryReplayGuard extends ReplayGuard {
  claim(signature: string, expiresAtMs: number): void;
}

/** Signatures are forgotten together with all others that expire in the same minute, and not one by one. */
const bucketMs = 60_000;

/**
 * Never forgets a signature before it has expired: when it is full, new ones are refused until the oldest have. A signature
 * that is made in the header form lives for twice the allowed clock skew at most, a presigned URL's for a week.
 */
export function createMemoryReplayGuard({ maxEntries, now = Date.now }: MemoryReplayGuardOptions): MemoryReplayGuard {
  const buckets = new Map<number, Set<string>>();
  let count = 0;
  let sweptBefore = -Infinity;

  function sweep(nowMs: number): void {
    const current = Math.floor(nowMs / bucketMs);
    if (current <= sweptBefore) return;
    sweptBefore = current;
    for (const [index, signatures] of buckets) {
      if (index >= current) continue;
      count -= signatures.size;
      buckets.delete(index);
    }
  }

  return {
    claim(signature, expiresAtMs) {
      const nowMs = now();
      if (nowMs > expiresAtMs) throw new S3Error('AccessDenied', { detail: 'Request has expired' });
      sweep(nowMs);
      const index = Math.floor(expiresAtMs / bucketMs);
      // The raw bytes take half the room of their digits.
      const entry = Buffer.from(signature, 'hex').toString('latin1');
      let signatures = buckets.get(index);
      if (signatures?.has(entry) === true) throw replayRefusal();
      if (count >= maxEntries) {
        throw new S3Error('SlowDown', { cause: new Error(full), retryAfterMs: bucketMs - (nowMs % bucketMs) });
      }
      if (signatures === undefined) buckets.set(index, (signatures = new Set()));
      signatures.add(entry);
      count++;
    },
    async checkReady() {
      // It is its own room that it may be short of, and that comes back by itself.
    },
    async close() {
      buckets.clear();
      count = 0;
    },
  };
}

const full =
  'as many signatures are remembered as there is room for; a shorter max_clock_skew_seconds or Redis makes room';
