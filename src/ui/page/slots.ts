// So many at once, and no more: who comes later waits in line.

export interface Slots {
  /**
   * Waits for a place and runs. The place is given back at the end, or when the signal is aborted: what the task still waits for then,
   * for the server's last word say, takes nothing from others.
   *
   * @throws what the signal was aborted with, while it waits.
   */
  run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  function take(signal: AbortSignal): Promise<void> | undefined {
    signal.throwIfAborted();
    if (free > 0) return void free--;
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        waiting.delete(enter);
        reject(signal.reason as Error);
      };
      waiting.add(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  function give(): void {
    const [next] = waiting;
    if (next === undefined) return void free++;
    waiting.delete(next);
    next();
  }

  return {
    async run(signal, task) {
      await take(signal);
      let isTaken = true;
      const leave = () => {
        if (isTaken) give();
        isTaken = false;
      };
      signal.addEventListener('abort', leave);
      if (signal.aborted) leave();
      try {
        return await task();
      } finally {
        signal.removeEventListener('abort', leave);
        leave();
      }
    },
  };
}
