// An OpenFGA that is away, slow or talks nonsense allows nothing, is given up in time, and is found again when it is back.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createOpenFgaAuthorizer } from '../../src/authz/openfga.ts';
import type { OpenFgaConfig } from '../../src/config/config.ts';
import { createStore, startOpenFga } from '../servers/start-openfga.ts';
import { startToxiproxy, type Toxic } from '../servers/start-toxiproxy.ts';
import { engineConfig, forAll, questionOf, testModel } from '../support/openfga-engine.ts';

const ids = { storeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV', modelId: '01ARZ3NDEKTSV4RRFFQ69G5FAW' };
const secret = 'alice-and-her-secret-key';
const question = questionOf(secret, { key: `${secret}/${secret}.txt`, claims: { groups: [secret] } });
/** Checks once, or a batch. */
const shapes: readonly [string, Partial<OpenFgaConfig>][] = [
  ['Check', {}],
  ['BatchCheck', { object: forAll(['folder:{key.ancestors}', 'bucket:{bucket}']) }],
];
const contextualTuples = [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }];

interface Failure {
  readonly code: unknown;
  readonly cause: string;
  readonly status: unknown;
  readonly tookMs: number;
}

async function failureOf(config: OpenFgaConfig): Promise<Failure> {
  const engine = createOpenFgaAuthorizer(config);
  const before = performance.now();
  try {
    const decision = await engine.authorize(question);
    throw new Error(`it decided: ${JSON.stringify(decision)}`);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const cause = error.cause as Error & { readonly status: unknown };
    // Whatever a logger may write of it.
    const written = [
      error.message,
      error.stack,
      cause.message,
      cause.stack,
      JSON.stringify(cause),
      String(cause.cause),
    ];
    expect(written.join()).not.toContain(secret);
    return { code: error.code, cause: cause.message, status: cause.status, tookMs: performance.now() - before };
  } finally {
    await engine.close();
  }
}

let servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers) server.close();
  servers = [];
});

/** @returns the URL of a server that is the given one for all requests. */
async function serve(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined);
    sockets.add(socket);
  });
  servers.push({
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
  createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body));
  });

const echoed = JSON.stringify({ code: 'validation_error', message: `no user ${secret}` });

