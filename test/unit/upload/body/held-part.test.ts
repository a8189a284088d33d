// A part between the client and the backend: every attempt gets all of it, and what is kept is given back when memory is wanted.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Chunk } from '../../../../src/http.ts';
import type { OutgoingBody } from '../../../../src/storage/storage.ts';
import { ByteBudget, slabBytes } from '../../../../src/upload/body/byte-budget.ts';
import { HeldPart } from '../../../../src/upload/body/held-part.ts';
import { UploadMemory } from '../../../../src/upload/body/upload-memory.ts';
import { tick } from '../../../support/sent-body.ts';

/** A budget of 16 slabs; from 12 on it is tight. */
function setUp() {
  const budget = new ByteBudget(16 * slabBytes);
  const memory = new UploadMemory(budget);
  const part = new HeldPart(memory, undefined);
  const lend = (slabs: number) => Array.from({ length: slabs }, () => budget.lend());
  return { budget, memory, part, lend };
}

/** A chunk of one slab, all of it this letter. */
function chunkOf(budget: ByteBudget, letter: string): Chunk {
  const slab = budget.lend();
  slab.bytes.fill(letter.charCodeAt(0));
  return { bytes: slab.bytes, release: () => slab.release() };
}

const append = (part: HeldPart, budget: ByteBudget, letters: string): void => {
  for (const letter of letters) part.append(chunkOf(budget, letter));
};

async function read(attempt: OutgoingBody): Promise<Chunk> {
  const chunk = await attempt.read();
  if (chunk === null) throw new Error('the part has ended');
  return chunk;
}

const letterOf = (chunk: Chunk): string => String.fromCodePoint(chunk.bytes[0] ?? 0);

async function send(attempt: OutgoingBody, count = Number.POSITIVE_INFINITY): Promise<string> {
  let sent = '';
  while (sent.length < count) {
    const chunk = await attempt.read();
    if (chunk === null) break;
    sent += letterOf(chunk);
    chunk.release();
  }
  return sent;
}

describe('crumbs', () => {
  test('are sent in their order and given back once each, in whatever order the backend takes them', async () => {
    const { memory, part } = setUp();
    const released = new Map<number, number>();
    const attempt = part.startAttempt();
    const sent: number[] = [];
    let appended = 0;
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 100; i++, appended++) {
        const number = appended;
        const bytes = Buffer.from([number % 251]);
        part.append({ bytes, release: () => void released.set(number, (released.get(number) ?? 0) + 1) });
      }
      const chunks = await Promise.all(Array.from({ length: 90 }, () => read(attempt)));
      sent.push(...chunks.map(({ bytes }) => bytes[0] ?? -1));
      for (const chunk of [...chunks.slice(30), ...chunks.slice(0, 30).toReversed()]) chunk.release();
    }
    expect(sent).toEqual(sent.map((_, index) => index % 251));
    part.close();
    memory.close();
    expect([...released.values()].filter((times) => times !== 1)).toEqual([]);
    expect(released.size).toBe(appended);
  });

  test('that have been given back take no room', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { part } = setUp();
    const attempt = part.startAttempt();
    const crumb = { bytes: new Uint8Array(1), release: () => {} };
    const pass = async (count: number) => {
      for (let i = 0; i < count; i++) {
        part.append(crumb);
        (await read(attempt)).release();
      }
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = await pass(10_000);
    expect((await pass(1_000_000)) - before).toBeLessThan(4 * 1024 * 1024);
    part.close();
  });
});

