// Lets one at a time do something about one thing, in the order asked.

/**
 * @param signal ends the waiting for one's turn; it says nothing to what runs.
 * @throws the signal's reason when it is aborted before the turn came; else as `run`.
 */
export type KeyedLock = <T>(key: string, run: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

export function createKeyedLock(): KeyedLock {
  const last = new Map<string, Promise<void>>();
  return async (key, run, signal) => {
    const before = last.get(key);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    last.set(key, done);
    const leave = () => {
      if (last.get(key) === done) last.delete(key);
      resolve();
    };
    if (before !== undefined) {
      try {
        await (signal === undefined ? before : untilAborted(before, signal));
      } catch (error) {
        // Those behind wait for those before all the same.
        void before.then(leave);
        throw error;
      }
    }
    try {
      return await run();
    } finally {
      leave();
    }
  };
}

/** @param turn never rejects. @throws the signal's reason. */
function untilAborted(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    void turn.then(resolve).finally(() => signal.removeEventListener('abort', stop));
  });
}
