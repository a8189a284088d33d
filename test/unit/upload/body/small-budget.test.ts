// Many uploads in little memory: whatever their clients and backends do, every one comes to an end, all that are stored are
// right, and all memory comes back.
import * as fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { AwsChunkedDecoder } from '../../../../src/upload/body/aws-chunked-decoder.ts';
import { slabBytes, windowBytes } from '../../../../src/upload/body/byte-budget.ts';
import { HeldPart } from '../../../../src/upload/body/held-part.ts';
import { IncomingBody } from '../../../../src/upload/body/incoming-body.ts';
import { fillPart, sendPartsWhileReceiving } from '../../../../src/upload/body/send-parts.ts';
import { sendWhole } from '../../../../src/upload/body/send-whole.ts';
import { UploadMemory } from '../../../../src/upload/body/upload-memory.ts';
import { Verifier } from '../../../../src/upload/body/verify.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';
import { busy, bytesOf, pushAll, settleMemory, stored, take, tick, ticks } from '../../../support/sent-body.ts';

const kib = 1024;
const budgetBytes = 16 * slabBytes;
const retry = { maxAttempts: 3, baseDelayMs: 10, maxDelayMs: 30 };

const verifierOf = (length: number | undefined): Verifier => new Verifier({ length, maxBytes: 1e9, digests: [] });

afterEach(() => vi.useRealTimers());

const uploadArbitrary = fc.record({
  length: fc.integer({ min: 1, max: 2000 * kib }),
  /** Undefined: sent as one. */
  partBytes: fc.option(fc.integer({ min: 100 * kib, max: 700 * kib }), { nil: undefined }),
  cuts: fc.array(fc.integer({ min: 1, max: 600 * kib }), { minLength: 1, maxLength: 8 }),
  /** How each attempt at any part fares, in their order. */
  faults: fc.array(
    fc.option(fc.record({ afterBytes: fc.integer({ min: 0, max: 600 * kib }), whileReading: fc.boolean() }), {
      nil: undefined,
    }),
    { maxLength: 8 },
  ),
  /** Turns of the event loop between two pieces of the client's. */
  pace: fc.nat(20),
  /** Turns of the event loop before the backend takes anything. */
  latency: fc.nat(100),
});

/** Runs with a clock that goes a millisecond with every turn of the event loop: waiting for a retry takes as long as some pieces do. */
async function withFastClock(run: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
  const over = new AbortController();
  const clock = (async () => {
    for (; !over.signal.aborted; vi.advanceTimersByTime(1)) await tick();
  })();
  try {
    await run();
  } finally {
    over.abort();
    await clock;
  }
}

test('uploads that are tried again share a small budget', async () => {
  await withFastClock(() =>
    fc.assert(
      fc.asyncProperty(fc.noBias(fc.array(uploadArbitrary, { minLength: 2, maxLength: 24 })), async (uploads) => {
        const { budget, room } = createPushedBody({ budgetBytes, length: 0, limits: { idleTimeoutSeconds: 1e9 } });
        const outcomes = uploads.map(async ({ length, partBytes, cuts, faults, pace, latency }) => {
          const pushed = createPushedBody({ length, budget, room });
          const body = new IncomingBody({ body: pushed.reader, verifier: verifierOf(length), length });
          const memory = new UploadMemory(budget);
          const bytes = bytesOf(length);
          const parts: Buffer[] = [];
          let attempts = 0;
          const { signal } = new AbortController();
          const send = async (partNumber: number, outgoing: Parameters<typeof take>[0]) => {
            const fault = faults[attempts++];
            await ticks(latency);
            parts[partNumber - 1] = await take(outgoing, fault);
            return stored;
          };
          const sending =
            partBytes === undefined
              ? sendWhole((outgoing) => send(1, outgoing), { body, budget, retry, signal })
              : sendPartsWhileReceiving(body, { send, memory, concurrentParts: 3, retry, signal, length, partBytes });
          const pushing = pushAll(pushed, bytes, cuts, { pace });
          try {
            await sending;
            expect(Buffer.concat(parts).equals(bytes)).toBe(true);
          } catch (error) {
            // The backend's own fault, where the part could not be sent again.
            expect(error).toBe(busy);
          } finally {
            memory.close();
            pushed.reader.detach();
            await pushing;
          }
        });
        await Promise.all(outcomes);
        expect(await settleMemory(budget)).toBe(0);
        room.close();
      }),
      { numRuns: 30, endOnFailure: true },
    ),
  );
}, 60_000);

