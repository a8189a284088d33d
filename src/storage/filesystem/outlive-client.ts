// Lets work go on that a client would only ask for again.
import { ClientGone } from '../../http.ts';

export interface OutliveOptions {
  /** Of the request. */
  readonly signal: AbortSignal;
  /** Aborted when the storage is closed: the request of a client that has left is not told that the process stops. */
  readonly closing: AbortSignal;
}

/**
 * @param run is given a signal that is aborted as either of the two, but not because the client has left.
 * @throws the reason of either when it is aborted already, also ClientGone; else as `run`.
 */
export async function outliveClient<T>(
  { signal, closing }: OutliveOptions,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  closing.throwIfAborted();
  const ended = new AbortController();
  const end = () => {
    if (!(signal.reason instanceof ClientGone)) ended.abort(signal.reason);
  };
  const close = () => ended.abort(closing.reason);
  signal.addEventListener('abort', end, { once: true });
  closing.addEventListener('abort', close, { once: true });
  try {
    return await run(ended.signal);
  } finally {
    signal.removeEventListener('abort', end);
    closing.removeEventListener('abort', close);
  }
}
