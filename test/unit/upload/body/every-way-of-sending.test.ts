// What holds for a body however it is sent, in parts or whole: how it ends, and the checksum that goes with it.
import { getEventListeners } from 'node:events';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { HeldPart } from '../../../../src/upload/body/held-part.ts';
import {
  fillPart,
  sendPartsWhileReceiving,
  sendWholeParts,
  type SendPart,
} from '../../../../src/upload/body/send-parts.ts';
import { sendWhole } from '../../../../src/upload/body/send-whole.ts';
import { busy, bytesOf, pushAll, settleMemory, stored, take, tick } from '../../../support/sent-body.ts';
import { retry, setUp } from './set-up-sending.ts';

const kib = 1024;

/** A backend that takes nothing, until the attempt is given up. */
const stuck = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });

describe.each(['parts sent while they are received', 'parts of a body of unknown length', 'a body sent whole'])(
  '%s',
  (way) => {
    const partBytes = 64 * kib;
    /** Sends a body of five parts' length. */
    const start = (send: SendPart, { concurrentParts = 2, aborted = false } = {}) => {
      const length = 5 * partBytes;
      const { pushed, body, memory, budget, signal } = setUp(
        way.includes('unknown') ? undefined : length,
        64 * 1024 * kib,
      );
      if (aborted) signal.abort(new Error('gone before'));
      const options = { send, memory, concurrentParts, retry, signal: signal.signal };
      const sendFirst = async () => {
        const first = new HeldPart(memory, undefined, true);
        const rest = await fillPart(first, body, partBytes);
        const held = { partBytes, maxParts: 5, first, rest, tryReserve: () => true, unreserve: () => undefined };
        return sendWholeParts(body, { ...options, ...held });
      };
      const sendAll = async () => {
        if (way.includes('unknown')) return sendFirst();
        if (way.includes('received')) return sendPartsWhileReceiving(body, { ...options, length, partBytes });
        return sendWhole((outgoing, stop) => send(1, outgoing, stop), { body, budget, retry, signal: signal.signal });
      };
      const sending = sendAll();
      sending.catch(() => undefined);
      const settle = async () => {
        await sending.catch(() => undefined);
        memory.close();
        pushed.reader.detach();
        expect(await settleMemory(budget)).toBe(0);
        expect(getEventListeners(signal.signal, 'abort')).toEqual([]);
      };
      return { pushed, signal, sending, settle, bytes: bytesOf(length) };
    };
    const taking: SendPart = async (_, outgoing) => {
      await take(outgoing);
      return stored;
    };

    test('cut where chunks end, carry all bytes', async () => {
      const parts: Buffer[] = [];
      const { pushed, sending, settle, bytes } = start(async (partNumber, outgoing) => {
        parts[partNumber - 1] = await take(outgoing);
        return stored;
      });
      await pushAll(pushed, bytes, [partBytes], { pace: 5 });
      await sending;
      expect(Buffer.concat(parts).equals(bytes)).toBe(true);
      await settle();
    });

    test('end with the backend’s failure while the client is silent', async () => {
      const cause = new S3Error('AccessDenied');
      const { pushed, sending, settle, bytes } = start(async () => {
        await tick();
        throw cause;
      });
      pushed.push(bytes.subarray(0, 70 * kib));
      await expect(sending).rejects.toBe(cause);
      await settle();
    });

    test('end with the client’s failure while the backend takes nothing', async () => {
      const { pushed, sending, settle, bytes } = start((_, __, signal) => stuck(signal));
      pushed.push(bytes.subarray(0, 70 * kib));
      await tick();
      pushed.reader.detach();
      await expect(sending).rejects.toThrow('client closed');
      await settle();
    });

    test('end with the request while client and backend do nothing', async () => {
      const { pushed, signal, sending, settle, bytes } = start((_, __, stop) => stuck(stop));
      pushed.push(bytes.subarray(0, 70 * kib));
      await tick();
      const reason = new Error('too slow');
      signal.abort(reason);
      await expect(sending).rejects.toBe(reason);
      await settle();
    });

    test('are not sent when the request was over before', async () => {
      const { pushed, sending, settle, bytes } = start(
        async (partNumber, outgoing, signal) => {
          signal.throwIfAborted();
          return taking(partNumber, outgoing, signal);
        },
        { aborted: true },
      );
      pushed.push(bytes.subarray(0, 70 * kib));
      await expect(sending).rejects.toThrow('gone before');
      await settle();
    });
  },
);

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
