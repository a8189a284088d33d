// The path that each body takes, against backends that do what they should and those that do not.
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createS3Storage, type S3StorageOptions } from '../../../../src/storage/s3/s3-storage.ts';
import type { Storage, Stored } from '../../../../src/storage/storage.ts';
import {
  answerWith,
  countRequests,
  isWhole,
  readBody,
  startRawBackend,
  success,
  type BackendConnection,
  type RawBackend,
} from './raw-backend.ts';
import { createScriptedBody, createTextBody, type ScriptedBody, type Step } from './scripted-body.ts';

const never = new AbortController().signal;
const mib = 1024 * 1024;
const object = { bucket: 'bucket', key: 'folder/a b' };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Setup {
  readonly backend: RawBackend;
  readonly storage: Storage;
  readonly put: (body: ScriptedBody, signal?: AbortSignal) => Promise<Stored>;
}

async function setUp(
  serve: (connection: BackendConnection) => unknown,
  options: Partial<S3StorageOptions> = {},
): Promise<Setup> {
  const backend = await startRawBackend(serve);
  const storage = createS3Storage({
    region: 'us-east-1',
    endpoint: backend.endpoint,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs: 5000, idleMs: 5000, totalMs: 0 },
    ...options,
  });
  cleanups.push(
    () => backend.stop(),
    () => storage.close(),
  );
  return { backend, storage, put: (body, signal = never) => storage.putObject(object, new Map(), body, signal) };
}

/** Sends the text once the condition holds. */
const answerWhen =
  (condition: (received: string) => boolean, text: string) =>
  async ({ until, socket }: BackendConnection): Promise<void> => {
    await until(condition);
    socket.write(text);
  };

const hasBody = (bytes: number) => (received: string) => (readBody(received)?.bodyBytes ?? -1) >= bytes;
const pieces = (count: number, bytes: number): Uint8Array[] =>
  Array.from({ length: count }, () => Buffer.alloc(bytes, 97));

function endless(chunkBytes: number): Iterable<Step> {
  const chunk = Buffer.alloc(chunkBytes);
  return (function* () {
    for (;;) yield chunk;
  })();
}

const failureOf = (putting: Promise<Stored>): Promise<unknown> =>
  putting.then(
    () => {
      throw new Error('it was stored');
    },
    (failure: unknown) => failure,
  );

async function allReleased(body: ScriptedBody): Promise<void> {
  while (body.released < body.handedOut) await new Promise(setImmediate);
}

describe('a request', () => {
  test('is written whole, signed, and its answer told', async () => {
    const answer = [
      'HTTP/1.1 200 OK',
      'ETag: "abc"',
      'x-amz-version-id: v1',
      'X-Amz-Server-Side-Encryption: AES256',
      'x-amz-checksum-crc32: AAAA',
      'x-amz-expiration: expiry-date="Fri, 01 Jan 2027 00:00:00 GMT", rule-id="a"',
      'x-amz-object-lock-mode: GOVERNANCE',
      'x-amz-request-id: R1',
      'x-amz-id-2: host',
      'Server: Internal/1.0',
      'Content-Length: 0\r\n\r\n',
    ].join('\r\n');
    const { backend, storage } = await setUp(answerWhen(isWhole, answer));
    const headers = new Map([
      ['content-type', 'text/plain'],
      ['x-amz-meta-words', 'grün 🦑'],
    ]);
    const stored = await storage.putObject(object, headers, createTextBody('hello'), never);
    expect(stored.etag).toBe('"abc"');
    expect(Object.fromEntries(stored.headers)).toEqual({
      'x-amz-version-id': 'v1',
      'x-amz-server-side-encryption': 'AES256',
      'x-amz-checksum-crc32': 'AAAA',
      'x-amz-expiration': 'expiry-date="Fri, 01 Jan 2027 00:00:00 GMT", rule-id="a"',
      'x-amz-object-lock-mode': 'GOVERNANCE',
    });
    const sent = Buffer.from(backend.connections[0]?.received() ?? '', 'latin1').toString();
    expect(sent).toMatch(/^PUT \/bucket\/folder\/a%20b HTTP\/1\.1\r\n/);
    expect(sent).toContain(`\r\nhost: 127.0.0.1:${backend.port}\r\n`.slice(2));
    expect(sent).toContain('\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n');
    expect(sent).toContain('\r\nx-amz-meta-words: grün 🦑\r\n');
    expect(sent).toContain('SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-words,');
    expect(sent).toMatch(/\r\ncontent-length: 5\r\n\r\nhello$/);
    expect(sent.toLowerCase()).not.toContain('expect:');
  });

  test('of a part names it in the query', async () => {
    const { backend, storage } = await setUp(answerWhen(isWhole, success));
    await storage.uploadPart({ ...object, uploadId: 'a/b+c=' }, 7, new Map(), createTextBody('part'), never);
    expect(backend.connections[0]?.received()).toMatch(
      /^PUT \/bucket\/folder\/a%20b\?partNumber=7&uploadId=a%2Fb%2Bc%3D HTTP/,
    );
  });

  test.each([
    ['empty', [], 0],
    ['in one piece', pieces(1, 5), 5],
    ['too large to be copied beside its head', pieces(1, 100_000), 100_000],
    ['in many pieces', pieces(3000, 7), 21_000],
    ['of large pieces', pieces(40, 262_144), 40 * 262_144],
  ])('with a body %s arrives whole', async (_, chunks, length) => {
    const { backend, put } = await setUp(answerWhen(isWhole, success));
    const body = createScriptedBody(length, chunks);
    await put(body);
    expect(readBody(backend.connections[0]?.received() ?? '')).toEqual({ declared: length, bodyBytes: length });
    await allReleased(body);
    expect(body.released).toBe(chunks.length);
  });

  test('of unknown length is not begun', async () => {
    const { backend, put } = await setUp(() => undefined);
    await expect(put(createScriptedBody(undefined, []))).rejects.toMatchObject({ code: 'MissingContentLength' });
    expect(backend.connections).toHaveLength(0);
  });

  test('holds no connection before its body has begun', async () => {
    const { backend, put } = await setUp(answerWhen(isWhole, success));
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const putting = put(createScriptedBody(5, [promise]));
    await new Promise((done) => setTimeout(done, 20));
    expect(backend.connections).toHaveLength(0);
    resolve(Buffer.from('hello'));
    await putting;
  });
});

