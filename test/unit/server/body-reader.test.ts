// The place where push becomes pull: nothing is lost, connections are paused and resumed, silence ends a body.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { ClientGone, type BodyDecoder, type Chunk } from '../../../src/http.ts';
import { BodyReader } from '../../../src/server/body-reader.ts';
import type { LentSlab } from '../../../src/server/reading-room.ts';
import { slabBytes } from '../../../src/upload/body/byte-budget.ts';
import { createPushedBody, type PushedBody } from '../../support/pushed-body.ts';

const kib = 1024;

describe('reading', () => {
  test('hands out what was pushed before and after it was asked for', async () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.from('ab'));
    const first = await reader.read();
    expect(Buffer.from(first!.bytes).toString()).toBe('ab');
    const pending = reader.read();
    push(Buffer.from('cd'), true);
    const second = await pending;
    expect(Buffer.from(second!.bytes).toString()).toBe('cd');
    expect(await reader.read()).toBeNull();
    first!.release();
    second!.release();
    expect(budget.lentBytes).toBe(0);
  });

  test('joins what arrives while nobody asks', async () => {
    const { reader, push } = createPushedBody();
    for (const letter of 'hello') push(Buffer.from(letter), letter === 'o');
    expect(Buffer.from((await reader.read())!.bytes).toString()).toBe('hello');
  });

  test('lends one slab again and again to a client that crawls', async () => {
    const { reader, push, budget } = createPushedBody();
    for (let i = 0; i < 100; i++) {
      push(Buffer.from([i]));
      const chunk = await reader.read();
      expect(chunk!.bytes[0]).toBe(i);
      chunk!.release();
      expect(budget.lentBytes).toBe(0);
    }
  });

  test('does not write over bytes that are still held', async () => {
    const { reader, push } = createPushedBody();
    push(Buffer.from('first'));
    const held = await reader.read();
    push(Buffer.from('second'));
    expect(Buffer.from(held!.bytes).toString()).toBe('first');
  });

  test('holds memory for each piece that it lies in, until the last is given back', async () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.from('first'));
    const first = await reader.read();
    push(Buffer.from('second'));
    const second = await reader.read();
    first!.release();
    expect(budget.lentBytes).toBe(slabBytes);
    second!.release();
    expect(budget.lentBytes).toBe(0);
  });

  test("does not write into memory that was given back and is another client's by now", async () => {
    const first = createPushedBody();
    first.push(Buffer.from('first'));
    (await first.reader.read())!.release();
    const second = createPushedBody({ budget: first.budget, room: first.room });
    second.push(Buffer.from('of the second'));
    first.push(Buffer.from('FIRST'));
    expect(Buffer.from((await second.reader.read())!.bytes).toString()).toBe('of the second');
    expect(Buffer.from((await first.reader.read())!.bytes).toString()).toBe('FIRST');
    expect(first.budget.lentBytes).toBe(2 * slabBytes);
  });
});

