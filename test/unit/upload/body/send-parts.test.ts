// Bodies on their way from a reader to a backend that is slow, fails, or is tried again: the same bytes arrive, in order,
// and every byte of memory comes back.
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { HeldPart } from '../../../../src/upload/body/held-part.ts';
import { IncomingBody } from '../../../../src/upload/body/incoming-body.ts';
import {
  fillPart,
  sendPartsWhileReceiving,
  sendWholeParts,
  type SendPart,
} from '../../../../src/upload/body/send-parts.ts';
import { sendWhole } from '../../../../src/upload/body/send-whole.ts';
import { UploadMemory } from '../../../../src/upload/body/upload-memory.ts';
import { Verifier } from '../../../../src/upload/body/verify.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';
import { busy, bytesOf, pushAll, settleMemory, stored, take, tick } from '../../../support/sent-body.ts';

const kib = 1024;
const retry = { maxAttempts: 3, baseDelayMs: 1, maxDelayMs: 2 };

function setUp(length: number | undefined, budgetBytes: number) {
  const pushed = createPushedBody({ length, budgetBytes });
  const verifier = new Verifier({ length, maxBytes: 1e9, digests: [] });
  const body = new IncomingBody({ body: pushed.reader, verifier, length });
  return {
    pushed,
    body,
    budget: pushed.budget,
    memory: new UploadMemory(pushed.budget),
    signal: new AbortController(),
  };
}

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

test('no more parts are sent of a body of unknown length than the backend takes', async () => {
  const partBytes = 300 * kib;
  const sendAll = async (maxParts: number): Promise<number[]> => {
    const bytes = bytesOf(3 * partBytes);
    const { pushed, body, memory, budget, signal } = setUp(undefined, 64 * 1024 * kib);
    const pushing = pushAll(pushed, bytes, [100 * kib]);
    const first = new HeldPart(memory, undefined, true);
    const rest = await fillPart(first, body, partBytes);
    const sent: number[] = [];
    const send: SendPart = async (partNumber, outgoing) => {
      sent.push(partNumber);
      await take(outgoing);
      return stored;
    };
    const options = { send, memory, concurrentParts: 2, retry, signal: signal.signal };
    const held = { partBytes, maxParts, first, rest, tryReserve: () => false, unreserve: () => undefined };
    const sending = sendWholeParts(body, { ...options, ...held });
    await expect(
      sending.then(
        () => 'stored',
        (error: S3Error) => error.code,
      ),
    ).resolves.toBe(maxParts < 3 ? 'EntityTooLarge' : 'stored');
    await pushing;
    memory.close();
    expect(await settleMemory(budget)).toBe(0);
    return sent;
  };
  expect(await sendAll(3)).toEqual([1, 2, 3]);
  expect(await sendAll(2)).toEqual([1, 2]);
});

