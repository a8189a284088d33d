// Waits for something that another process does in its own time.
import { setInterval as every } from 'node:timers/promises';

/** Asks every 25 ms until the answer is true. @throws Error after `timeoutMs`. */
export async function waitFor(isSo: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for await (const _ of every(25)) {
    if (await isSo()) return;
    if (Date.now() > deadline) throw new Error(`not so within ${timeoutMs} ms: ${isSo.toString()}`);
  }
}
