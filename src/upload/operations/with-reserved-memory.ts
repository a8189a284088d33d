// Sets memory aside for what an operation keeps of its body.
import { S3Error } from '../../errors.ts';
import type { OperationContext } from '../operation-context.ts';

type MemoryContext = Pick<OperationContext, 'budget' | 'settings' | 'request'>;

/** @throws S3Error SlowDown when so much is not to be had in time; the signal's reason; and as `run`. */
export async function withReservedMemory<T>(
  { budget, settings: { queueTimeoutMs }, request: { signal } }: MemoryContext,
  bytes: number,
  run: () => Promise<T>,
): Promise<T> {
  if (!(await budget.reserve(bytes, queueTimeoutMs, signal)))
    throw signal.aborted ? signal.reason : new S3Error('SlowDown', { retryAfterMs: 1000 });
  try {
    return await run();
  } finally {
    budget.unreserve(bytes);
  }
}