describe('a second attempt', () => {
  test('keeps what it has yet to send, and gives back what it has sent, when memory gets tight', async () => {
    const { budget, memory, part, lend } = setUp();
    append(part, budget, 'abcd');
    expect(await send(part.startAttempt(), 4)).toBe('abcd');
    expect(memory.keptBytes).toBe(4 * slabBytes);
    const second = part.startAttempt();
    expect(memory.keptBytes).toBe(0);
    expect(await send(second, 1)).toBe('a');
    lend(8);
    expect(budget.lentBytes).toBe(11 * slabBytes);
    lend(1);
    part.end();
    expect(await send(second)).toBe('bcd');
    expect(part.canBeSent).toBe(false);
    expect(budget.lentBytes).toBe(9 * slabBytes);
  });

  test('gets what arrives while the first, which has failed, still waits for it', async () => {
    const { budget, part } = setUp();
    append(part, budget, 'ab');
    const first = part.startAttempt();
    expect(await send(first, 2)).toBe('ab');
    const leftBehind = first.read();
    const second = part.startAttempt();
    await expect(leftBehind).rejects.toThrow('sent again');
    await expect(first.read()).rejects.toThrow('sent again');
    expect(await send(second, 1)).toBe('a');
    append(part, budget, 'c');
    part.end();
    expect(await send(second)).toBe('bc');
    part.close();
    expect(budget.lentBytes).toBe(0);
  });

  test.each([
    ['before it is sent again', 0],
    ['after it is sent again', 1],
  ])('has its bytes to itself when the first lets go of them late, %s', async (_, sentBefore) => {
    const { budget, part, lend } = setUp();
    append(part, budget, 'ab');
    const late = await read(part.startAttempt());
    const second = part.startAttempt();
    const taken = sentBefore === 0 ? undefined : await read(second);
    lend(12);
    late.release();
    const chunk = taken ?? (await read(second));
    expect(letterOf(chunk)).toBe('a');
    expect(budget.lentBytes).toBe(14 * slabBytes);
    chunk.release();
    expect(budget.lentBytes).toBe(13 * slabBytes);
    part.end();
    expect(await send(second)).toBe('b');
    expect(budget.lentBytes).toBe(12 * slabBytes);
  });

  test('leaves nothing behind when the part is closed before the first has let go', async () => {
    const { budget, part } = setUp();
    append(part, budget, 'ab');
    const late = await read(part.startAttempt());
    part.startAttempt();
    part.close();
    expect(budget.lentBytes).toBe(slabBytes);
    late.release();
    expect(budget.lentBytes).toBe(0);
  });
});

describe('a part of many chunks', () => {
  const ofCrumbs = (count: number) => {
    const { part } = setUp();
    let released = 0;
    for (let i = 0; i < count; i++) part.append({ bytes: new Uint8Array(1), release: () => released++ });
    return { part, releases: () => released };
  };

  test('can be sent again as long as they are not too many to be kept', async () => {
    for (const [count, isKept] of [
      [4096, true],
      [4097, false],
    ] as const) {
      const { part, releases } = ofCrumbs(count);
      part.end();
      await send(part.startAttempt());
      expect([part.canBeSent, releases()]).toEqual([isKept, isKept ? 0 : count]);
      part.close();
      expect(releases()).toBe(count);
    }
  });

  test('refuses to be sent again when it is no longer whole', async () => {
    const { part } = ofCrumbs(2);
    await send(part.startAttempt(), 1);
    part.dropKept();
    expect(part.canBeSent).toBe(false);
    expect(() => part.startAttempt()).toThrow('no longer whole');
  });
});

test('bytes that lie side by side go as one, but for those that are under way', async () => {
  const { budget, part } = setUp();
  const slab = budget.lend();
  const appendPiece = (from: number, to: number) => {
    slab.retain();
    part.append({ bytes: slab.bytes.subarray(from, to), release: () => slab.release() });
  };
  const attempt = part.startAttempt();
  appendPiece(0, 10);
  appendPiece(10, 30);
  appendPiece(31, 40);
  slab.release();
  const first = await read(attempt);
  const second = await read(attempt);
  appendPiece(40, 50);
  const third = await read(attempt);
  expect([first, second, third].map(({ bytes }) => [bytes.byteOffset, bytes.byteLength])).toEqual([
    [0, 30],
    [31, 9],
    [40, 10],
  ]);
  for (const chunk of [first, second, third]) chunk.release();
  part.close();
  expect(budget.lentBytes).toBe(0);
});

test('bytes of two memories do not go as one, wherever they lie in them', async () => {
  const { part } = setUp();
  part.append({ bytes: new Uint8Array(20).fill(97).subarray(0, 10), release: () => undefined });
  part.append({ bytes: new Uint8Array(20).fill(98).subarray(10), release: () => undefined });
  part.end();
  expect(await send(part.startAttempt())).toBe('ab');
  part.close();
});

