// Bytes on the wire: smuggled requests, early refusals, 100-continue, pipelines, writes of one byte.
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { createToken } from '../support/start-proxy.ts';

let bucket: ProxiedBucket;
beforeAll(async () => {
  bucket = await startProxiedBucket({ start: startMinio });
});
afterAll(() => bucket.stop());

const head = (method: string, path: string, fields: readonly string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: proxy', ...fields, '', ''].join('\r\n');
const authorization = (): string => `Authorization: Bearer ${bucket.token}`;
const open = (): Promise<RawConnection> => openRawConnection(bucket.proxy.url);

describe('smuggling', () => {
  const chunked = '5\r\nhello\r\n0\r\n\r\n';
  test.each<readonly [string, readonly string[], string]>([
    ['Transfer-Encoding and Content-Length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], chunked],
    ['Content-Length and Transfer-Encoding', ['Content-Length: 5', 'Transfer-Encoding: chunked'], chunked],
    ['two lengths that differ', ['Content-Length: 5', 'Content-Length: 6'], 'hello!'],
    ['two equal lengths', ['Content-Length: 5', 'Content-Length: 5'], 'hello'],
    ['a list of lengths', ['Content-Length: 5, 6'], 'hello!'],
    ['a sign before the length', ['Content-Length: +5'], 'hello'],
    ['two Host fields', ['Content-Length: 5', 'Host: other'], 'hello'],
    ['another transfer coding', ['Transfer-Encoding: gzip'], 'hello'],
    ['chunked that is not last', ['Transfer-Encoding: chunked, gzip'], chunked],
    ['two transfer codings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked],
  ])('%s: refused, and what follows is no request', async (_, fields, body) => {
    const request = head('PUT', `${prefix}/outer`, [authorization(), ...fields]) + body;
    const alone = await open();
    await alone.write(request);
    expect([400, 501]).toContain((await alone.readAnswer()).status);
    await alone.closed;
    expect(alone.unread()).toBe('');

    const followed = await open();
    await followed.write(request + head('PUT', `${prefix}/smuggled`, [authorization(), 'Content-Length: 1']) + 'x');
    await followed.closed;
    // The connection may be closed before even the refusal, but nothing comes after it.
    expect(followed.unread()).toMatch(/^$|^HTTP\/1\.1 (400|501) /u);
    expect(followed.unread().split('HTTP/1.1 ').length).toBeLessThanOrEqual(2);
    expect(await bucket.stored.listKeys()).toEqual([]);
  });

  test('fields that are no fields: the connection is closed', async () => {
    const faults = ['Content-Length : 1', 'Content-Length: 1\r\nX-A: b\r\n c', 'Content-Length: 1\r\nno colon'];
    const closeOne = async (fields: string): Promise<string> => {
      const connection = await open();
      await connection.write(`${head('PUT', `${prefix}/fields`, [authorization(), fields])}x`);
      await connection.closed;
      return connection.unread();
    };
    // Side by side: some are closed at once, others only when the server has waited for the rest of a head.
    for (const answer of await Promise.all(faults.map(closeOne))) expect(answer).toMatch(/^$|^HTTP\/1\.1 400 /u);
    expect(await bucket.stored.listKeys()).toEqual([]);
  });

  // uWebSockets.js reads no field behind one without a name: these requests have a body that nobody here can see.
  test.each<readonly [string, string, string, readonly string[], number]>([
    ['Content-Length', 'PUT', `${prefix}/outer`, ['Content-Length: LENGTH'], 411],
    ['Transfer-Encoding', 'PUT', `${prefix}/outer`, ['Transfer-Encoding: chunked'], 411],
    ['Content-Length', 'POST', `${prefix}/outer?acl`, ['Content-Length: LENGTH'], 501],
    ['Content-Length', 'GET', '/health', ['Content-Length: LENGTH'], 200],
    ['Content-Length', 'HEAD', prefix, ['Content-Length: LENGTH'], 200],
    ['Content-Length', 'OPTIONS', `${prefix}/outer`, ['Content-Length: LENGTH'], 405],
  ])('%s behind a field without a name, %s %s: its body is no request', async (_, method, path, hidden, status) => {
    const body = head('PUT', `${prefix}/smuggled`, [authorization(), 'Content-Length: 1']) + 'x';
    const fields = [authorization(), ': y', ...hidden.map((field) => field.replace('LENGTH', String(body.length)))];
    const apart = await open();
    await apart.write(head(method, path, fields));
    const answer = await apart.readAnswer();
    expect([answer.status, answer.headers.get('connection')]).toEqual([status, 'close']);
    await apart.write(body);
    await apart.closed;
    expect(apart.unread()).toBe('');

    const together = await open();
    await together.write(head(method, path, fields) + body);
    await together.closed;
    expect(together.unread().split('HTTP/1.1 ').length).toBeLessThanOrEqual(2);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listKeys()).toEqual([]);
  });

  test.each([
    ['a chunk size that is no number', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size beyond 64 bits', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ])('%s: nothing is stored', async (_, body) => {
    const connection = await open();
    await connection.write(head('PUT', `${prefix}/chunks`, [authorization(), 'Transfer-Encoding: chunked']) + body);
    connection.end();
    await connection.closed;
    expect(connection.unread()).not.toMatch(/^HTTP\/1\.1 2/u);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listKeys()).toEqual([]);
  });

  // uWebSockets.js skips two bytes behind a chunk, whatever they are, and ends this body after three of its five.
  test('a chunk longer than its size, of a body with a checksum: nothing is stored', async () => {
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32('hello'));
    const fields = [
      authorization(),
      'Transfer-Encoding: chunked',
      `x-amz-checksum-crc32: ${checksum.toString('base64')}`,
    ];
    const connection = await open();
    await connection.write(head('PUT', `${prefix}/chunks`, fields) + '3\r\nhello\r\n0\r\n\r\n');
    connection.end();
    await connection.closed;
    expect(connection.unread()).not.toMatch(/^HTTP\/1\.1 2/u);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listKeys()).toEqual([]);
  });

  test.each([
    ['a chunk extension', '5;name=value\r\nhello\r\n0\r\n\r\n'],
    ['a trailer', '5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n'],
    ['a trailer that looks like a request', `5\r\nhello\r\n0\r\nPUT ${prefix}/smuggled HTTP/1.1\r\nHost: a\r\n`],
  ])('%s: the upload is right or its connection is closed, and nothing else is stored', async (_, body) => {
    const connection = await open();
    const more = body.endsWith('\r\n\r\n') ? '' : `${authorization()}\r\nContent-Length: 0\r\n\r\n`;
    const request = head('PUT', `${prefix}/extended`, [authorization(), 'Transfer-Encoding: chunked']);
    await connection.write(request + body + more);
    connection.end();
    await connection.closed;
    await bucket.proxy.waitUntilIdle();
    const keys = await bucket.stored.listKeys();
    expect(keys.filter((key) => key !== 'extended')).toEqual([]);
    const contents = await Promise.all(keys.map(async (key) => (await bucket.stored.readBytes(key)).toString()));
    expect(contents).toEqual(keys.map(() => 'hello'));
    await bucket.stored.deleteObjects(keys);
  });

  test.each(['100-Continue', '200-ok', '100-continue, x'])(
    'Expect: %s, which nobody can meet: 417, and not silence',
    async (expectation) => {
      const connection = await open();
      const fields = [authorization(), 'Content-Length: 1', `Expect: ${expectation}`];
      await connection.write(head('PUT', `${prefix}/expected`, fields));
      const answer = await connection.readAnswer();
      expect([answer.status, answer.headers.get('connection')]).toEqual([417, 'close']);
      expect(answer.body).toContain('<Code>ExpectationFailed</Code>');
      await connection.closed;
      await bucket.proxy.waitUntilIdle();
      expect(await bucket.stored.listKeys()).toEqual([]);
    },
  );

  test('no Host field: 400', async () => {
    const connection = await open();
    await connection.write(`PUT ${prefix}/a HTTP/1.1\r\n${authorization()}\r\nContent-Length: 1\r\n\r\nx`);
    expect((await connection.readAnswer()).status).toBe(400);
    connection.destroy();
  });
});

