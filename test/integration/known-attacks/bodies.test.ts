// Attacks with bodies that are too large, lie about their length, or never come: bounded in bytes and in time, and nothing
// is stored.
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { answeredCode } from '../../support/answered-code.ts';
import { alice, startAttackedBuckets, ways, type AttackedBuckets } from '../../support/attacked-buckets.ts';
import { openRawConnection, type RawConnection } from '../../support/raw-connection.ts';
import { sendRequest, type Answer } from '../../support/send-request.ts';
import { payloadModes, signS3Request, type PayloadMode } from '../../support/sign-s3-request.ts';
import { createToken } from '../../support/start-proxy.ts';

const mib = 1024 * 1024;
const maxObjectBytes = mib;
const idleSeconds = 2;
/** The server's own patience with heads is ten seconds. */
const mostSeconds = 20;
let buckets: AttackedBuckets;
let authorization: string;
beforeAll(async () => {
  buckets = await startAttackedBuckets({
    settings: { upload: { max_object_size: maxObjectBytes } },
    server: { limits: { idle_timeout_seconds: idleSeconds } },
  });
  authorization = `Authorization: Bearer ${await createToken()}`;
});
afterAll(() => buckets.stop());

async function open(method: string, target: string, fields: readonly string[]): Promise<RawConnection> {
  const connection = await openRawConnection(buckets.proxy.url);
  await connection.write([`${method} ${target} HTTP/1.1`, 'Host: a', authorization, ...fields, '', ''].join('\r\n'));
  return connection;
}

/** Writes the block again and again until the server has had enough. @returns what it took, kernel's buffers included. */
async function writeEndlessly(connection: RawConnection, block: Uint8Array, most: number): Promise<number> {
  const closed = new AbortController();
  void connection.closed.then(() => closed.abort());
  let written = 0;
  for (; written < most && !closed.signal.aborted; written += block.length) {
    await connection.write(block);
    // Otherwise what the server has done is not seen as long as there is room for more.
    await immediate();
  }
  return written;
}

const unsigned = (decodedLength: string): string[] => [
  'x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  `x-amz-decoded-content-length: ${decodedLength}`,
  'x-amz-trailer: x-amz-checksum-crc32',
];
const trailer = 'x-amz-checksum-crc32:NhCmhg==\r\n\r\n';

/** Sends five bytes in framing that is signed for `length`. */
async function sendSignedFor(length: number, mode: PayloadMode): Promise<Answer> {
  const { host } = new URL(buckets.proxy.url);
  const request = { credential: alice, method: 'PUT', host, path: '/signed/framed', mode };
  const { body } = signS3Request({ ...request, body: Buffer.from('hello') });
  const { headers } = signS3Request({ ...request, body: Buffer.alloc(length) });
  const sent = { ...headers, 'content-length': String(body.length) };
  return sendRequest({ ...request, url: buckets.proxy.url, headers: sent, body });
}
const framedModes = payloadModes.filter((mode) => mode.startsWith('STREAMING-'));

