// The path that each body takes to a backend, and what its answer means.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { countRequests, isWhole, readBody, success } from './raw-backend.ts';
import { createScriptedBody, createTextBody } from './scripted-body.ts';
import {
  allReleased,
  answerWhen,
  cleanUp,
  endless,
  failureOf,
  hasBody,
  mib,
  never,
  object,
  setUp,
} from './put-to-backend.ts';

afterEach(cleanUp);

const pieces = (count: number, bytes: number): Uint8Array[] =>
  Array.from({ length: count }, () => Buffer.alloc(bytes, 97));

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
    ['of success with an empty one', 'HTTP/1.1 200 OK\r\nETag:\r\nContent-Length: 0\r\n\r\n'],
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