describe.each(shapes)('%s', (shape, changes) => {
  const config = (url: string, timeoutMs = 2000) =>
    engineConfig({ url, ...ids }, { ...changes, contextualTuples, timeoutMs });

  test.each([
    [500, '{"code":"internal_error","message":"x"}', 'OpenFGA answered 500 (internal_error)'],
    [500, echoed, 'OpenFGA answered 500 (validation_error)'],
    [400, echoed, 'OpenFGA answered 400 (validation_error)'],
    [400, JSON.stringify({ code: secret }), 'OpenFGA answered 400'],
    [400, JSON.stringify({ code: 'secretword', error: 'invalid_client' }), 'OpenFGA answered 400'],
    [400, '[]', 'OpenFGA answered 400'],
    [401, '{"code":"unauthenticated"}', 'OpenFGA answered 401 (unauthenticated)'],
    [403, '', 'OpenFGA answered 403'],
    [404, 'not here', 'OpenFGA answered 404'],
    [429, '{}', 'OpenFGA answered 429'],
    [503, `<html>${secret}</html>`, 'OpenFGA answered 503'],
    [204, '', 'OpenFGA answered 204'],
    [201, '{"allowed":true,"result":{"check-0":{"allowed":true},"check-1":{"allowed":true}}}', 'OpenFGA answered 201'],
    [302, '', 'OpenFGA answered 302'],
    [307, '', 'OpenFGA answered 307'],
    [200, '', 'OpenFGA answered 200 with no JSON object'],
    [200, `<html>${secret}</html>`, 'OpenFGA answered 200 with no JSON object'],
    [200, '{"allowed":tru', 'OpenFGA answered 200 with no JSON object'],
    [200, 'true', 'OpenFGA answered 200 with no JSON object'],
    [200, '"allowed"', 'OpenFGA answered 200 with no JSON object'],
    [200, 'null', 'OpenFGA answered 200 with no JSON object'],
  ])('%i %s', async (status, body, cause) => {
    const elsewhere = await serve(
      answering(200, '{"allowed":true,"result":{"check-0":{"allowed":true},"check-1":{"allowed":true}}}'),
    );
    const url = await serve(answering(status, body, { location: `${elsewhere}/`, 'retry-after': '1' }));
    const failure = await failureOf(config(url));
    expect(failure).toMatchObject({ code: 'ServiceUnavailable', cause, status });
    expect(failure.tookMs).toBeLessThan(1000);
  });

  test.each([
    '{}',
    '[]',
    '{"allowed":"true","result":{"check-0":{"allowed":"true"},"check-1":{"allowed":"true"}}}',
    '{"allowed":1,"result":{"check-0":{"allowed":1},"check-1":{"allowed":1}}}',
    '{"allowed":null,"result":null}',
    '{"allowed":[true],"result":[true,true]}',
    '{"result":{"check-0":{"allowed":false}}}',
    '{"result":{"0":{"allowed":true},"1":{"allowed":true}}}',
    '{"result":{"check-0":null,"check-1":null}}',
    '{"result":"yes"}',
  ])('200 %s is no answer', async (body) => {
    const failure = await failureOf(config(await serve(answering(200, body))));
    expect(failure).toMatchObject({
      code: 'ServiceUnavailable',
      status: 200,
      cause: expect.stringMatching(/^OpenFGA did not /),
    });
  });

  test('an answer without an end, or without a limit', async () => {
    const endless = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    const failure = await failureOf(config(await serve(endless), 300));
    expect(failure).toMatchObject({ code: 'ServiceUnavailable', cause: 'OpenFGA did not answer within 300 ms' });
    expect(failure.tookMs).toBeLessThan(900);
    const huge = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const block = ' '.repeat(1024 * 1024);
      const pour = (): void => {
        while (!response.destroyed && response.write(block));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    });
    expect(await failureOf(config(await serve(huge)))).toMatchObject({
      code: 'ServiceUnavailable',
      cause: expect.stringMatching(/^OpenFGA /),
    });
  });

  test.each([
    ['HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"allowed":true', 1],
    ['SSH-2.0-x\r\n', 1],
    ['\0\0\0\0', 1],
    ['', 2],
  ])('a server that says %j and hangs up is asked so many times: %i', async (text, times) => {
    let connections = 0;
    const url = await serve(
      createTcpServer((socket) => {
        connections++;
        socket.once('data', () => socket.end(text));
      }),
    );
    const said = /^OpenFGA cannot be asked \([A-Z_]+\)$|^OpenFGA answered 200 with no JSON object$/;
    const failure = await failureOf(config(url, 1000));
    expect(failure).toMatchObject({ code: 'ServiceUnavailable', cause: expect.stringMatching(said) });
    expect(connections).toBe(times);
  });

  test('a connection that was kept and is gone is made again, once', async () => {
    let connections = 0;
    let requests = 0;
    const url = await serve(
      createTcpServer((socket) => {
        connections++;
        socket.on('data', () => {
          requests++;
          socket.destroy();
        });
      }),
    );
    expect(await failureOf(config(url))).toMatchObject({
      code: 'ServiceUnavailable',
      cause: 'OpenFGA cannot be asked (ECONNRESET)',
    });
    expect([connections, requests]).toEqual([2, 2]);
  });

  test('nobody listens', async () => {
    const failure = await failureOf(config('http://127.0.0.1:9'));
    expect(failure).toMatchObject({ code: 'ServiceUnavailable', cause: 'OpenFGA cannot be asked (ECONNREFUSED)' });
    expect(failure.tookMs).toBeLessThan(1000);
    expect(await failureOf(config('http://openfga.invalid:8080'))).toMatchObject({ code: 'ServiceUnavailable' });
  });

  test('a question that is given up is hung up on', async () => {
    const closed = Promise.withResolvers<void>();
    const silent = createServer((request) => request.socket.once('close', () => closed.resolve()));
    const engine = createOpenFgaAuthorizer(config(await serve(silent), 200));
    await expect(engine.authorize(question)).rejects.toThrow(expect.objectContaining({ code: 'ServiceUnavailable' }));
    await expect(closed.promise).resolves.toBeUndefined();
    await engine.close();
  });

  test('questions one after the other share a connection', async () => {
    let connections = 0;
    const server = answering(200, '{"allowed":true,"result":{"check-0":{"allowed":true},"check-1":{"allowed":true}}}');
    server.on('connection', () => connections++);
    const engine = createOpenFgaAuthorizer(config(await serve(server)));
    for (let asked = 0; asked < 3; asked++) expect(await engine.authorize(question)).toEqual({ allow: true });
    expect(connections).toBe(1);
    await engine.close();
  });

  test('no proxy of the environment is asked', async () => {
    const allowing = '{"allowed":true,"result":{"check-0":{"allowed":true},"check-1":{"allowed":true}}}';
    const other = await serve(answering(200, allowing));
    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) vi.stubEnv(name, other);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const failure = await failureOf(config(await serve(answering(500, '{}'))));
    expect(failure.cause).toBe('OpenFGA answered 500');
  });

  test(`no error leads to more than one ${shape}`, async () => {
    let requests = 0;
    const server = createServer((request, response) => {
      requests++;
      request.resume();
      response.writeHead(503, { 'retry-after': '1' }).end();
    });
    await failureOf(config(await serve(server)));
    expect(requests).toBe(1);
  });
});