describe('sizes', () => {
  afterEach(async () => {
    await buckets.proxy.waitUntilIdle();
    for (const stored of Object.values(buckets.stored)) {
      expect(await stored.listKeys()).toEqual([]);
      expect(await stored.listOpenUploads()).toEqual([]);
    }
    buckets.takeAsked();
  });

  test.each(ways)('one byte too many in $bucket, by $credential: 413', async ({ bucket, credential }) => {
    const body = Buffer.alloc(maxObjectBytes + 1);
    for (const query of ['', 'partNumber=1&uploadId=x']) {
      const answer = await buckets.send(credential, { method: 'PUT', path: `/${bucket}/large`, query, body });
      expect([answer.status, answeredCode(answer)]).toEqual([413, 'EntityTooLarge']);
    }
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('by Content-Length: refused before a byte of it has come', async () => {
    for (const length of [maxObjectBytes + 1, 10 ** 12, 999_999_999_999_999]) {
      for (const target of ['/tokens/large', '/mixed/large?partNumber=1&uploadId=x']) {
        const connection = await open('PUT', target, [`Content-Length: ${length}`]);
        expect((await connection.readAnswer()).status).toBe(413);
        connection.destroy();
      }
    }
    expect(buckets.takeAsked()).toEqual([]);
  });

  test.each([
    ['an object', 'PUT', '/tokens/endless', 413],
    // It is read while it comes, and this is no XML.
    ['the list of parts', 'POST', '/tokens/endless?uploadId=x', 400],
    ['what is refused anyhow', 'PUT', '/nowhere/endless', 404],
  ])('without an end (%s): the answer comes, and the connection is closed', async (_, method, target, status) => {
    const connection = await open(method, target, ['Transfer-Encoding: chunked']);
    const block = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, '<'), Buffer.from('\r\n')]);
    const most = 256 * mib;
    expect(await writeEndlessly(connection, block, most)).toBeLessThan(most / 2);
    expect(connection.unread()).toMatch(new RegExp(`^HTTP/1.1 ${status} `, 'u'));
    expect(buckets.takeAsked().filter(({ method: asked }) => asked !== 'DELETE')).toEqual([]);
  });

  test.each<readonly [string, string, string, number]>([
    ['too low', '3', `5\r\nhello\r\n0\r\n${trailer}`, 400],
    ['too low, by many chunks', '5', `5\r\nhello\r\n1\r\n!\r\n0\r\n${trailer}`, 400],
    ['over the most that is allowed', String(maxObjectBytes + 1), `5\r\nhello\r\n0\r\n${trailer}`, 413],
    ['beyond every number', '9'.repeat(40), `5\r\nhello\r\n0\r\n${trailer}`, 400],
    ['negative', '-5', `5\r\nhello\r\n0\r\n${trailer}`, 400],
    ['no number', '0x5', `5\r\nhello\r\n0\r\n${trailer}`, 400],
    ['that of another chunk', '5', `fffffffffffffff\r\nhello\r\n0\r\n${trailer}`, 400],
  ])('a decoded length that is %s', async (_, decodedLength, body, status) => {
    for (const framing of [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked']) {
      const connection = await open('PUT', '/mixed/framed', [framing, ...unsigned(decodedLength)]);
      const isChunked = framing.startsWith('T');
      await connection.write(isChunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body);
      expect((await connection.readAnswer()).status).toBe(status);
      connection.destroy();
    }
  });

  test.each(framedModes)('%s, signed for less than comes', async (mode) => {
    expect((await sendSignedFor(3, mode)).status).toBe(400);
  });

  test.each([
    ['a size line', (block: string) => block],
    ['a chunk extension', (block: string) => `5;chunk-signature=${block}`],
    ['the trailer', (block: string) => `5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${block}`],
    ['many trailers', () => `5\r\nhello\r\n0\r\n${'a:b\r\n'.repeat(20_000)}`],
    ['empty lines', () => `5\r\nhello\r\n0\r\n${'\r\n'.repeat(50_000)}`],
  ])('framing without an end (%s)', async (_, text) => {
    const fields = [`Content-Length: ${10 ** 12}`, ...unsigned('5')];
    const connection = await open('PUT', '/mixed/framed', fields);
    await connection.write(text('0'.repeat(65_536)));
    const answer = await connection.readAnswer();
    expect([answer.status, answeredCode(answer)]).toEqual([400, 'InvalidRequest']);
    connection.destroy();
  });

  test.each<readonly [string, string]>([
    [
      '10,001 parts',
      Array.from({ length: 10_001 }, (_, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>"a"</ETag></Part>`).join(
        '',
      ),
    ],
    ['deep nesting', '<Part>'.repeat(100_000)],
    ['a long name', `<${'a'.repeat(1_000_000)}>`],
    [
      'many attributes',
      `<Part ${Array.from({ length: 50_000 }, (_, index) => `a${index}="b"`).join(' ')}><PartNumber>1</PartNumber><ETag>"a"</ETag></Part>`,
    ],
  ])('a list of parts with %s', async (_, content) => {
    const body = `<CompleteMultipartUpload>${content}</CompleteMultipartUpload>`;
    const startedAt = performance.now();
    const answer = await buckets.send('token', { method: 'POST', path: '/tokens/k', query: 'uploadId=x', body });
    expect([answer.status, answeredCode(answer)]).toEqual([400, 'MalformedXML']);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('a list of parts with entities', async () => {
    const entities = Array.from({ length: 12 }, (_, n) => `<!ENTITY e${n + 1} "${`&e${n};`.repeat(10)}">`).join('');
    for (const doctype of [
      `<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">${entities}]>`,
      '<!DOCTYPE x [<!ENTITY e12 SYSTEM "file:///etc/passwd">]>',
      '<!DOCTYPE x [<!ENTITY e12 "harmless">]>',
    ]) {
      const body = `${doctype}<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&e12;</ETag></Part></CompleteMultipartUpload>`;
      const answer = await buckets.send('token', { method: 'POST', path: '/tokens/k', query: 'uploadId=x', body });
      expect([answer.status, answeredCode(answer)]).toEqual([400, 'MalformedXML']);
      expect(answer.body).not.toContain('root:');
    }
    expect(buckets.takeAsked()).toEqual([]);
  });
});

describe('slowness', () => {
  const started = (method: string, target: string, ...fields: string[]): string =>
    [`${method} ${target} HTTP/1.1`, 'Host: a', authorization, ...fields].join('\r\n');

  test('heads and bodies that do not come: every connection is closed in time, and other uploads go on', async () => {
    const body = started('PUT', '/tokens/slow', 'Content-Length: 1000');
    /** What is sent at once, and what follows byte by byte. */
    const kinds: Readonly<Record<string, readonly [atOnce: string, slowly: string]>> = {
      'nothing at all': ['', ''],
      'half a head': [body, ''],
      'a head, byte by byte': ['', `${body}\r\n${'X-Filler: yes\r\n'.repeat(100)}\r\n`],
      'endless fields, byte by byte': [`${body}\r\n`, 'X-Filler: yes\r\n'.repeat(100)],
      'a head without a body': [`${body}\r\n\r\n`, ''],
      'a body that falls silent': [`${body}\r\n\r\n0123456789`, ''],
      'a chunked body that falls silent': [
        `${started('PUT', '/mixed/slow', 'Transfer-Encoding: chunked')}\r\n\r\n5\r\nhel`,
        '',
      ],
      'a list of parts that falls silent': [
        `${started('POST', '/mixed/slow?uploadId=x', 'Content-Length: 1000')}\r\n\r\n<Complete`,
        '',
      ],
      'a part that falls silent': [
        `${started('PUT', '/mixed/slow?partNumber=1&uploadId=x', 'Content-Length: 1000')}\r\n\r\n0`,
        '',
      ],
      'a refused body that falls silent': ['PUT /tokens/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n0', ''],
      'an answered request and nothing more': ['GET /health HTTP/1.1\r\nHost: a\r\n\r\n', ''],
    };
    const startedAt = performance.now();
    const seconds = (): number => (performance.now() - startedAt) / 1000;
    const closedAfter = new Map<string, number>();
    const slow = Object.entries(kinds).flatMap(([kind, [atOnce, slowly]]) =>
      Array.from({ length: 10 }, async () => {
        const connection = await openRawConnection(buckets.proxy.url);
        const closed = new AbortController();
        void connection.closed.then(() => closed.abort());
        await connection.write(atOnce);
        for (const byte of slowly) {
          if (closed.signal.aborted || seconds() > mostSeconds) break;
          await connection.write(byte);
          await delay(200);
        }
        await Promise.race([connection.closed, delay(mostSeconds * 1000, undefined, { ref: false })]);
        connection.destroy();
        closedAfter.set(kind, Math.max(closedAfter.get(kind) ?? 0, seconds()));
      }),
    );
    const over = new AbortController();
    const allClosed = Promise.all(slow).then(() => over.abort());
    let slowestMs = 0;
    while (!over.signal.aborted) {
      const sentAt = performance.now();
      const answer = await buckets.send('token', { method: 'PUT', path: '/tokens/other', body: Buffer.alloc(100_000) });
      expect(answer.status).toBe(200);
      slowestMs = Math.max(slowestMs, performance.now() - sentAt);
      await delay(100);
    }
    await allClosed;
    expect(slowestMs).toBeLessThan(3000);
    expect([...closedAfter].filter(([, after]) => after >= mostSeconds)).toEqual([]);
    await buckets.proxy.waitUntilIdle();
    expect(await buckets.stored.tokens.listKeys()).toEqual(['other']);
    expect(await buckets.stored.mixed.listKeys()).toEqual([]);
  });
});

describe('framing that ends too early: nothing is stored, and the memory of what has come is given back', () => {
  afterEach(async () => {
    await buckets.proxy.waitUntilIdle();
    for (const stored of Object.values(buckets.stored)) expect(await stored.listKeys('framed')).toEqual([]);
  });

  test.each(framedModes)('%s, signed for more than comes', async (mode) => {
    expect([400, 403]).toContain((await sendSignedFor(50, mode)).status);
  });

  test('a decoded length that is too high', async () => {
    for (let turn = 0; turn < 20; turn++) {
      const body = `5\r\nhello\r\n0\r\n${trailer}`;
      const connection = await open('PUT', '/mixed/framed', [`Content-Length: ${body.length}`, ...unsigned('50')]);
      await connection.write(body);
      const answer = await connection.readAnswer();
      expect([answer.status, answeredCode(answer)]).toEqual([400, 'IncompleteBody']);
      connection.destroy();
    }
  });
});
