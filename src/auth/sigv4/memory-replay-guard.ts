// Remembers used signatures in this process alone.
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import { replayRefusal, type ReplayGuard } from './replay-guard.ts';

export interface MemoryReplayGuardOptions {
  /** Signatures that are remembered at once, at about 130 bytes each. */
  readonly maxEntries: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface MemoryReplayGuard extends ReplayGuard {
  claim(signature: string, expiresAtMs: number, accessKey: string): void;
}

/** Signatures are forgotten together with all others that expire in the same minute, and not one by one. */
const bucketMs = 60_000;

/** Those that expire in one minute. */
interface Expiring {
  readonly signatures: Set<string>;
  readonly countOf: Map<string, number>;
}

/**
 * Never forgets a signature before it has expired: when it is full, new ones are refused until the oldest have. A signature
 * that is made in the header form lives for twice the allowed clock skew at most, a presigned URL's for a week. No access key may
 * hold more than is still free, so that whoever signs without end leaves the others room: one of them half, two of them a third.
 */
export function createMemoryReplayGuard({ maxEntries, now = Date.now }: MemoryReplayGuardOptions): MemoryReplayGuard {
  const buckets = new Map<number, Expiring>();
  const countOf = new Map<string, number>();
  let count = 0;
  let sweptBefore = -Infinity;

  function sweep(nowMs: number): void {
    const current = Math.floor(nowMs / bucketMs);
    if (current <= sweptBefore) return;
    sweptBefore = current;
    for (const [index, expired] of buckets) {
      if (index >= current) continue;
      count -= expired.signatures.size;
      for (const [accessKey, own] of expired.countOf) countOf.set(accessKey, (countOf.get(accessKey) ?? 0) - own);
      buckets.delete(index);
    }
  }

  return {
    claim(signature, expiresAtMs, accessKey) {
      const nowMs = now();
      if (nowMs > expiresAtMs) throw new S3Error('AccessDenied', { detail: 'Request has expired' });
      sweep(nowMs);
      const index = Math.floor(expiresAtMs / bucketMs);
      // The raw bytes take half the room of their digits.
      const entry = Buffer.from(signature, 'hex').toString('latin1');
      let bucket = buckets.get(index);
      if (bucket?.signatures.has(entry) === true) throw replayRefusal();
      const own = countOf.get(accessKey) ?? 0;
      if (own >= maxEntries - count) {
        throw new S3Error('SlowDown', { cause: new Fault(full), retryAfterMs: bucketMs - (nowMs % bucketMs) });
      }
      if (bucket === undefined) buckets.set(index, (bucket = { signatures: new Set(), countOf: new Map() }));
      bucket.signatures.add(entry);
      bucket.countOf.set(accessKey, (bucket.countOf.get(accessKey) ?? 0) + 1);
      countOf.set(accessKey, own + 1);
      count++;
    },
    async checkReady() {
      // It is its own room that it may be short of, and that comes back by itself.
    },
    async close() {
      buckets.clear();
      countOf.clear();
      count = 0;
    },
  };
}

const full =
  'as many signatures of this access key are remembered as there is room for; a shorter max_clock_skew_seconds or Redis makes room';
