// Backends that are away or silent, and connections to them: when they are used again, waited for and closed.
import { afterEach, describe, expect, test } from 'vitest';
import { answerWith, countRequests, isWhole, readBody, success, type BackendConnection } from './raw-backend.ts';
import { createScriptedBody, createTextBody } from './scripted-body.ts';
import { allReleased, answerWhen, cleanUp, cleanups, endless, hasBody, mib, setUp } from './put-to-backend.ts';

afterEach(cleanUp);

describe('a backend', () => {
  const away = { name: 'S3Error', code: 'ServiceUnavailable', status: 503, retryable: true };

  test.each([
    ['closes', (socket: BackendConnection['socket']) => socket.end()],
    ['resets', (socket: BackendConnection['socket']) => socket.resetAndDestroy()],
    ['stops in the middle of its answer', (socket: BackendConnection['socket']) => socket.end('HTTP/1.1 200 O')],
  ])('that %s instead of answering is away', async (_, act) => {
    const { put } = await setUp(async ({ until, socket }) => {
      await until(isWhole);
      act(socket);
    });
    const body = createTextBody('hello');
    await expect(put(body)).rejects.toMatchObject(away);
    await allReleased(body);
  });

  test('that resets in the middle of a large body is away', async () => {
    const { put } = await setUp(async ({ until, socket }) => {
      await until(hasBody(100_000));
      socket.resetAndDestroy();
    });
    const body = createScriptedBody(1024 * mib, endless(262_144));
    await expect(put(body)).rejects.toMatchObject(away);
    await allReleased(body);
    expect(body.reads).toBeLessThan(200);
  });

  test('that refuses connections is away', async () => {
    const { backend, put } = await setUp(() => undefined);
    await backend.stop();
    cleanups.shift();
    const body = createTextBody('hello');
    await expect(put(body)).rejects.toMatchObject(away);
    await allReleased(body);
  });

  const silence = { connectMs: 5000, idleMs: 50, totalMs: 0 };

  test.each([
    ['never answers', (): void => undefined, createTextBody],
    [
      'takes nothing more',
      ({ socket }: BackendConnection): unknown => socket.pause(),
      () => createScriptedBody(1024 * mib, endless(262_144)),
    ],
  ])('that %s is given up after its time', async (_, serve, createBody) => {
    const { put } = await setUp(serve, { timeouts: silence });
    const body = createBody('hello');
    await expect(put(body)).rejects.toMatchObject({ ...away, cause: { name: 'BackendTimeout' } });
    await allReleased(body);
  });

  test('is not blamed for a slow client', async () => {
    const { put } = await setUp(answerWhen(isWhole, success), { timeouts: silence });
    const later = new Promise<Uint8Array>((resolve) => setTimeout(() => resolve(Buffer.from('world')), 250));
    await expect(put(createScriptedBody(10, [Buffer.from('hello'), later]))).resolves.toMatchObject({ etag: '"e"' });
  });

  test('is given up when all of it takes too long', async () => {
    const timeouts = { connectMs: 5000, idleMs: 0, totalMs: 50 };
    const { put } = await setUp(
      ({ socket }) => setInterval(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'), 10).unref(),
      {
        timeouts,
      },
    );
    await expect(put(createTextBody('hello'))).rejects.toMatchObject({ ...away, cause: { name: 'BackendTimeout' } });
  });
});

describe('a connection', () => {
  test('is used again', async () => {
    const { backend, put } = await setUp(answerWith(success));
    for (const text of ['one', '', 'x'.repeat(100_000), 'four']) await put(createTextBody(text));
    expect(backend.connections).toHaveLength(1);
    expect(countRequests(backend.connections[0]?.received() ?? '')).toBe(4);
  });

  test('is used again after a refusal', async () => {
    const { backend, put } = await setUp(answerWith('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
    for (const text of ['one', 'two'])
      await expect(put(createTextBody(text))).rejects.toMatchObject({ name: 'S3Error' });
    expect(backend.connections).toHaveLength(1);
  });

  test.each([
    ['that the server wants closed', 'HTTP/1.1 200 OK\r\nETag: "e"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'],
    ['with bytes behind the answer', `${success}surplus`],
  ])('%s is not', async (_, text) => {
    const { backend, put } = await setUp(answerWith(text));
    for (const body of ['one', 'two']) await put(createTextBody(body));
    expect(backend.connections).toHaveLength(2);
  });

  test('whose body was cut short by an early answer is not: the next request would be taken for the rest of it', async () => {
    const refusal = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n';
    const { backend, put } = await setUp((connection) =>
      backend.connections.length === 1 ? answerWhen(hasBody(5), refusal)(connection) : answerWith(success)(connection),
    );
    const { promise } = Promise.withResolvers<Uint8Array>();
    const body = createScriptedBody(10, [Buffer.from('hello'), promise]);
    await expect(put(body)).rejects.toMatchObject({ code: 'AccessDenied' });
    await put(createTextBody('other'));
    expect(backend.connections).toHaveLength(2);
    expect(readBody(backend.connections[0]?.received() ?? '')?.bodyBytes).toBe(5);
  });

  test('that the server closed while it was idle costs nothing', async () => {
    const { backend, put } = await setUp(answerWith(success));
    await put(createTextBody('one'));
    const [first] = backend.connections;
    first?.socket.end();
    await first?.ended;
    await put(createTextBody('two'));
    expect(backend.connections).toHaveLength(2);
  });

  test('that the server closes on the next request is an error to be tried again', async () => {
    const { backend, put } = await setUp((connection) => {
      const isSecond = (received: string): boolean => countRequests(received) === 2;
      void connection.until(isSecond).then(() => connection.socket.resetAndDestroy());
      return answerWhen(isWhole, success)(connection);
    });
    await put(createTextBody('one'));
    await expect(put(createTextBody('two'))).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    await put(createTextBody('three'));
    expect(backend.connections).toHaveLength(2);
  });

  test('that was lost when it was used again takes those like it with it', async () => {
    const { backend, put } = await setUp((connection) => {
      const isSecond = (received: string): boolean => countRequests(received) === 2;
      void connection.until(isSecond).then(() => connection.socket.resetAndDestroy());
      return answerWhen(isWhole, success)(connection);
    });
    const bodies = ['one', 'two', 'three'];
    await Promise.all(bodies.map((text) => put(createTextBody(text))));
    expect(backend.connections).toHaveLength(3);
    await expect(put(createTextBody('stale'))).rejects.toMatchObject({ retryable: true });
    for (const text of bodies) await put(createTextBody(text));
    expect(backend.connections).toHaveLength(6);
  });

  test('is waited for where there may be no more', async () => {
    const { backend, put } = await setUp(answerWith(success), { maxConnections: 2 });
    await Promise.all(Array.from({ length: 20 }, (_, i) => put(createTextBody(`body ${i}`))));
    expect(backend.connections).toHaveLength(2);
  });

  test('that is waited for is not, once the signal is aborted', async () => {
    const { put } = await setUp(() => undefined, { maxConnections: 1 });
    const stop = new AbortController();
    const first = put(createTextBody('one'), stop.signal);
    const waiting = put(createTextBody('two'), stop.signal);
    const outcomes = Promise.allSettled([first, waiting]);
    await new Promise((done) => setTimeout(done, 20));
    stop.abort(new Error('enough'));
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
  });

  test('is closed with the storage', async () => {
    const { backend, storage, put } = await setUp(answerWith(success));
    await put(createTextBody('one'));
    await storage.close();
    expect(await backend.connections[0]?.ended).toBe('end');
    await expect(put(createTextBody('two'))).rejects.toMatchObject({ code: 'ServiceUnavailable' });
  });
});