describe('early refusal', () => {
  test.each([
    ['without a token', 1024 * 1024 * 1024, 401],
    ['over the largest object', 6 * 1024 ** 4, 413],
  ])('%s reaches a client that goes on sending, on a connection that has served', async (name, lengthBytes, status) => {
    const connection = await open();
    await connection.write(head('PUT', `${prefix}/served`, [authorization(), 'Content-Length: 2']) + 'ok');
    expect((await connection.readAnswer()).status).toBe(200);
    const fields = [...(status === 401 ? [] : [authorization()]), `Content-Length: ${lengthBytes}`];
    await connection.write(head('PUT', `${prefix}/refused`, fields));
    // As many clients do: first the body, then a look at the answer. A connection that was reset meanwhile has lost it.
    connection.setReading(false);
    const block = Buffer.alloc(256 * 1024, 1);
    for (let sent = 0; sent < 24 * 1024 * 1024; sent += block.length) await connection.write(block);
    connection.setReading(true);
    const answer = await connection.readAnswer();
    expect([name, answer.status]).toEqual([name, status]);
    expect(answer.body).toContain('<Error>');
    expect(Math.abs(Date.parse(answer.headers.get('date') ?? '') - Date.now())).toBeLessThan(60_000);
    connection.destroy();
    await bucket.proxy.waitUntilIdle();
  });

  test('of HEAD has no body', async () => {
    const connection = await open();
    await connection.write(head('HEAD', prefix, ['Content-Length: 10']));
    await connection.closed;
    const answer = connection.unread();
    expect(answer).toMatch(/^HTTP\/1\.1 401 /u);
    expect(answer).not.toContain('<Error>');
    connection.destroy();
  });

  test('a small refused body is drained, and the connection lives on', async () => {
    const connection = await open();
    const body = 'x'.repeat(20_000);
    await connection.write(head('PUT', `${prefix}/a`, [`Content-Length: ${body.length}`]) + body);
    expect((await connection.readAnswer()).status).toBe(401);
    await connection.write(head('PUT', `${prefix}/drained`, [authorization(), 'Content-Length: 2']) + 'ok');
    expect((await connection.readAnswer()).status).toBe(200);
    expect((await bucket.stored.readBytes('drained')).toString()).toBe('ok');
    connection.destroy();
  });
});

