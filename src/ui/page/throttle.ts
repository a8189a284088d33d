// Spares work that is asked for more often than it is of use.

/** @returns what asks for a run: it comes as soon as `everyMs` have passed since the last one, once for all that asked meanwhile. */
export function throttle(run: () => void, everyMs: number): () => void {
  let lastMs = -Infinity;
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    const waitMs = Math.max(0, lastMs + everyMs - performance.now());
    setTimeout(() => {
      isAsked = false;
      run();
      // From its end: however long a run takes, something else has its turn before the next.
      lastMs = performance.now();
    }, waitMs);
  };
}
