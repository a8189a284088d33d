// Bodies that end short, go on too long, fail or are given up: no backend takes what it has of them for whole.
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { answerWith, isWhole, success, type RawBackend } from './raw-backend.ts';
import { createScriptedBody, createTextBody, type ScriptedBody, type Step } from './scripted-body.ts';
import { allReleased, cleanUp, endless, failureOf, hasBody, mib, setUp } from './put-to-backend.ts';

afterEach(cleanUp);

describe('a body that goes wrong', () => {
  /** What the backend has is less than was declared, and it sees no ordinary end, which some take for the end of the body. */
  async function expectIncomplete(backend: RawBackend): Promise<void> {
    const [connection] = backend.connections;
    if (connection === undefined) return;
    expect(await connection.ended).toBe('ECONNRESET');
    expect(isWhole(connection.received())).toBe(false);
  }

  /** Sends the first step; the others come once the backend has it. */
  async function putStepwise(
    length: number,
    steps: Step[],
  ): Promise<{ backend: RawBackend; failure: unknown; body: ScriptedBody }> {
    const { promise: hasFirst, resolve } = Promise.withResolvers<void>();
    const { backend, put } = await setUp(({ until }) => until(hasBody(5)).then(resolve));
    const [first, ...rest] = steps;
    const later = (step: Step): Promise<Uint8Array | null> =>
      hasFirst.then(() => (step instanceof Error ? Promise.reject(step) : step));
    const script = (function* () {
      if (first !== undefined) yield first;
      for (const step of rest) yield length === 10 ? later(step) : step;
      yield null;
    })();
    const body = createScriptedBody(length, script);
    const failure = await failureOf(put(body));
    await allReleased(body);
    return { backend, failure, body };
  }

  test.each<[string, number, Step[]]>([
    ['ends short', 10, [Buffer.from('hello'), null]],
    ['is empty', 10, []],
    ['goes on too long', 10, [Buffer.from('hello'), Buffer.from('world!')]],
    ['goes on after its last byte', 10, [Buffer.from('hello'), Buffer.from('world'), Buffer.from('!')]],
    ['begins where nothing was declared', 0, [Buffer.from('hello')]],
  ])('%s', async (_, length, steps) => {
    const { backend, failure, body } = await putStepwise(length, steps);
    expect(failure).toMatchObject({ name: 'BodyLengthMismatch' });
    expect(body.handedOut).toBe(steps.filter((step) => step !== null).length);
    await expectIncomplete(backend);
  });

  const failure = new Error('digest does not match');

  test.each<[string, number, Step[]]>([
    ['at its first byte', 10, [failure]],
    ['in its middle', 10, [Buffer.from('hello'), failure]],
    ['when all its bytes have been read', 10, [Buffer.from('hello'), Buffer.from('world'), failure]],
    ['when its only chunk has been read', 5, [Buffer.from('hello'), failure]],
    ['though it is empty', 0, [failure]],
  ])('rejects %s: nothing is whole, and the caller has its own error', async (_, length, steps) => {
    const put = await putStepwise(length, steps);
    expect(put.failure).toBe(failure);
    await expectIncomplete(put.backend);
  });

  test('is given up when the signal is aborted while the client is slow', async () => {
    const { backend, put } = await setUp(() => undefined);
    const stop = new AbortController();
    const { promise } = Promise.withResolvers<Uint8Array>();
    const body = createScriptedBody(10, [Buffer.from('hello'), promise]);
    const outcome = failureOf(put(body, stop.signal));
    while (backend.connections.length === 0) await new Promise(setImmediate);
    await backend.connections[0]?.until(hasBody(5));
    stop.abort(new Error('the client left'));
    expect(await outcome).toMatchObject({ message: 'the client left' });
    await allReleased(body);
    await expectIncomplete(backend);
  });

  test('leaves no listener on a signal that outlives it', async () => {
    const { put } = await setUp(answerWith(success));
    const { signal } = new AbortController();
    for (const text of ['one', 'two']) await put(createTextBody(text), signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('is given up when the signal is aborted while the backend takes nothing', async () => {
    const { put } = await setUp(({ socket }) => socket.pause());
    const stop = new AbortController();
    const body = createScriptedBody(1024 * mib, endless(262_144));
    const outcome = failureOf(put(body, stop.signal));
    let reads = -1;
    while (body.reads !== reads) {
      reads = body.reads;
      await new Promise((done) => setTimeout(done, 20));
    }
    // The window, and what the kernel holds.
    expect(body.handedOut - body.released).toBeLessThanOrEqual(5);
    stop.abort(new Error('the client left'));
    expect(await outcome).toMatchObject({ message: 'the client left' });
    expect(body.released).toBe(body.handedOut);
  });

  test('is not begun when the signal is aborted already', async () => {
    const { backend, put } = await setUp(() => undefined);
    const body = createTextBody('hello');
    await expect(put(body, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
    expect([body.reads, backend.connections.length]).toEqual([0, 0]);
  });
});