describe('Expect: 100-continue', () => {
  test('an upload is asked for its body and stored', async () => {
    const connection = await open();
    await connection.write(
      head('PUT', `${prefix}/continued`, [authorization(), 'Content-Length: 5', 'Expect: 100-continue']),
    );
    expect((await connection.readAnswer()).status).toBe(100);
    await connection.write('hello');
    expect((await connection.readAnswer()).status).toBe(200);
    expect((await bucket.stored.readBytes('continued')).toString()).toBe('hello');
    connection.destroy();
  });

  test('a refused one gets its refusal without sending the body', async () => {
    const connection = await open();
    await connection.write(head('PUT', `${prefix}/a`, ['Content-Length: 5000000', 'Expect: 100-continue']));
    const first = await connection.readAnswer();
    const answer = first.status === 100 ? await connection.readAnswer() : first;
    expect(answer.status).toBe(401);
    await connection.closed;
    expect(connection.unread()).toBe('');
  });
});

describe('one connection', () => {
  test('lives on after answers that have no body', async () => {
    const created = await bucket.send({ method: 'POST', path: `${prefix}/aborted?uploads` });
    const uploadId = /<UploadId>(?<id>[^<]+)</u.exec(created.body)?.groups?.['id'] ?? '';
    const connection = await open();
    const statuses: number[] = [];
    const bodies: string[] = [];
    for (const [method, path, fields] of [
      ['HEAD', '/health', []],
      ['HEAD', prefix, [authorization()]],
      ['HEAD', `${prefix}/key`, [authorization()]],
      ['HEAD', prefix, []],
      ['DELETE', `${prefix}/aborted?uploadId=${encodeURIComponent(uploadId)}`, [authorization()]],
      ['GET', '/health', []],
    ] as const) {
      await connection.write(head(method, path, [...fields, 'Content-Length: 0']));
      const { status, body } = await connection.readAnswer();
      statuses.push(status);
      if (method !== 'GET') bodies.push(body);
    }
    expect(statuses).toEqual([200, 200, 405, 401, 204, 200]);
    // What a client does not expect after a HEAD it would take for the next answer.
    expect(bodies.join('')).toBe('');
    connection.destroy();
  });

  test('many requests one after another', async () => {
    const connection = await open();
    for (let index = 0; index < 20; index++) {
      await connection.write(head('PUT', `${prefix}/serial/${index}`, [authorization(), 'Content-Length: 3']) + 'abc');
      expect((await connection.readAnswer()).status).toBe(200);
    }
    expect(await bucket.stored.listKeys('serial/')).toHaveLength(20);
    connection.destroy();
  });

  test('a pipeline: each gets its own answer in its turn, or the connection is closed before it', async () => {
    const connection = await open();
    const paths = [`${prefix}/p/0`, '/nowhere/p', `${prefix}/p/2`, `${prefix}/p/3`];
    const requests = paths.map(
      (path, index) => head('PUT', path, [authorization(), 'Content-Length: 1']) + String(index),
    );
    await connection.write(requests.join(''));
    connection.end();
    await connection.closed;
    const statuses = [...connection.unread().matchAll(/^HTTP\/1\.1 (?<status>\d+) /gmu)].map((match) => match[1]);
    expect(statuses).toEqual(['200', '404', '200', '200'].slice(0, statuses.length));
    await bucket.proxy.waitUntilIdle();
    const keys = await bucket.stored.listKeys('p/');
    const contents = await Promise.all(keys.map(async (key) => `p/${(await bucket.stored.readBytes(key)).toString()}`));
    expect(contents).toEqual(keys);
  });

  test('a request written byte by byte', async () => {
    const connection = await open();
    // Not so its first line: uWebSockets.js answers 505 to one that is cut within its " HTTP/1.1".
    const [line = '', ...rest] = head('PUT', `${prefix}/bytewise`, [
      authorization(),
      'Transfer-Encoding: chunked',
    ]).split('\r\n');
    await connection.write(`${line}\r\n`);
    const text = rest.join('\r\n') + '5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n';
    for (const byte of Buffer.from(text)) {
      await connection.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await connection.readAnswer()).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes('bytewise')).toString()).toBe('hello, world');
    connection.destroy();
  });
});

describe('the request head', () => {
  test('may be longer than 4 KiB, up to the limit of 16 KiB', async () => {
    const token = await createToken({ sub: 'long', filler: 'f'.repeat(8_000) });
    const answer = await bucket.send({
      method: 'PUT',
      path: `${prefix}/long-head`,
      headers: { authorization: `Bearer ${token}` },
      body: 'x',
    });
    expect(answer).toMatchObject({ status: 200, body: '' });
  });

  test('over the limit: 431, nothing stored', async () => {
    const connection = await open();
    await connection.write(
      head('PUT', `${prefix}/too-long`, [authorization(), `X-Filler: ${'f'.repeat(40_000)}`, 'Content-Length: 1']) +
        'x',
    );
    await connection.closed;
    expect(connection.unread()).toMatch(/^(HTTP\/1\.1 431 |$)/u);
    expect(await bucket.stored.listKeys('too-long')).toEqual([]);
  });
});
