// Bodies sent in one request: sent again from the first byte, and never shown whole where they are wrong.
import { describe, expect, test } from 'vitest';
import type { OutgoingBody } from '../../../../src/storage/storage.ts';
import { IncomingBody } from '../../../../src/upload/body/incoming-body.ts';
import { sendWhole } from '../../../../src/upload/body/send-whole.ts';
import { Verifier } from '../../../../src/upload/body/verify.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';
import { busy, bytesOf, pushAll, settleMemory, stored, take } from '../../../support/sent-body.ts';
import { retry, setUp } from './set-up-sending.ts';

const kib = 1024;

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

  test.each([
    ['in one chunk', 5],
    ['and empty', 0],
  ])('%s is sent again, and leaves nothing behind', async (_, length) => {
    const { pushed, body, budget, signal } = setUp(length, 64 * 1024 * kib);
    const holder = { keptBytes: 0, dropKept: () => undefined };
    budget.unregister(budget.register(holder));
    const place = budget.register(holder);
    budget.unregister(place);
    pushed.push(bytesOf(length), true);
    const taken: Buffer[] = [];
    const send = async (outgoing: OutgoingBody) => {
      taken.push(await take(outgoing));
      if (taken.length === 1) throw busy;
      return stored;
    };
    await sendWhole(send, { body, budget, retry, signal: signal.signal });
    expect(taken).toEqual([bytesOf(length), bytesOf(length)]);
    expect(await settleMemory(budget)).toBe(0);
    expect(budget.register(holder)).toBe(place);
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