describe.each(shapes)('a real OpenFGA, %s', (_, changes) => {
  test('that stops, stands still and comes back', async () => {
    const server = await startOpenFga();
    onTestFinished(() => server.stop());
    const tuple = { user: `user:${secret}`, relation: 'writer', object: 'bucket:uploads' };
    const store = await createStore(server, testModel, [tuple]);
    const engine = createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, { ...changes, timeoutMs: 500 }));
    const allowed = { allow: true };
    expect(await engine.authorize(question)).toEqual(allowed);
    server.suspend();
    const before = performance.now();
    const late = expect.objectContaining({
      cause: expect.objectContaining({ message: 'OpenFGA did not answer within 500 ms' }),
    });
    await expect(Promise.all(Array.from({ length: 20 }, () => engine.authorize(question)))).rejects.toThrow(late);
    await expect(engine.checkReady(AbortSignal.timeout(10_000))).rejects.toThrow(
      'OpenFGA did not answer within 500 ms',
    );
    expect(performance.now() - before).toBeLessThan(2000);
    server.resume();
    await expect.poll(() => engine.authorize(question).catch(() => 'not yet')).toEqual(allowed);
    await server.stop();
    await expect(engine.authorize(question)).rejects.toThrow(expect.objectContaining({ code: 'ServiceUnavailable' }));
    // In its place, with an empty memory: the store is gone.
    const next = await startOpenFga({ port: server.port });
    onTestFinished(() => next.stop());
    await expect(engine.checkReady(AbortSignal.timeout(5000))).rejects.toThrow(`OpenFGA has no store ${store.storeId}`);
    await engine.close();
  });

  test('behind a line that is slow, cut, or resets', async () => {
    const server = await startOpenFga();
    onTestFinished(() => server.stop());
    const tuple = { user: `user:${secret}`, relation: 'writer', object: 'bucket:uploads' };
    const store = await createStore(server, testModel, [tuple]);
    const toxiproxy = await startToxiproxy();
    onTestFinished(() => toxiproxy.stop());
    const line = await toxiproxy.createProxy(server.url);
    const config = engineConfig({ url: line.endpoint, ...store }, { ...changes, timeoutMs: 500 });
    const engine = createOpenFgaAuthorizer(config);
    const allowed = { allow: true };
    const unavailable = expect.objectContaining({ code: 'ServiceUnavailable' });
    expect(await engine.authorize(question)).toEqual(allowed);

    const toxics: readonly Toxic[] = [
      { type: 'latency', stream: 'downstream', attributes: { latency: 2000 } },
      { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } },
      { type: 'reset_peer', stream: 'downstream', attributes: { timeout: 0 } },
      { type: 'limit_data', stream: 'downstream', attributes: { bytes: 40 } },
      { type: 'slicer', stream: 'downstream', attributes: { average_size: 1, size_variation: 0, delay: 20_000 } },
    ];
    for (const toxic of toxics) {
      const added = await line.addToxic(toxic);
      const before = performance.now();
      await expect(engine.authorize(question)).rejects.toThrow(unavailable);
      expect(performance.now() - before).toBeLessThan(900);
      await added.remove();
      await expect.poll(() => engine.authorize(question).catch(() => 'not yet')).toEqual(allowed);
    }

    // Cuts every connection that is kept: the next question goes through on a new one.
    await line.setEnabled(false);
    await expect(engine.authorize(question)).rejects.toThrow(unavailable);
    await line.setEnabled(true);
    expect(await engine.authorize(question)).toEqual(allowed);
    await line.setEnabled(false);
    await line.setEnabled(true);
    expect(await engine.authorize(question)).toEqual(allowed);
    await engine.close();
  });
});
