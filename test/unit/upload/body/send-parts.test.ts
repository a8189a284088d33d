// Bodies on their way in parts to a backend that is slow, fails, or is tried again: the same bytes arrive, in order,
// and every byte of memory comes back.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { HeldPart } from '../../../../src/upload/body/held-part.ts';
import {
  fillPart,
  sendPartsWhileReceiving,
  sendWholeParts,
  type SendPart,
} from '../../../../src/upload/body/send-parts.ts';
import { busy, bytesOf, pushAll, settleMemory, stored, take, tick, ticks } from '../../../support/sent-body.ts';
import { retry, setUp } from './set-up-sending.ts';

const kib = 1024;

const cutsArbitrary = fc.array(fc.integer({ min: 1, max: 600 * kib }), { minLength: 1, maxLength: 12 });
const faultArbitrary = fc.record({ afterBytes: fc.integer({ min: 0, max: 300 * kib }), whileReading: fc.boolean() });
const faultsArbitrary = fc.array(fc.option(faultArbitrary, { nil: undefined }), { maxLength: 6 });

describe('parts sent while they are received', () => {
  test('carry the same bytes for any cut of the input and any failures that are retried', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3000 * kib }),
        fc.integer({ min: 20 * kib, max: 700 * kib }),
        cutsArbitrary,
        faultsArbitrary,
        async (length, partBytes, cuts, faults) => {
          const bytes = bytesOf(length);
          const { pushed, body, memory, budget, signal } = setUp(length, 64 * 1024 * kib);
          const parts: Buffer[] = [];
          const attempts: number[] = [];
          const sending = sendPartsWhileReceiving(body, {
            send: async (partNumber, outgoing) => {
              const attempt = (attempts[partNumber] = (attempts[partNumber] ?? 0) + 1);
              parts[partNumber - 1] = await take(outgoing, attempt === 1 ? faults[partNumber - 1] : undefined);
              return stored;
            },
            memory,
            concurrentParts: 3,
            retry,
            signal: signal.signal,
            length,
            partBytes,
          });
          await Promise.all([pushAll(pushed, bytes, cuts), sending]);
          const completed = await sending;
          expect(completed.map(({ partNumber }) => partNumber)).toEqual(parts.map((_, i) => i + 1));
          expect(Buffer.concat(parts).equals(bytes)).toBe(true);
          expect(parts.slice(0, -1).every((part) => part.byteLength === partBytes)).toBe(true);
          memory.close();
          expect(await settleMemory(budget)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('stop at the first failure that is not retried, with its cause, and give everything back', async () => {
    const bytes = bytesOf(2000 * kib);
    const { pushed, body, memory, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const cause = new S3Error('AccessDenied');
    const sending = sendPartsWhileReceiving(body, {
      send: async (partNumber, outgoing) => {
        if (partNumber === 2) throw cause;
        await take(outgoing);
        return stored;
      },
      memory,
      concurrentParts: 2,
      retry,
      signal: signal.signal,
      length: bytes.byteLength,
      partBytes: 500 * kib,
    });
    const pushing = pushAll(pushed, bytes, [100 * kib]);
    await expect(sending).rejects.toBe(cause);
    await pushing;
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
  });

  test.each([
    ['until the next part may be begun', 1],
    ['for more of the next part', 2],
  ])('fail at once while they wait %s, and give everything back', async (_, concurrentParts) => {
    const bytes = bytesOf(2000 * kib);
    const { pushed, body, memory, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const cause = new S3Error('AccessDenied');
    const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
    const sending = sendPartsWhileReceiving(body, {
      send: (partNumber, outgoing) => (partNumber === 1 ? refused : take(outgoing).then(() => stored)),
      memory,
      concurrentParts,
      retry,
      signal: signal.signal,
      length: bytes.byteLength,
      partBytes: 300 * kib,
    });
    // More than the first part, and then nothing: a client that is silent must be told too.
    pushed.push(bytes.subarray(0, 400 * kib));
    await tick();
    refuse(cause);
    await expect(sending).rejects.toBe(cause);
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
  });

  test('end when the client leaves, and give everything back', async () => {
    const bytes = bytesOf(2000 * kib);
    const { pushed, body, memory, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const sending = sendPartsWhileReceiving(body, {
      send: async (_, outgoing) => {
        await take(outgoing);
        return stored;
      },
      memory,
      concurrentParts: 2,
      retry,
      signal: signal.signal,
      length: bytes.byteLength,
      partBytes: 500 * kib,
    });
    await pushAll(pushed, bytes, [70 * kib], { until: 1234 * kib });
    pushed.reader.detach();
    await expect(sending).rejects.toThrow('client closed');
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
  });

  test('shrink to their window under pressure and still finish', async () => {
    const bytes = bytesOf(12 * 1024 * kib);
    // Less than a part: it can be sent, but never be kept.
    const { pushed, body, memory, budget, signal } = setUp(bytes.byteLength, 4 * 1024 * kib);
    let mostLentBytes = 0;
    const parts: Buffer[] = [];
    const sending = sendPartsWhileReceiving(body, {
      send: async (partNumber, outgoing) => {
        const taken: Buffer[] = [];
        for (let chunk = await outgoing.read(); chunk !== null; chunk = await outgoing.read()) {
          mostLentBytes = Math.max(mostLentBytes, budget.lentBytes);
          taken.push(Buffer.from(chunk.bytes));
          await tick();
          chunk.release();
        }
        parts[partNumber - 1] = Buffer.concat(taken);
        return stored;
      },
      memory,
      concurrentParts: 4,
      retry,
      signal: signal.signal,
      length: bytes.byteLength,
      partBytes: 5 * 1024 * kib,
    });
    await Promise.all([pushAll(pushed, bytes, [512 * kib]), sending]);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(mostLentBytes).toBeLessThanOrEqual(4 * 1024 * kib + 1024 * kib);
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
  });
});

describe('parts of a body of unknown length', () => {
  test('are whole, in order, and carry the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 301 * kib, max: 3000 * kib }),
        cutsArbitrary,
        faultsArbitrary,
        async (length, cuts, faults) => {
          const partBytes = 300 * kib;
          const bytes = bytesOf(length);
          const { pushed, body, memory, budget, signal } = setUp(undefined, 64 * 1024 * kib);
          const pushing = pushAll(pushed, bytes, cuts);
          const first = new HeldPart(memory, undefined, true);
          const rest = await fillPart(first, body, partBytes);
          let reserved = 0;
          const parts: Buffer[] = [];
          const attempts: number[] = [];
          await sendWholeParts(body, {
            send: async (partNumber, outgoing) => {
              expect(outgoing.length).toBe(Math.min(partBytes, length - (partNumber - 1) * partBytes));
              const attempt = (attempts[partNumber] = (attempts[partNumber] ?? 0) + 1);
              parts[partNumber - 1] = await take(outgoing, attempt === 1 ? faults[partNumber - 1] : undefined);
              return stored;
            },
            memory,
            concurrentParts: 3,
            retry,
            signal: signal.signal,
            partBytes,
            maxParts: 100,
            first,
            rest,
            tryReserve: () => reserved < 1 && ++reserved > 0,
            unreserve: () => void reserved--,
          });
          await pushing;
          expect(Buffer.concat(parts).equals(bytes)).toBe(true);
          expect(reserved).toBe(0);
          memory.close();
          expect(await settleMemory(budget)).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('of parts in flight', () => {
  const partBytes = 64 * kib;
  const bytes = bytesOf(6 * partBytes + 1);

  /** Counts those that are being sent, each for a few turns. */
  const createCount = () => {
    let now = 0;
    let most = 0;
    const send: SendPart = async (_, outgoing) => {
      most = Math.max(most, ++now);
      await take(outgoing);
      await ticks(20);
      now--;
      return stored;
    };
    return { send, most: () => most };
  };

  test.each([1, 2, 3])('there are no more than %i at a time, and so many', async (concurrentParts) => {
    const { pushed, body, memory, signal } = setUp(bytes.length, 64 * 1024 * kib);
    const { send, most } = createCount();
    const options = { send, memory, concurrentParts, retry, signal: signal.signal, length: bytes.length, partBytes };
    const sending = sendPartsWhileReceiving(body, options);
    await Promise.all([pushAll(pushed, bytes, [partBytes]), sending]);
    expect(most()).toBe(concurrentParts);
    memory.close();
  });

  test.each([
    ['one where no memory can be set aside for more', 0, 1],
    ['two where it can for one more', 1, 2],
    ['no more than are allowed, and for those alone it is set aside', 9, 3],
  ])('of a body of unknown length there is/are %s', async (_, reservable, expected) => {
    const { pushed, body, memory, signal } = setUp(undefined, 64 * 1024 * kib);
    const { send, most } = createCount();
    const pushing = pushAll(pushed, bytes, [partBytes]);
    const first = new HeldPart(memory, undefined, true);
    const rest = await fillPart(first, body, partBytes);
    let reserved = 0;
    let mostReserved = 0;
    const completed = await sendWholeParts(body, {
      send,
      memory,
      concurrentParts: 3,
      retry,
      signal: signal.signal,
      partBytes,
      maxParts: 7,
      first,
      rest,
      tryReserve: () => {
        if (reserved === reservable) return false;
        mostReserved = Math.max(mostReserved, ++reserved);
        return true;
      },
      unreserve: () => void reserved--,
    });
    await pushing;
    expect(completed).toHaveLength(7);
    expect([most(), mostReserved, reserved]).toEqual([expected, expected - 1, 0]);
    memory.close();
  });

  test('of a body of unknown length there are in the end no more than the backend takes', async () => {
    const { pushed, body, memory, budget, signal } = setUp(undefined, 64 * 1024 * kib);
    const pushing = pushAll(pushed, bytes, [partBytes]);
    const first = new HeldPart(memory, undefined, true);
    const rest = await fillPart(first, body, partBytes);
    const { send } = createCount();
    const options = { send, memory, concurrentParts: 3, retry, signal: signal.signal, partBytes, maxParts: 6 };
    const held = { first, rest, tryReserve: () => true, unreserve: () => undefined };
    await expect(sendWholeParts(body, { ...options, ...held })).rejects.toMatchObject({ code: 'EntityTooLarge' });
    await pushing;
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
  });

  test('each that must be whole can be sent again, however tight memory is', async () => {
    const { pushed, body, memory, budget, signal } = setUp(undefined, 4 * 1024 * kib);
    const others = Array.from({ length: 12 }, () => budget.lend());
    const pushing = pushAll(pushed, bytes, [partBytes]);
    const first = new HeldPart(memory, undefined, true);
    const rest = await fillPart(first, body, partBytes);
    const attempts: number[] = [];
    const send: SendPart = async (partNumber, outgoing) => {
      await take(outgoing);
      attempts[partNumber - 1] = (attempts[partNumber - 1] ?? 0) + 1;
      if (attempts[partNumber - 1] === 1) throw busy;
      return stored;
    };
    const options = { send, memory, concurrentParts: 1, retry, signal: signal.signal, partBytes, maxParts: 7 };
    await sendWholeParts(body, { ...options, first, rest, tryReserve: () => false, unreserve: () => undefined });
    await pushing;
    expect(attempts).toEqual(Array(7).fill(2));
    memory.close();
    for (const slab of others) slab.release();
    expect(await settleMemory(budget)).toBe(0);
  });
});