test('who reads a part that has failed learns the first reason, and what still arrives is given back', async () => {
  const { budget, memory, part } = setUp();
  const [first, second] = [new Error('first'), new Error('second')];
  const waiting = part.startAttempt().read();
  part.fail(first);
  part.fail(second);
  await expect(waiting).rejects.toBe(first);
  await expect(part.startAttempt().read()).rejects.toBe(first);
  part.close();
  append(part, budget, 'a');
  expect([budget.lentBytes, part.appendedBytes, memory.keptBytes]).toEqual([0, 0, 0]);
});

test('who reads a part that is closed learns that', async () => {
  const { part } = setUp();
  const waiting = part.startAttempt().read();
  part.close();
  await expect(waiting).rejects.toThrow('closed');
});

test('its length is that which is announced, or known at the end', () => {
  const { budget, memory, part } = setUp();
  append(part, budget, 'ab');
  expect(part.length).toBeUndefined();
  part.end();
  expect([part.length, part.startAttempt().length]).toEqual([2 * slabBytes, 2 * slabBytes]);
  expect(new HeldPart(memory, 7).startAttempt().length).toBe(7);
});

test('what is sent while memory is tight is given back, and wakes the upload that waits for it', async () => {
  const { budget, memory, part, lend } = setUp();
  append(part, budget, 'abcd');
  lend(12);
  let hasRoom = false;
  const waiting = memory.room().then(() => (hasRoom = true));
  await Promise.resolve();
  expect(hasRoom).toBe(false);
  expect(await send(part.startAttempt(), 4)).toBe('abcd');
  expect(budget.lentBytes).toBe(12 * slabBytes);
  await waiting;
  expect(memory.waitedMs).toBeGreaterThan(0);
  expect(memory.waitedMs).toBeLessThan(5000);
  const { count, ms } = budget.waits;
  expect(count).toBe(1);
  await tick();
  expect(budget.waits.ms).toBe(ms);
});

test('who holds a window waits for room where memory is tight, and goes on when it is closed', async () => {
  const { budget, memory, part, lend } = setUp();
  lend(12);
  await memory.room();
  append(part, budget, 'a');
  let hasRoom = false;
  const waiting = memory.room().then(() => (hasRoom = true));
  await tick();
  expect(hasRoom).toBe(false);
  memory.close();
  await waiting;
});

test('who waits for room gives back what it keeps, and then waits no more', async () => {
  const { budget, memory, part } = setUp();
  append(part, budget, 'abcd');
  await send(part.startAttempt(), 4);
  expect(budget.tryReserve(8 * slabBytes)).toBe(true);
  expect([budget.isTight, memory.keptBytes]).toEqual([true, 4 * slabBytes]);
  await memory.room();
  expect([budget.lentBytes, memory.keptBytes, budget.waits.count]).toEqual([0, 0, 0]);
});

test('an upload that is closed twice leaves the place of the next one alone', () => {
  const { budget, memory } = setUp();
  const holder = { keptBytes: 0, dropKept: () => undefined };
  memory.close();
  const place = budget.register(holder);
  memory.close();
  expect(budget.register(holder)).not.toBe(place);
});

test('a part that must be whole lies in what was set aside only once that is granted, and never makes room', async () => {
  const { budget, memory } = setUp();
  const part = new HeldPart(memory, undefined, true);
  append(part, budget, 'ab');
  expect(budget.tryReserve(8 * slabBytes)).toBe(true);
  expect(budget.freeBytes).toBe(6 * slabBytes);
  part.setReserved();
  expect(budget.freeBytes).toBe(8 * slabBytes);
  append(part, budget, 'cd');
  expect(budget.freeBytes).toBe(8 * slabBytes);
  part.end();
  expect(await send(part.startAttempt())).toBe('abcd');
  memory.dropKept();
  expect(await send(part.startAttempt())).toBe('abcd');
  part.close();
  expect(budget.freeBytes).toBe(8 * slabBytes);
  budget.unreserve(8 * slabBytes);
  expect([budget.lentBytes, budget.freeBytes]).toEqual([0, budget.budgetBytes]);
});
