// Sends a body as one request to the backend while it is received: a PutObject, or a part that the client cut itself.
import type { BodyChecksum, OutgoingBody, Stored } from '../../storage/storage.ts';
import type { ByteBudget } from './byte-budget.ts';
import { HeldPart } from './held-part.ts';
import type { IncomingBody } from './incoming-body.ts';
import { withRetries, type RetryOptions } from './retry.ts';
import { UploadMemory } from './upload-memory.ts';

export interface SendOptions {
  readonly body: IncomingBody;
  readonly budget: ByteBudget;
  readonly retry: RetryOptions;
  readonly signal: AbortSignal;
  /** What it shall carry, known once the last byte has been read; not given with a body that has a checksum behind it. */
  readonly checksum?: BodyChecksum | undefined;
}

/**
 * Sends the body by `send`, which is called again while that is safe and all bytes are still here.
 * @throws the first cause: of the client's side, or of the backend's.
 */
export async function sendWhole(
  send: (body: OutgoingBody, signal: AbortSignal) => Promise<Stored>,
  { body, budget, retry, signal, checksum = body.checksum }: SendOptions,
): Promise<Stored> {
  const memory = new UploadMemory(budget);
  const part = new HeldPart(memory, body.length);
  const startAttempt = (): OutgoingBody => part.startAttempt(checksum);
  try {
    // A body that lies in one chunk is verified before anything is asked of the backend.
    await feedOnce(part, body, memory);
    if (body.isVerified) {
      part.end();
      return await withRetries(() => send(startAttempt(), signal), {
        retry,
        signal,
        mayRetry: () => part.canBeSent,
      });
    }
    return await sendWhileReceiving((attempt) => send(startAttempt(), attempt), part, memory, {
      body,
      budget,
      retry,
      signal,
    });
  } finally {
    part.close();
    memory.close();
  }
}

async function sendWhileReceiving(
  send: (signal: AbortSignal) => Promise<Stored>,
  part: HeldPart,
  memory: UploadMemory,
  { body, retry, signal }: SendOptions,
): Promise<Stored> {
  const stop = new AbortController();
  const stopWithRequest = () => stop.abort(signal.reason);
  if (signal.aborted) stopWithRequest();
  signal.addEventListener('abort', stopWithRequest, { once: true });

  const sending = withRetries(() => send(stop.signal), {
    retry,
    signal: stop.signal,
    mayRetry: () => part.canBeSent,
  });
  // Whichever side fails first stops the other; its reason is the one that is thrown.
  sending.catch((error: unknown) => {
    body.cancel(error);
    memory.close();
  });
  try {
    while (!body.isVerified) await feedOnce(part, body, memory);
    part.end();
  } catch (error) {
    part.fail(error);
    stop.abort(error);
  }
  try {
    return await sending;
  } finally {
    signal.removeEventListener('abort', stopWithRequest);
  }
}

/** Moves one chunk from the client to the part, when there is room for it. */
async function feedOnce(part: HeldPart, body: IncomingBody, memory: UploadMemory): Promise<void> {
  await memory.room();
  const chunk = await body.next();
  if (chunk !== null) part.append(chunk);
}
