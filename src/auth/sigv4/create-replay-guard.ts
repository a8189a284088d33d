// Picks where used signatures are remembered.
import type { RedisConfig } from '../../config/config.ts';
import { createMemoryReplayGuard } from './memory-replay-guard.ts';
import { createRedisReplayGuard } from './redis-replay-guard.ts';
import type { ReplayGuard } from './replay-guard.ts';

/** At 130 bytes each: what a process can bear, and half of it, one access key's, is enough for 500 requests in every second of half an hour. */
const maxEntriesInMemory = 2_000_000;

/** Takes no memory and makes no connection before the first claim. */
export function createReplayGuard({ redis }: { readonly redis?: RedisConfig | undefined }): ReplayGuard {
  return redis === undefined
    ? createMemoryReplayGuard({ maxEntries: maxEntriesInMemory })
    : createRedisReplayGuard(redis);
}