describe('a checksum that is made here', () => {
  const bytes = bytesOf(1000 * kib);
  const partBytes = 300 * kib;
  const crcOf = (part: Uint8Array): string => {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32(part));
    return value.toString('base64');
  };
  const completed = [0, 1, 2, 3].map((i) => ({
    partNumber: i + 1,
    etag: stored.etag,
    checksums: [['crc32', crcOf(bytes.subarray(i * partBytes, (i + 1) * partBytes))]],
  }));

  /** Takes all, says what checksum it was told then, and fails the first attempt at each part. */
  const createSend = () => {
    const told: (string | undefined)[][] = [];
    const send: SendPart = async (partNumber, outgoing) => {
      await take(outgoing);
      const attempts = (told[partNumber - 1] ??= []);
      attempts.push(outgoing.checksum?.base64);
      if (attempts.length === 1) throw busy;
      return stored;
    };
    return { told, send };
  };

  test('goes with each part sent while it is received, and with each attempt, and is named in the end', async () => {
    const { pushed, body, memory, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const { told, send } = createSend();
    const crc = body.makeCrc('crc32', partBytes);
    const options = { send, memory, concurrentParts: 2, retry, signal: signal.signal, crc };
    const sending = sendPartsWhileReceiving(body, { ...options, length: bytes.byteLength, partBytes });
    await Promise.all([pushAll(pushed, bytes, [70 * kib]), sending]);
    expect(await sending).toEqual(completed);
    expect(told).toEqual(completed.map(({ checksums }) => [checksums[0]?.[1], checksums[0]?.[1]]));
    memory.close();
  });

  test('goes with each part of a body of unknown length', async () => {
    const { pushed, body, memory, signal } = setUp(undefined, 64 * 1024 * kib);
    const { told, send } = createSend();
    const crc = body.makeCrc('crc32', partBytes);
    const pushing = pushAll(pushed, bytes, [70 * kib]);
    const first = new HeldPart(memory, undefined, true);
    const rest = await fillPart(first, body, partBytes);
    const options = { send, memory, concurrentParts: 2, retry, signal: signal.signal, crc };
    const held = { partBytes, maxParts: 10, first, rest, tryReserve: () => false, unreserve: () => undefined };
    expect(await sendWholeParts(body, { ...options, ...held })).toEqual(completed);
    expect(told).toEqual(completed.map(({ checksums }) => [checksums[0]?.[1], checksums[0]?.[1]]));
    await pushing;
    memory.close();
  });

  test('goes with a body sent whole', async () => {
    const { pushed, body, memory, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const { told, send } = createSend();
    const sending = sendWhole((outgoing, stop) => send(1, outgoing, stop), {
      body,
      budget,
      retry,
      signal: signal.signal,
      checksum: body.makeCrc('crc32').ofPart(1),
    });
    await Promise.all([pushAll(pushed, bytes, [70 * kib]), sending]);
    expect(told).toEqual([[crcOf(bytes), crcOf(bytes)]]);
    memory.close();
  });
});

describe('a body sent whole', () => {
  test('is sent again from its first byte after a failure that may be retried', async () => {
    const bytes = bytesOf(900 * kib);
    const { pushed, body, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    let attempts = 0;
    let taken: Buffer = Buffer.alloc(0);
    const sending = sendWhole(
      async (outgoing) => {
        taken = await take(outgoing, ++attempts === 1 ? { afterBytes: 200 * kib, whileReading: true } : undefined);
        return stored;
      },
      { body, budget, retry, signal: signal.signal },
    );
    await Promise.all([pushAll(pushed, bytes, [64 * kib]), sending]);
    expect(attempts).toBe(2);
    expect(taken.equals(bytes)).toBe(true);
    expect(await settleMemory(budget)).toBe(0);
  });

  test('is not shown to the backend to its end when its digest is wrong', async () => {
    const bytes = bytesOf(900 * kib);
    const pushed = createPushedBody({ length: bytes.byteLength });
    const digests = [{ algorithm: 'crc32', base64: 'AAAAAA==' }] as const;
    const verifier = new Verifier({ length: bytes.byteLength, maxBytes: 1e9, digests });
    const body = new IncomingBody({ body: pushed.reader, verifier, length: bytes.byteLength });
    let takenBytes = 0;
    const sending = sendWhole(
      async (outgoing) => {
        for (let chunk = await outgoing.read(); chunk !== null; chunk = await outgoing.read()) {
          takenBytes += chunk.bytes.byteLength;
          chunk.release();
        }
        return stored;
      },
      { body, budget: pushed.budget, retry, signal: new AbortController().signal },
    );
    const pushing = pushAll(pushed, bytes, [64 * kib]);
    await expect(sending).rejects.toMatchObject({ code: 'BadDigest' });
    await pushing;
    expect(takenBytes).toBeGreaterThan(0);
    expect(takenBytes).toBeLessThan(bytes.byteLength);
    expect(await settleMemory(pushed.budget)).toBe(0);
  });

  test('fails at once when the backend refuses it, though its client sends no more', async () => {
    const bytes = bytesOf(900 * kib);
    const { pushed, body, budget, signal } = setUp(bytes.byteLength, 64 * 1024 * kib);
    const cause = new S3Error('AccessDenied');
    const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
    const sending = sendWhole(() => refused, { body, budget, retry, signal: signal.signal });
    pushed.push(bytes.subarray(0, 100 * kib));
    await tick();
    refuse(cause);
    await expect(sending).rejects.toBe(cause);
    expect(await settleMemory(budget)).toBe(0);
  });

  test('asks nothing of the backend when a body of one chunk is wrong', async () => {
    const pushed = createPushedBody({ length: 5 });
    const digests = [{ algorithm: 'md5', base64: 'AAAAAAAAAAAAAAAAAAAAAA==' }] as const;
    const verifier = new Verifier({ length: 5, maxBytes: 10, digests });
    const body = new IncomingBody({ body: pushed.reader, verifier, length: 5 });
    pushed.push(Buffer.from('hello'), true);
    let asked = false;
    const sending = sendWhole(
      () => {
        asked = true;
        return Promise.resolve(stored);
      },
      { body, budget: pushed.budget, retry, signal: new AbortController().signal },
    );
    await expect(sending).rejects.toMatchObject({ code: 'BadDigest' });
    expect(asked).toBe(false);
    expect(pushed.budget.lentBytes).toBe(0);
  });
});