describe('a body in framing', () => {
  /** Whatever is no letter is framing; of a full stop nothing may follow. */
  const letters: BodyDecoder = {
    write(bytes, take) {
      const text = Buffer.from(bytes).toString('latin1');
      for (const { 0: word, index } of text.matchAll(/[a-z]+/g)) take(bytes.subarray(index, index + word.length));
      if (text.includes('.')) throw new S3Error('InvalidRequest');
    },
  };
  const textOf = (chunk: Chunk | null) => chunk && Buffer.from(chunk.bytes).toString();

  test('is handed out without it, whenever it has come', async () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.from('12he-l'));
    push(Buffer.from('+lo'));
    reader.setDecoder(letters);
    push(Buffer.from(', wor'));
    const first = await reader.read();
    expect(textOf(first)).toBe('hellowor');
    const pending = reader.read();
    push(Buffer.from('; ld'));
    const second = await pending;
    expect(textOf(second)).toBe('ld');
    const end = reader.read();
    push(Buffer.from('---'), true);
    expect(await end).toBeNull();
    expect(reader.receivedBytes).toBe(6 + 3 + 5 + 4 + 3);
    first!.release();
    second!.release();
    expect(budget.lentBytes).toBe(0);
  });

  test('that lies in several pieces of memory is whole', async () => {
    const { reader, push, budget } = createPushedBody();
    const framed = (letter: string, bytes: number) => Buffer.from(`0123456789${letter.repeat(bytes)}\r\n`);
    push(Buffer.concat([framed('a', slabBytes - 5), framed('b', 100_000)]));
    reader.setDecoder(letters);
    push(Buffer.concat([framed('c', slabBytes), framed('d', 1)]), true);
    let text = '';
    for (let chunk = await reader.read(); chunk !== null; chunk = await reader.read()) {
      text += textOf(chunk);
      chunk.release();
    }
    expect(text).toBe(`${'a'.repeat(slabBytes - 5)}${'b'.repeat(100_000)}${'c'.repeat(slabBytes)}d`);
    expect(budget.lentBytes).toBe(0);
  });

  test('holds no memory while only framing has come', async () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.from('123'));
    reader.setDecoder(letters);
    expect(budget.lentBytes).toBe(0);
    push(Buffer.from('456'));
    expect(budget.lentBytes).toBe(0);
    push(Buffer.from('a'), true);
    expect(textOf(await reader.read())).toBe('a');
  });

  test.each(['before', 'after'])(
    'that is not as it must be fails, also when that came %s it was known',
    async (when) => {
      const { reader, push, budget } = createPushedBody();
      push(Buffer.from(when === 'before' ? 'a1.' : 'a1'));
      reader.setDecoder(letters);
      if (when === 'after') push(Buffer.from('b.'));
      await expect(reader.read()).rejects.toThrow(expect.objectContaining({ code: 'InvalidRequest' }));
      expect(budget.lentBytes).toBe(0);
      push(Buffer.from('c'), true);
      await expect(reader.read()).rejects.toThrow(expect.objectContaining({ code: 'InvalidRequest' }));
      expect(budget.lentBytes).toBe(0);
    },
  );

  test('fails while its next bytes are awaited', async () => {
    const { reader, push } = createPushedBody();
    reader.setDecoder(letters);
    const pending = reader.read();
    push(Buffer.from('.'));
    await expect(pending).rejects.toThrow(expect.objectContaining({ code: 'InvalidRequest' }));
  });

  test('is read on when it was paused and nothing of it is left to be taken', () => {
    const early = createPushedBody();
    early.push(Buffer.alloc(512 * kib));
    expect(early.isPaused()).toBe(true);
    early.reader.setDecoder(letters);
    expect(early.isPaused()).toBe(false);

    const { budget, room, reader, push, isPaused } = createPushedBody({ budgetBytes: 4096 * kib });
    reader.setDecoder(letters);
    const slabs = Array.from({ length: 16 }, () => budget.lend());
    room.forget(reader);
    reader.takeTurn();
    push(Buffer.from('123'));
    expect(isPaused()).toBe(true);
    for (const slab of slabs) slab.release();
    expect(isPaused()).toBe(false);
    room.close();
  });
});

describe('flow', () => {
  test('pauses when too much lies unread, resumes when it has been read', async () => {
    const { reader, push, isPaused } = createPushedBody();
    push(Buffer.alloc(512 * kib));
    expect(isPaused()).toBe(true);
    (await reader.read())?.release();
    expect(isPaused()).toBe(true);
    (await reader.read())?.release();
    expect(isPaused()).toBe(false);
  });

  test('pauses every body when memory is exhausted, and goes on when it is given back', async () => {
    const first = createPushedBody({ budgetBytes: 4096 * kib });
    const second = createPushedBody({ budget: first.budget, room: first.room });
    const slabs = Array.from({ length: 15 }, () => first.budget.lend());
    second.push(Buffer.alloc(1));
    expect(first.isPaused()).toBe(true);
    expect(second.isPaused()).toBe(true);
    for (const slab of slabs.splice(0, 8)) slab.release();
    expect(first.isPaused()).toBe(false);
    expect(second.isPaused()).toBe(false);
  });
});

