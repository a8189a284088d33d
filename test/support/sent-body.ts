// Both ends of a body on its way through: a client that pushes it, and a backend that takes it or fails.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { S3Error } from '../../src/errors.ts';
import type { Chunk } from '../../src/http.ts';
import type { OutgoingBody, Stored } from '../../src/storage/storage.ts';
import type { ByteBudget } from '../../src/upload/body/byte-budget.ts';
import type { PushedBody } from './pushed-body.ts';

const kib = 1024;

export const stored: Stored = { etag: '"e"', headers: new Map() };

export function bytesOf(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

export const tick = (): Promise<void> => nextTurn();

export async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await tick();
}

/**
 * Pushes the bytes cut at the given sizes, waiting while the connection is paused, as a client's kernel would.
 * @param pace turns of the event loop between two pieces.
 */
export async function pushAll(
  body: PushedBody,
  bytes: Buffer,
  cuts: readonly number[],
  { until = bytes.byteLength, pace = 0 }: { until?: number; pace?: number } = {},
): Promise<void> {
  let offset = 0;
  for (let i = 0; offset < until; i++) {
    while (body.isPaused() && !body.reader.ended) await tick();
    if (body.reader.ended) return;
    // A body cut into single bytes throughout would take minutes and show no more than its first thousand do.
    const cut = Math.max(cuts[i % cuts.length] as number, i < 1000 ? 1 : 64 * kib);
    const end = Math.min(until, offset + cut);
    body.push(bytes.subarray(offset, end), end === bytes.byteLength);
    offset = end;
    await ticks(i < 1000 ? pace : 0);
    if (i % 3 === 0) await tick();
  }
  if (bytes.byteLength === 0) body.push(bytes, true);
}

export interface BackendFault {
  readonly afterBytes: number;
  /** Whether it fails while the backend waits for more, as when its answer comes early. */
  readonly whileReading: boolean;
}

export const busy = new S3Error('ServiceUnavailable', { retryable: true });

/** What a backend does with one attempt: takes everything, at its own pace, or fails after some bytes. */
export async function take(outgoing: OutgoingBody, fault?: BackendFault): Promise<Buffer> {
  const taken: Buffer[] = [];
  let takenBytes = 0;
  for (let chunk = await outgoing.read(); chunk !== null; chunk = await outgoing.read()) {
    taken.push(Buffer.from(chunk.bytes));
    takenBytes += chunk.bytes.byteLength;
    releaseLater(chunk);
    await tick();
    if (fault !== undefined && takenBytes > fault.afterBytes) {
      // Its own read is left behind; whoever left it lets go of what it brings.
      if (fault.whileReading) void outgoing.read().then(releaseLater, () => undefined);
      throw busy;
    }
  }
  await tick();
  return Buffer.concat(taken);
}

/** Later than it was taken, as after a write to a socket. */
function releaseLater(chunk: Chunk | null): void {
  setImmediate(() => chunk?.release());
}

/** @returns the bytes still lent once what is released later has been. */
export async function settleMemory(budget: ByteBudget): Promise<number> {
  for (let i = 0; i < 20 && budget.lentBytes > 0; i++) await tick();
  return budget.lentBytes;
}