test('uploads that fill all memory before a backend takes anything go on when it does', async () => {
  await withFastClock(async () => {
    const { budget, room } = createPushedBody({ budgetBytes, length: 0 });
    const { signal } = new AbortController();
    const bytes = bytesOf(1000 * kib);
    const gate = Promise.withResolvers<void>();
    const uploads = Array.from({ length: 24 }, async () => {
      const pushed = createPushedBody({ length: bytes.byteLength, budget, room });
      const body = new IncomingBody({
        body: pushed.reader,
        verifier: verifierOf(bytes.byteLength),
        length: bytes.byteLength,
      });
      const send = async (outgoing: Parameters<typeof take>[0]) => {
        await gate.promise;
        expect((await take(outgoing)).equals(bytes)).toBe(true);
        return stored;
      };
      const sending = sendWhole(send, { body, budget, retry, signal });
      // All of them have begun before there is any pressure.
      await tick();
      await Promise.all([pushAll(pushed, bytes, [60 * kib]), sending]);
    });
    await ticks(500);
    expect(budget.isExhausted).toBe(true);
    gate.resolve();
    await Promise.all(uploads);
    expect(await settleMemory(budget)).toBe(0);
    room.close();
  });
});

type Fate = 'goes on' | 'leaves' | 'falls silent';

const waitingArbitrary = fc.record({
  fate: fc.constantFrom<Fate>('goes on', 'leaves', 'falls silent'),
  /** Else its length is not known: it holds less than a window. */
  isAwsChunked: fc.boolean(),
  firstBytes: fc.integer({ min: 1, max: 100 * kib }),
});

test('bodies that hold what only their next bytes let go of do not hold it for ever', async () => {
  const idleTimeoutSeconds = 20;
  await fc.assert(
    fc.asyncProperty(fc.noBias(fc.array(waitingArbitrary, { minLength: 16, maxLength: 40 })), async (clients) => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
      const { budget, room } = createPushedBody({ budgetBytes, length: 0, limits: { idleTimeoutSeconds } });
      const uploads = clients.map(({ fate, isAwsChunked, firstBytes }) => {
        const bytes = bytesOf(firstBytes);
        const pushed = createPushedBody({ budget, room });
        const length = isAwsChunked ? firstBytes : undefined;
        const decoder = isAwsChunked ? awsChunkedDecoder(firstBytes) : undefined;
        const framing = decoder && { decoder, finish: () => void decoder.finish() };
        const body = new IncomingBody({ body: pushed.reader, verifier: verifierOf(length), length, framing });
        const first = isAwsChunked
          ? Buffer.concat([Buffer.from(`${firstBytes.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
          : bytes;
        const rest = Buffer.from(isAwsChunked ? '0\r\n\r\n' : 'rest');
        return { fate, pushed, first, rest, outcome: outcomeOf(body, new UploadMemory(budget)) };
      });
      // Those that come when nothing is left wait unread: they hold nothing.
      for (const { pushed, first } of uploads) if (!pushed.isPaused()) pushed.push(first);
      const begun = uploads.filter(({ pushed }) => pushed.reader.receivedBytes > 0);
      expect(budget.isExhausted).toBe(true);
      for (let second = 0; second < begun.length + idleTimeoutSeconds + 2; second++) {
        vi.advanceTimersByTime(1000);
        for (const { pushed, fate, first, rest } of uploads) {
          // Nothing is seen of a client while its connection is not read.
          if (pushed.isPaused() || pushed.reader.ended) continue;
          if (fate === 'leaves') pushed.reader.detach();
          if (fate === 'goes on')
            pushed.push(pushed.reader.receivedBytes === 0 ? first : rest, pushed.reader.receivedBytes > 0);
          if (pushed.timeouts.length > 0) pushed.reader.cancel(new S3Error('RequestTimeout'));
        }
        await ticks(3);
      }
      const outcomes: Record<Fate, string> = {
        'goes on': 'stored',
        leaves: 'client closed the connection',
        'falls silent': new S3Error('RequestTimeout').message,
      };
      for (const { fate, outcome } of begun) expect(await outcome).toBe(outcomes[fate]);
      room.close();
    }),
    { numRuns: 40, endOnFailure: true },
  );
});

const awsChunkedDecoder = (decodedLength: number) =>
  new AwsChunkedDecoder({ decodedLength, hasTrailer: false, isSigned: false, signatures: undefined });

/** Receives a body as far as is free of a reservation, as an upload of unknown length does. */
async function outcomeOf(body: IncomingBody, memory: UploadMemory): Promise<string> {
  const part = new HeldPart(memory, undefined, true);
  try {
    const rest = await fillPart(part, body, windowBytes);
    rest?.release();
    return 'stored';
  } catch (error) {
    return (error as Error).message;
  } finally {
    part.close();
    memory.close();
  }
}