describe('a body that comes while memory is exhausted', () => {
  /** A budget of 16 slabs of 256 KiB, all but one of them lent, and a last byte that exhausts it. */
  function exhaust(limits = {}) {
    const other = createPushedBody({ budgetBytes: 4096 * kib, limits });
    const slabs = Array.from({ length: 15 }, () => other.budget.lend());
    other.push(Buffer.alloc(1));
    return { ...other, slabs };
  }

  test('waits until some is given back', () => {
    const { budget, room, slabs } = exhaust();
    const late = createPushedBody({ budget, room });
    expect(late.isPaused()).toBe(true);
    for (const slab of slabs.splice(0, 12)) slab.release();
    expect(late.isPaused()).toBe(false);
  });

  test('is told to slow down when it has waited for too long, and one that has begun is not', () => {
    vi.useFakeTimers();
    try {
      const { budget, room, slabs, timeouts } = exhaust({ queueTimeoutSeconds: 3 });
      const late = createPushedBody({ budget, room });
      vi.advanceTimersByTime(3000);
      expect(late.timeouts).toEqual([]);
      vi.advanceTimersByTime(2000);
      expect(late.timeouts).toEqual(['SlowDown']);
      expect(timeouts).toEqual([]);
      expect(slabs).toHaveLength(15);
    } finally {
      vi.useRealTimers();
    }
  });

  test('finds room for 64 that wait, for more when they leave, and for none where nobody may wait', () => {
    const { budget, room } = exhaust();
    const waiting = Array.from({ length: 63 }, () => createPushedBody({ budget, room }));
    expect(room.mayEnter).toBe(true);
    waiting.push(createPushedBody({ budget, room }));
    expect(room.mayEnter).toBe(false);
    waiting[0]?.reader.detach();
    expect(room.mayEnter).toBe(true);
    waiting[1]?.reader.cancel(new Error('refused'));
    waiting.push(createPushedBody({ budget, room }));
    expect(room.mayEnter).toBe(true);
    expect(exhaust({ queueTimeoutSeconds: 0 }).room.mayEnter).toBe(false);
  });

  test('without any bytes does not wait', () => {
    const { budget, room } = exhaust();
    expect(createPushedBody({ budget, room, length: 0 }).isPaused()).toBe(false);
  });
});

describe('an upload that waits to be read on', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  function withMemory() {
    const first = createPushedBody({ budgetBytes: 4096 * kib });
    const slabs: LentSlab[] = [];
    const exhaust = () => {
      while (!first.budget.isExhausted) slabs.push(first.budget.lend());
    };
    return { ...first, exhaust, slabs };
  }
  const waitedMs = ({ budget }: Pick<PushedBody, 'budget'>): number => Math.round(budget.waits.ms);

  test('is in the figure, whether it has begun or not, until there is memory', async () => {
    const first = withMemory();
    first.push(Buffer.from('a'));
    (await first.reader.read())?.release();
    const reading = first.reader.read();
    expect(first.budget.waits).toEqual({ count: 0, ms: 0 });
    first.exhaust();
    const second = createPushedBody({ budget: first.budget, room: first.room });
    void second.reader.read();
    vi.advanceTimersByTime(500);
    expect(first.budget.waits.count).toBe(2);
    expect(waitedMs(first)).toBe(1000);
    for (const slab of first.slabs) slab.release();
    vi.advanceTimersByTime(5000);
    expect(waitedMs(first)).toBe(1000);
    first.push(Buffer.from('b'), true);
    expect(await reading).not.toBeNull();
    expect(first.budget.waits.count).toBe(2);
  });

  test.each<[string, (body: PushedBody) => void]>([
    ['its connection goes away', ({ reader }) => reader.detach()],
    ['it fails', ({ reader }) => reader.cancel(new ClientGone())],
    ['what was on its way comes', ({ push }) => push(Buffer.from('x'))],
    ['all of it comes', ({ push }) => push(Buffer.from('x'), true)],
    ['it has a part set aside', ({ reader }) => reader.setReserved()],
  ])('no longer waits when %s', async (_, end) => {
    const first = withMemory();
    first.exhaust();
    const body = createPushedBody({ budget: first.budget, room: first.room });
    const reading = body.reader.read().catch(() => null);
    vi.advanceTimersByTime(300);
    end(body);
    vi.advanceTimersByTime(5000);
    expect(waitedMs(first)).toBe(300);
    body.reader.detach();
    vi.advanceTimersByTime(5000);
    expect(body.budget.waits.count).toBe(1);
    expect(waitedMs(first)).toBe(300);
    await reading;
  });

  test('does not wait for memory as long as it has bytes to send', async () => {
    const first = withMemory();
    first.push(Buffer.alloc(10));
    first.exhaust();
    expect(first.isPaused()).toBe(true);
    vi.advanceTimersByTime(500);
    (await first.reader.read())?.release();
    expect(first.budget.waits.count).toBe(0);
  });
});

