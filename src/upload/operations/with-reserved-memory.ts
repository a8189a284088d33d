// Sets memory aside for what an operation keeps of its body.
import { S3Error } from '../../errors.ts';
import type { OperationContext } from '../operation-context.ts';

type MemoryContext = Pick<OperationContext, 'budget' | 'settings' | 'request' | 'progress'>;

/**
 * Sets so much aside; the caller gives it back, by `budget.unreserve`.
 * @throws S3Error SlowDown when so much is not to be had in time; the signal's reason.
 */
export async function reserveMemory(
  { budget, settings: { queueTimeoutMs }, request: { signal }, progress }: MemoryContext,
  bytes: number,
): Promise<void> {
  const askedAt = performance.now();
  const isGranted = await budget.reserve(bytes, queueTimeoutMs, signal);
  progress.reserveMs = performance.now() - askedAt;
  if (!isGranted) throw signal.aborted ? signal.reason : new S3Error('SlowDown', { retryAfterMs: 1000 });
}

/** @throws as `reserveMemory`, and as `run`. */
export async function withReservedMemory<T>(context: MemoryContext, bytes: number, run: () => Promise<T>): Promise<T> {
  await reserveMemory(context, bytes);
  try {
    return await run();
  } finally {
    context.budget.unreserve(bytes);
  }
}
