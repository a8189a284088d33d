// Clients that vanish, stall, crawl, or send another number of bytes than they said.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { startMinio } from '../servers/start-minio.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomNumbers } from '../support/random-body.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';

const MiB = 1024 * 1024;
let bucket: ProxiedBucket;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    upload: { multipart_threshold: 6 * MiB, part_size: 5 * MiB },
  });
});
afterAll(() => bucket.stop());

async function begin(key: string, framing: string): Promise<RawConnection> {
  const connection = await openRawConnection(bucket.proxy.url);
  await connection.write(
    `PUT ${prefix}/${key} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${bucket.token}\r\n${framing}\r\n\r\n`,
  );
  return connection;
}

const inChunks = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

describe('nothing is left of an upload', () => {
  const expectNothing = async (): Promise<void> => {
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listKeys('gone/')).toEqual([]);
    expect(await bucket.stored.listOpenUploads()).toEqual([]);
  };

  const firstSeed = Date.now() % 1_000_000;
  const seeds = Array.from({ length: 24 }, (_, index) => firstSeed + index);
  test.each(seeds)('whose client vanishes at a random byte (seed %i)', async (seed) => {
    const random = createRandomNumbers(String(seed));
    const lengthBytes = [100, 70_000, 3 * MiB, 18 * MiB][random(4)] ?? 0;
    const sentBytes = random(lengthBytes);
    const isChunked = random(3) === 0;
    const isReset = random(2) === 0;
    const connection = await begin(
      `gone/${seed}`,
      isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${lengthBytes}`,
    );
    const bytes = Buffer.alloc(sentBytes, seed);
    await connection.write(isChunked && sentBytes > 0 ? inChunks(bytes) : bytes);
    // Half of them vanish while their bytes are still on the way.
    if (random(2) === 0) await delay(random(200));
    connection.destroy(isReset);
    await expectNothing();
  });

  test('whose client vanishes before the last byte of many at once', async () => {
    const vanish = async (index: number): Promise<void> => {
      const connection = await begin(`gone/many-${index}`, `Content-Length: ${2 * MiB}`);
      await connection.write(Buffer.alloc(2 * MiB - 1, index));
      await delay(100);
      connection.destroy(index % 2 === 0);
    };
    await Promise.all(Array.from({ length: 40 }, (_, index) => vanish(index)));
    await expectNothing();
  });

  test.each([
    ['one PUT', 1000, 999],
    ['several parts', 12 * MiB, 11 * MiB],
  ])('whose client sends too little and closes its side (%s)', async (_, lengthBytes, sentBytes) => {
    const connection = await begin('gone/short', `Content-Length: ${lengthBytes}`);
    await connection.write(Buffer.alloc(sentBytes));
    connection.end();
    await connection.closed;
    expect(connection.unread()).toMatch(/^$|^HTTP\/1\.1 400 /u);
    await expectNothing();
  });

  test.each([
    ['in a chunk', '10\r\nhalf'],
    ['between chunks', '4\r\nhalf\r\n'],
    ['in the size of a chunk', '4\r\nhalf\r\n1'],
  ])('whose chunked body ends %s', async (_, text) => {
    const connection = await begin('gone/chunked', 'Transfer-Encoding: chunked');
    await connection.write(text);
    await delay(50);
    connection.end();
    await connection.closed;
    expect(connection.unread()).toMatch(/^$|^HTTP\/1\.1 400 /u);
    await expectNothing();
  });
});

describe('an upload is right all the same', () => {
  const read = async (key: string): Promise<string> => (await bucket.stored.readBytes(key)).toString();

  // Side by side, because each is mostly waiting.
  test.concurrent('when its client is silent for 15 s in the middle', async () => {
    const connection = await begin('stalled', `Content-Length: ${7 * MiB}`);
    await connection.write(Buffer.alloc(6 * MiB, 's'));
    await delay(15_000);
    await connection.write(Buffer.alloc(MiB, 's'));
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
    expect((await bucket.stored.readBytes('stalled')).equals(Buffer.alloc(7 * MiB, 's'))).toBe(true);
  });

  test.concurrent('when its client is silent for 15 s before the first byte', async () => {
    const connection = await begin('late', 'Content-Length: 4');
    await delay(15_000);
    await connection.write('late');
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
    expect(await read('late')).toBe('late');
  });

  test.concurrent.each([
    ['a known length', 'known', 'Content-Length: 20'],
    ['an unknown length', 'unknown', 'Transfer-Encoding: chunked'],
  ])('when its client sends one byte a second, %s', async (_, name, framing) => {
    const connection = await begin(`crawl-${name}`, framing);
    const isChunked = name === 'unknown';
    for (const byte of 'abcdefghijklmnopqrst') {
      await connection.write(isChunked ? `1\r\n${byte}\r\n` : byte);
      await delay(1_000);
    }
    if (isChunked) await connection.write('0\r\n\r\n');
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
    expect(await read(`crawl-${name}`)).toBe('abcdefghijklmnopqrst');
  });

  test('when its client writes single bytes', async () => {
    const connection = await begin('single-bytes', 'Content-Length: 20000');
    for (let index = 0; index < 20_000; index++) {
      await connection.write('y');
    }
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
    expect(await read('single-bytes')).toBe('y'.repeat(20_000));
  });

  test('when its client sends more than it said: the rest is no part of it', async () => {
    const connection = await begin('too-much', 'Content-Length: 5');
    await connection.write('hello, and more than was said');
    connection.end();
    await connection.closed;
    // The rest is read as a second request, for whose fault the connection may be closed before the first is answered.
    expect(connection.unread()).toMatch(/^$|^HTTP\/1\.1 (200|400|505) /u);
    await bucket.proxy.waitUntilIdle();
    const stored = await bucket.stored.listKeys('too-much');
    expect(await Promise.all(stored.map(read))).toEqual(stored.map(() => 'hello'));
  });
});