describe('a body for which memory was reserved', () => {
  test('is read while memory is exhausted for all others', () => {
    const other = createPushedBody({ budgetBytes: 4096 * kib });
    const reserved = createPushedBody({ budget: other.budget, room: other.room });
    const slabs = Array.from({ length: 15 }, () => other.budget.lend());
    other.push(Buffer.alloc(1));
    expect([other.isPaused(), reserved.isPaused()]).toEqual([true, true]);
    reserved.reader.setReserved();
    expect([other.isPaused(), reserved.isPaused()]).toEqual([true, false]);
    reserved.push(Buffer.alloc(10));
    expect(reserved.isPaused()).toBe(false);
    expect(slabs).toHaveLength(15);
  });
});

describe('bodies that have begun, while memory is exhausted', () => {
  test('are read on one by one, each as long as it brings nothing, so that what they hold can come free', async () => {
    vi.useFakeTimers();
    try {
      const first = createPushedBody({ budgetBytes: 4096 * kib, limits: { idleTimeoutSeconds: 5 } });
      const { budget, room } = first;
      const second = createPushedBody({ budget, room });
      const unasked = createPushedBody({ budget, room });
      for (const { push } of [first, second, unasked]) push(Buffer.alloc(1));
      const pending = [first, second].map(async ({ reader }) => {
        const held = await reader.read();
        return reader.read().finally(() => held?.release());
      });
      for (let i = 0; i < 13; i++) budget.lend();
      const late = createPushedBody({ budget, room });
      const paused = () => [first, second, unasked, late].map(({ isPaused }) => isPaused());
      await vi.advanceTimersByTimeAsync(0);
      expect(paused()).toEqual([true, true, true, true]);
      vi.advanceTimersByTime(1000);
      expect(paused()).toEqual([false, true, true, true]);
      budget.lend();
      expect(paused()).toEqual([false, true, true, true]);
      vi.advanceTimersByTime(1000);
      expect(paused()).toEqual([false, false, true, true]);
      second.push(Buffer.alloc(1));
      expect(paused()).toEqual([false, true, true, true]);
      vi.advanceTimersByTime(5000);
      expect([first.timeouts, second.timeouts]).toEqual([['RequestTimeout'], []]);
      first.reader.detach();
      await expect(pending[0]).rejects.toBeInstanceOf(ClientGone);
      expect((await pending[1])?.bytes.byteLength).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('ends', () => {
  test('a body whose client left rejects, and gives back what lay unread', async () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.alloc(100 * kib));
    reader.detach();
    await expect(reader.read()).rejects.toBeInstanceOf(ClientGone);
    expect(budget.lentBytes).toBe(0);
  });

  test('a body that was answered before it was read gives back what lay unread, though all of it is there', () => {
    const { reader, push, budget } = createPushedBody();
    push(Buffer.alloc(100 * kib), true);
    reader.detach();
    expect(budget.lentBytes).toBe(0);
  });

  test('a cancelled body rejects the pending read, and drops what still comes', async () => {
    const { reader, push, budget } = createPushedBody();
    const pending = reader.read();
    const reason = new Error('enough');
    reader.cancel(reason);
    await expect(pending).rejects.toBe(reason);
    push(Buffer.alloc(10));
    expect(budget.lentBytes).toBe(0);
  });

  test('silence longer than the limit is a RequestTimeout; a paused body is not silent', () => {
    const limits = { idleTimeoutSeconds: 10, uploadTimeoutSeconds: 0, queueTimeoutSeconds: 10 };
    const { reader, push, timeouts } = createPushedBody({ limits });
    reader.pause();
    reader.tick(30, limits);
    expect(timeouts).toEqual([]);
    reader.resume();
    push(Buffer.alloc(1));
    reader.tick(5, limits);
    expect(timeouts).toEqual([]);
    reader.tick(11, limits);
    expect(timeouts).toEqual(['RequestTimeout']);
  });

  test('an upload that takes longer than is allowed ends, however busy it is', () => {
    const limits = { idleTimeoutSeconds: 10, uploadTimeoutSeconds: 20, queueTimeoutSeconds: 10 };
    const { reader, timeouts } = createPushedBody({ limits });
    reader.tick(9, limits);
    reader.tick(21, limits);
    expect(timeouts).toEqual(['RequestTimeout']);
  });

  test('an upload that is all there must be answered in time too', () => {
    vi.useFakeTimers();
    try {
      const limits = { idleTimeoutSeconds: 1, uploadTimeoutSeconds: 3 };
      const { push, timeouts, room } = createPushedBody({ limits });
      push(Buffer.from('all'), true);
      const answered = createPushedBody({ room, limits });
      answered.push(Buffer.from('all'), true);
      vi.advanceTimersByTime(3000);
      expect(timeouts).toEqual([]);
      answered.reader.detach();
      vi.advanceTimersByTime(1000);
      expect([timeouts, answered.timeouts]).toEqual([['RequestTimeout'], []]);
    } finally {
      vi.useRealTimers();
    }
  });

  describe("the server's own timer", () => {
    const limits = { idleTimeoutSeconds: 60, uploadTimeoutSeconds: 0, queueTimeoutSeconds: 10 };
    const watch = () => {
      const calls: string[] = [];
      const { room } = createPushedBody({ limits });
      const throttle = { pause: () => calls.push('pause'), resume: () => calls.push('resume') };
      const reader = new BodyReader(room, { throttle, length: undefined, onTimeout: () => calls.push('timeout') });
      return { calls, reader };
    };

    test('is re-armed while a body is read', () => {
      const { calls, reader } = watch();
      for (let second = 1; second <= 9; second++) reader.tick(second, limits);
      expect(calls).toEqual(['pause', 'resume', 'pause', 'resume']);
    });

    test('is re-armed until the answer, if it runs again since the end of a body that was paused', () => {
      const { calls, reader } = watch();
      reader.pause();
      reader.push(new ArrayBuffer(1), true);
      expect(calls.splice(0)).toEqual(['pause', 'resume']);
      for (let second = 1; second <= 9; second++) reader.tick(second, limits);
      expect(calls).toEqual(['pause', 'resume', 'pause', 'resume']);
    });

    test('stands still while a body is paused, though more comes of the read in which it was', () => {
      const { push, isPaused, isTimed } = createPushedBody();
      for (let arrivals = 0; arrivals < 12; arrivals++) push(Buffer.alloc(64 * kib));
      expect([isPaused(), isTimed()]).toEqual([true, false]);
    });

    test('stands still after the end of any other body', () => {
      const { calls, reader } = watch();
      reader.push(new ArrayBuffer(1), true);
      for (let second = 1; second <= 9; second++) reader.tick(second, limits);
      expect(calls).toEqual([]);
    });
  });
});
