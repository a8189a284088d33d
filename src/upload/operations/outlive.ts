// Lets a call go on for a while when the request that asked for it has ended.

/** How long the answer to CreateMultipartUpload is waited for when nobody else waits for it any more. */
export const createGraceMs = 30_000;

/**
 * @param run is given a signal that is aborted when `signal` has been for `graceMs`, for the same reason.
 * @throws the signal's reason when it is aborted already; else as `run`.
 */
export async function outlive<T>(
  signal: AbortSignal,
  graceMs: number,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const startTimer = () => {
    timer = setTimeout(() => late.abort(signal.reason), graceMs);
  };
  signal.addEventListener('abort', startTimer, { once: true });
  try {
    return await run(late.signal);
  } finally {
    signal.removeEventListener('abort', startTimer);
    clearTimeout(timer);
  }
}