describe('credentials', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('come from the environment where none are configured, and anew once they have run out', async () => {
    const expired = '<Error><Code>ExpiredToken</Code></Error>';
    const refusal = `HTTP/1.1 400 Bad Request\r\nContent-Length: ${expired.length}\r\n\r\n${expired}`;
    const { backend, put } = await setUp(
      async (connection) => {
        await answerWhen(isWhole, refusal)(connection);
        await answerWhen((received) => countRequests(received) === 2, success)(connection);
      },
      { credentials: undefined },
    );
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'first');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    vi.stubEnv('AWS_SESSION_TOKEN', 'token');
    await expect(put(createTextBody('one'))).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'second');
    await put(createTextBody('two'));
    const sent = backend.connections[0]?.received() ?? '';
    expect([...sent.matchAll(/Credential=(\w+)/g)].map(([, id]) => id)).toEqual(['first', 'second']);
    expect(sent).toContain('\r\nx-amz-security-token: token\r\n');
  });
});

describe('an answer', () => {
  test('in pieces, after interim ones, is read whole', async () => {
    const text = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`;
    const { put } = await setUp(async ({ until, socket }) => {
      await until(isWhole);
      for (const character of text) {
        socket.write(character);
        await new Promise(setImmediate);
      }
    });
    await expect(put(createTextBody('hello'))).resolves.toMatchObject({ etag: '"e"' });
  });

  test('that ends with the connection is read', async () => {
    const { put } = await setUp(async ({ until, socket }) => {
      await until(isWhole);
      socket.end('HTTP/1.0 200 OK\r\nETag: "e"\r\n\r\n');
    });
    await expect(put(createTextBody('hello'))).resolves.toMatchObject({ etag: '"e"' });
  });

  test.each([
    ['of success without an ETag', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['that is no HTTP', 'nonsense\r\n\r\n'],
  ])('%s is none', async (_, text) => {
    const { put } = await setUp(answerWhen(isWhole, text));
    await expect(put(createTextBody('hello'))).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
  });

  test.each([
    [
      'HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: 0\r\n\r\n',
    ],
    [
      'HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: 0\r\n\r\n',
    ],
  ])('%j is not followed', async (text) => {
    const { backend, put } = await setUp(answerWhen(isWhole, text));
    await expect(put(createTextBody('hello'))).rejects.toMatchObject({
      code: 'InternalError',
      retryable: false,
      cause: { bucketRegion: 'eu-west-1' },
    });
    expect(backend.connections).toHaveLength(1);
  });

  test.each([
    ['403 Forbidden', 'AccessDenied', { code: 'AccessDenied', retryable: false }],
    ['503 Slow Down', 'SlowDown', { code: 'SlowDown', retryable: true, retryAfterMs: 3000 }],
    ['400 Bad Request', 'InvalidTag', { code: 'InvalidTag', status: 400, retryable: false }],
  ])('of %s before the body is sent ends the sending', async (status, code, expected) => {
    const xml = `<Error><Code>${code}</Code><Message>words of the backend</Message></Error>`;
    const head = `HTTP/1.1 ${status}\r\nRetry-After: 3\r\nContent-Length: ${xml.length}\r\n\r\n`;
    const { backend, put } = await setUp(answerWhen(hasBody(100_000), head + xml));
    const body = createScriptedBody(1024 * mib, endless(65_536));
    const error = await failureOf(put(body));
    expect(error).toMatchObject(expected);
    expect(String(error)).not.toContain('backend');
    await allReleased(body);
    const reads = body.reads;
    await backend.connections[0]?.ended;
    expect(body.reads).toBe(reads);
  });

  test('that comes early while the client is slow is not kept waiting; the late chunk is released', async () => {
    const { put } = await setUp(answerWhen(hasBody(5), 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'));
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const body = createScriptedBody(10, [Buffer.from('hello'), promise]);
    await expect(put(body)).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    resolve(Buffer.from('world'));
    while (body.handedOut < 2) await new Promise(setImmediate);
    await allReleased(body);
  });

  test('of success before the whole body is none', async () => {
    const { put } = await setUp(answerWhen(hasBody(5), success));
    const { promise } = Promise.withResolvers<Uint8Array>();
    await expect(put(createScriptedBody(10, [Buffer.from('hello'), promise]))).rejects.toMatchObject({
      code: 'ServiceUnavailable',
    });
  });
});

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
