// Many at once: memory stays within the budget, and slow clients do not starve fast ones.
import { afterEach, expect, test } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { startMinio } from '../servers/start-minio.ts';
import { startToxiproxy } from '../servers/start-toxiproxy.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';

const MiB = 1024 * 1024;
let bucket: ProxiedBucket | undefined;
afterEach(async () => {
  await bucket?.stop();
  bucket = undefined;
});

test('64 uploads of 64 MiB at once into a slower backend: RSS within budget + 150 MiB, all objects right', async () => {
  const toxiproxy = await startToxiproxy();
  const running = await startProxiedBucket({
    start: startMinio,
    server: { limits: { memory_budget: '256MiB', queue_timeout_seconds: 600 } },
    between: async (server) => {
      const network = await toxiproxy.createProxy(server.endpoint);
      await network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: 1_500 } });
      return { endpoint: network.endpoint, stop: () => toxiproxy.stop() };
    },
  });
  bucket = running;
  const bodies = Array.from({ length: 64 }, (_, index) => createRandomBody(`body ${index}`, 64 * MiB));
  const upload = async (body: (typeof bodies)[number], index: number): Promise<number> => {
    const headers = { 'content-length': String(body.sizeBytes) };
    return (await running.put(`load/${index}`, body.chunks(), headers)).status;
  };
  expect(await Promise.all(bodies.map(upload))).toEqual(bodies.map(() => 200));
  expect(await running.proxy.peakRssBytes()).toBeLessThanOrEqual((256 + 150) * MiB);
  for (const [index, body] of bodies.entries()) {
    expect((await running.stored.readHash(`load/${index}`)).sha256).toBe(body.sha256());
  }
  await running.proxy.waitUntilIdle();
  expect(await running.stored.listOpenUploads()).toEqual([]);
});

test('48 bodies of unknown length at once into a small budget: all are stored, some after they have waited', async () => {
  const running = await startProxiedBucket({
    start: startMinio,
    server: { limits: { memory_budget: '48MiB', queue_timeout_seconds: 600 } },
    upload: { part_size: 5 * MiB },
  });
  bucket = running;
  const bodies = Array.from({ length: 48 }, (_, index) => createRandomBody(`unknown ${index}`, 12 * MiB + index));
  const upload = async (body: (typeof bodies)[number], index: number): Promise<string> => {
    const { status } = await running.put(`unknown/${index}`, body.chunks());
    return `${status} ${(await running.stored.readHash(`unknown/${index}`)).sha256}`;
  };
  expect(await Promise.all(bodies.map(upload))).toEqual(bodies.map((body) => `200 ${body.sha256()}`));
  await running.proxy.waitUntilIdle();
  expect(await running.stored.listOpenUploads()).toEqual([]);
});

test('500 clients at 8 KB/s beside 8 fast ones: the fast ones finish while the others crawl on', async () => {
  const running = await startProxiedBucket({ start: startMinio });
  bucket = running;
  const crawlers = await Promise.all(Array.from({ length: 500 }, (_, index) => openCrawler(running, index)));
  let closed = 0;
  for (const crawler of crawlers) void crawler.closed.then(() => (closed += 1));
  const piece = Buffer.alloc(1_000, 1);
  const timer = setInterval(() => {
    for (const crawler of crawlers) void crawler.write(piece);
  }, 125);
  // Long enough for a crawler to meet a server that closes what is slower than 16 KB/s.
  await delay(12_000);
  const bodies = Array.from({ length: 8 }, (_, index) => createRandomBody(`fast ${index}`, 64 * MiB));
  const upload = async (body: (typeof bodies)[number], index: number): Promise<number> => {
    const headers = { 'content-length': String(body.sizeBytes) };
    return (await running.put(`fast/${index}`, body.chunks(), headers)).status;
  };
  expect(await Promise.all(bodies.map(upload))).toEqual(bodies.map(() => 200));
  expect((await running.proxy.health()).uploads).toBe(500);
  expect(closed).toBe(0);
  expect(crawlers.map((crawler) => crawler.unread()).join('')).toBe('');
  clearInterval(timer);
  for (const crawler of crawlers) crawler.destroy();
  await running.proxy.waitUntilIdle();
  const keys = await running.stored.listKeys();
  expect(keys.toSorted()).toEqual(bodies.map((_, index) => `fast/${index}`));
  expect(await running.stored.listOpenUploads()).toEqual([]);
  const hashes = await Promise.all(keys.map(async (key) => (await running.stored.readHash(key)).sha256));
  expect(hashes).toEqual(bodies.map((body) => body.sha256()));
});

async function openCrawler(running: ProxiedBucket, index: number): Promise<RawConnection> {
  const connection = await openRawConnection(running.proxy.url);
  // Every fifth is large enough to be a multipart upload.
  const lengthBytes = index % 5 === 0 ? 100_000_000 : 8_000_000;
  const fields = ['Host: a', `Authorization: Bearer ${running.token}`, `Content-Length: ${lengthBytes}`];
  await connection.write(`PUT ${prefix}/crawl/${index} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  return connection;
}
