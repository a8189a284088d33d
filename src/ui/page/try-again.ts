// Makes an attempt again when that may help: after a while that grows, and, without a network, when it is back.
import { UploadFault } from './upload-fault.ts';

const maxAttempts = 9;
const baseMs = 500;
const maxWaitMs = 30_000;
/** Some browsers do not notice that the network is back. */
const maxOfflineWaitMs = 10_000;

export interface TryAgainOptions {
  readonly signal: AbortSignal;
  readonly isOnline: () => boolean;
  /** Resolves after `ms`, or when the network is back; rejects when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told before each wait, and with undefined when an attempt has succeeded after one. */
  readonly onWait: (fault: UploadFault | undefined) => void;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** @throws the last attempt's fault; what the signal was aborted with. */
export async function tryAgain<T>(
  attempt: () => Promise<T>,
  { signal, isOnline, wait, onWait, random }: TryAgainOptions,
): Promise<T> {
  let failed = 0;
  for (let hasWaited = false; ; hasWaited = true) {
    signal.throwIfAborted();
    try {
      const result = await attempt();
      if (hasWaited) onWait(undefined);
      return result;
    } catch (error) {
      if (!(error instanceof UploadFault) || !(error.kind === 'network' || error.kind === 'busy')) throw error;
      signal.throwIfAborted();
      const isOffline = error.kind === 'network' && !isOnline();
      // Without a network there is nothing to give up: it comes back, or the user ends it.
      if (!isOffline) failed++;
      if (failed >= maxAttempts) throw error;
      onWait(error);
      const backoffMs = Math.min(maxWaitMs, baseMs * 2 ** failed) * (0.5 + random() / 2);
      await wait(isOffline ? maxOfflineWaitMs : Math.max(backoffMs, error.retryAfterMs), signal);
    }
  }
}
