// A call that goes on for a while without the request that it was made for.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { outlive } from '../../../../src/upload/operations/outlive.ts';

const reason = new Error('the client left');

test('its result counts when it comes in time', async () => {
  const request = new AbortController();
  const running = outlive(request.signal, 5000, async (signal) => {
    request.abort(reason);
    await delay(20, undefined, { signal });
    return 'done';
  });
  expect(await running).toBe('done');
});

test('it is given up for the same reason when its time is over', async () => {
  const request = new AbortController();
  const running = outlive(request.signal, 20, async (signal) => {
    request.abort(reason);
    await delay(5000, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  });
  await expect(running).rejects.toBe(reason);
});

test('it is not begun for a request that has ended', async () => {
  let isBegun = false;
  const running = outlive(AbortSignal.abort(reason), 5000, async () => {
    isBegun = true;
  });
  await expect(running).rejects.toBe(reason);
  expect(isBegun).toBe(false);
});
