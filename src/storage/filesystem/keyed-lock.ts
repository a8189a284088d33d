// Lets one at a time do something about one thing, in the order asked.

export type KeyedLock = <T>(key: string, run: () => Promise<T>) => Promise<T>;

export function createKeyedLock(): KeyedLock {
  const last = new Map<string, Promise<void>>();
  return async (key, run) => {
    const before = last.get(key);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    last.set(key, done);
    try {
      await before;
      return await run();
    } finally {
      if (last.get(key) === done) last.delete(key);
      resolve();
    }
  };
}
