// What is kept of open uploads, how files are cut, and how often something is tried again.
import { describe, expect, test } from 'vitest';
import { createOpenUploads } from '../../../../src/ui/page/open-uploads.ts';
import { partBytesOf, planParts } from '../../../../src/ui/page/plan-parts.ts';
import { createSlots } from '../../../../src/ui/page/slots.ts';
import { tryAgain } from '../../../../src/ui/page/try-again.ts';
import { UploadFault } from '../../../../src/ui/page/upload-fault.ts';

function createStore() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, text: string) => void items.set(name, text),
    removeItem: (name: string) => void items.delete(name),
  };
}

const file = { path: '/uploads/a.mp4', name: 'a.mp4', sizeBytes: 100, lastModifiedMs: 7 };
const begun = { ...file, uploadId: 'u1', partBytes: 10 };

describe('open uploads', () => {
  test('are found by what a file is known by, and by nothing less', () => {
    const store = createStore();
    createOpenUploads(store, () => 1000).add(begun);
    const later = createOpenUploads(store, () => 2000);
    expect(later.find(file)).toMatchObject(begun);
    for (const other of [{ path: '/b' }, { name: 'b' }, { sizeBytes: 101 }, { lastModifiedMs: 8 }])
      expect(later.find({ ...file, ...other })).toBeUndefined();
  });

  test('nothing but what is listed is kept', () => {
    const store = createStore();
    createOpenUploads(store, () => 0).add({ ...begun, token: 'secret', data: 'bytes' } as typeof begun);
    expect(JSON.stringify([...store.items])).not.toMatch(/secret|bytes"/u);
  });

  test('two tabs lose nothing of each other', () => {
    const store = createStore();
    const [one, two] = [createOpenUploads(store, () => 0), createOpenUploads(store, () => 0)];
    one.add(begun);
    two.add({ ...begun, uploadId: 'u2', name: 'b' });
    one.touch('u1');
    expect(two.list().map(({ uploadId }) => uploadId)).toEqual(['u1', 'u2']);
    two.remove('u1');
    expect(one.list().map(({ uploadId }) => uploadId)).toEqual(['u2']);
  });

  test('busy while a tab says so, free when it leaves or says nothing more', () => {
    const store = createStore();
    let nowMs = 0;
    const uploads = createOpenUploads(store, () => nowMs);
    uploads.add(begun);
    const isBusy = () => (uploads.list()[0]?.busyUntilMs ?? 0) > nowMs;
    expect(isBusy()).toBe(true);
    nowMs = 20_000;
    expect(isBusy()).toBe(false);
    uploads.touch('u1');
    expect(isBusy()).toBe(true);
    uploads.release('u1');
    expect(isBusy()).toBe(false);
  });

  test('cancelled ones are not gone on with, but kept until the server knows', () => {
    const uploads = createOpenUploads(createStore(), () => 0);
    uploads.add(begun);
    uploads.cancel('u1');
    expect(uploads.find(file)).toBeUndefined();
    expect(uploads.list()).toMatchObject([{ uploadId: 'u1', isCancelled: true }]);
  });

  test('after a week they are forgotten', () => {
    const store = createStore();
    createOpenUploads(store, () => 0).add(begun);
    expect(createOpenUploads(store, () => 8 * 86_400_000).list()).toEqual([]);
  });

  test.each(['not JSON', '{}', '[1,null,{"path":3}]'])('a store that holds %s is an empty one', (text) => {
    const store = createStore();
    store.setItem('mizuchi-open-uploads', text);
    expect(createOpenUploads(store, () => 0).list()).toEqual([]);
  });

  test('a store that is full, or none at all, costs the way back alone', () => {
    const full = {
      ...createStore(),
      setItem: () => {
        throw new Error('QuotaExceededError');
      },
    };
    expect(() => createOpenUploads(full, () => 0).add(begun)).not.toThrow();
    const uploads = createOpenUploads(undefined, () => 0);
    uploads.add(begun);
    expect(uploads.find(file)?.uploadId).toBe('u1');
  });
});

test.each([1, 8 * 1024 ** 2, 8 * 1024 ** 2 + 1, 300 * 1024 ** 2, 5 * 1024 ** 4])(
  '%i bytes are cut without gap',
  (size) => {
    const partBytes = partBytesOf(size);
    const parts = planParts(size, partBytes);
    expect(parts.length).toBeLessThanOrEqual(10_000);
    expect(parts.map(({ number }) => number)).toEqual(parts.map((_, i) => i + 1));
    expect(parts.every(({ startByte }, i) => startByte === (parts[i - 1]?.endByte ?? 0))).toBe(true);
    expect(parts.at(-1)?.endByte).toBe(size);
    expect(parts.slice(0, -1).every(({ startByte, endByte }) => endByte - startByte >= 5 * 1024 ** 2)).toBe(true);
  },
);

describe('tryAgain', () => {
  async function run(faults: UploadFault[], isOnline = () => true) {
    const waits: number[] = [];
    const notes: (string | undefined)[] = [];
    const queue = [...faults];
    const result = tryAgain(
      () => {
        const fault = queue.shift();
        return fault === undefined ? Promise.resolve('done') : Promise.reject(fault);
      },
      {
        signal: new AbortController().signal,
        isOnline,
        wait: async (ms) => void waits.push(ms),
        onWait: (fault) => notes.push(fault?.message),
        random: () => 1,
      },
    );
    return { result: await result.catch((error: unknown) => error), waits, notes };
  }
  const lost = new UploadFault('network', 'lost');

  test('waits longer each time, no less than the server asks for, and says when it goes on', async () => {
    const { result, waits, notes } = await run([lost, lost, new UploadFault('busy', 'busy', 7000)]);
    expect(result).toBe('done');
    expect(waits).toEqual([1000, 2000, 7000]);
    expect(notes).toEqual(['lost', 'lost', 'busy', undefined]);
  });

  test('gives up in the end, but not while there is no network', async () => {
    const many = Array.from({ length: 50 }, () => lost);
    expect((await run(many)).result).toBe(lost);
    expect((await run(many)).waits.length).toBe(8);
    const offline = await run(many, () => false);
    expect([offline.result, offline.waits.length, offline.notes.at(-1)]).toEqual(['done', 50, undefined]);
  });

  test.each(['token', 'gone', 'final'] as const)('%s is not tried again', async (kind) => {
    const fault = new UploadFault(kind, 'no');
    expect(await run([fault])).toEqual({ result: fault, waits: [], notes: [] });
  });
});

test('slots: so many at once, in the order they came, and who leaves the line takes no place', async () => {
  const slots = createSlots(2);
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  const { signal } = new AbortController();
  const task = (name: string, own = signal) =>
    slots.run(own, () => {
      order.push(name);
      return new Promise<void>((resolve) => {
        ends.set(name, resolve);
      });
    });
  const leaver = new AbortController();
  const running = [task('a'), task('b')];
  const left = task('c', leaver.signal);
  running.push(task('d'));
  leaver.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  expect(order).toEqual(['a', 'b']);
  ends.get('a')?.();
  await running[0];
  expect(order).toEqual(['a', 'b', 'd']);
  ends.get('b')?.();
  ends.get('d')?.();
  await Promise.all(running);
});

test('slots: who is stopped gives the place back at once and only once, though the task goes on', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  const task = (name: string, stop = new AbortController()) =>
    slots.run(stop.signal, () => {
      order.push(name);
      return new Promise<void>((resolve) => {
        ends.set(name, resolve);
      });
    });
  const stop = new AbortController();
  const stopped = task('a', stop);
  const others = [task('b'), task('c')];
  stop.abort(new Error('stopped'));
  await expect.poll(() => order).toEqual(['a', 'b']);
  ends.get('a')?.();
  await stopped;
  expect(order).toEqual(['a', 'b']);
  ends.get('b')?.();
  await others[0];
  expect(order).toEqual(['a', 'b', 'c']);
  ends.get('c')?.();
  await others[1];
});
