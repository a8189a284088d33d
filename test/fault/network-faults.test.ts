// A bad network between proxy and backend, by toxiproxy: slow, cut into small pieces, half-open, gone.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startToxiproxy, type Toxic, type ToxicProxy } from '../servers/start-toxiproxy.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody, type RandomBody } from '../support/random-body.ts';
import { waitUntilOpened } from '../support/scrape.ts';
import type { Answer } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
let network: ToxicProxy;
let bucket: ProxiedBucket;
let keyCount = 0;
let key: string;
beforeAll(async () => {
  const toxiproxy = await startToxiproxy();
  bucket = await startProxiedBucket({
    start: startMinio,
    between: async (server) => {
      network = await toxiproxy.createProxy(server.endpoint);
      return { endpoint: network.endpoint, stop: () => toxiproxy.stop() };
    },
    timeouts: { connect_seconds: 2, idle_seconds: 2 },
    upload: {
      multipart_threshold: 5 * MiB,
      part_size: 5 * MiB,
      retry: { max_attempts: 3, base_delay_ms: 10, max_delay_ms: 50 },
    },
  });
});
afterAll(() => bucket.stop());
beforeEach(() => {
  keyCount += 1;
  key = `object-${keyCount}`;
});
afterEach(async () => {
  await bucket.proxy.waitUntilIdle(30_000);
  expect(await bucket.stored.listOpenUploads()).toEqual([]);
});

const upload = (body: RandomBody): Promise<Answer> =>
  bucket.put(key, body.chunks(), { 'content-length': String(body.sizeBytes) });
const sizes = [1000, 17 * MiB];

test.each<readonly [string, Toxic]>([
  ['latency', { type: 'latency', stream: 'downstream', attributes: { latency: 150, jitter: 50 } }],
  ['little bandwidth', { type: 'bandwidth', stream: 'upstream', attributes: { rate: 4_000 } }],
  [
    'answers in small pieces',
    { type: 'slicer', stream: 'downstream', attributes: { average_size: 3, size_variation: 2 } },
  ],
])('%s: all is right', async (_, toxic) => {
  const added = await network.addToxic(toxic);
  for (const sizeBytes of sizes) {
    key = `right/${toxic.type}/${sizeBytes}`;
    const body = createRandomBody(key, sizeBytes);
    expect(await upload(body)).toMatchObject({ status: 200, body: '' });
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: body.sha256(), size: sizeBytes });
  }
  await added.remove();
});

test.each<readonly [string, Toxic]>([
  ['half-open: nothing comes back', { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } }],
  ['half-open: nothing arrives', { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } }],
  ['reset', { type: 'reset_peer', stream: 'downstream', attributes: { timeout: 20 } }],
  ['cut after some bytes', { type: 'limit_data', stream: 'upstream', attributes: { bytes: 600 } }],
])('%s: one clear error, nothing left, then right again', async (_, toxic) => {
  const expectFailed = async (answer: Promise<Answer>): Promise<void> => {
    expect([500, 503]).toContain((await answer).status);
    expect((await answer).body).toMatch(/<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
  };
  // Slow, so that it is still under way when the network fails.
  const slow = await network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: 3_000 } });
  const underWay = upload(createRandomBody('lost', 60 * MiB));
  await waitUntilOpened(bucket.proxy.metricsUrl, 1);
  const added = await network.addToxic(toxic);
  await expectFailed(underWay);
  expect(await bucket.stored.listKeys(key)).toEqual([]);
  // This one may be stored all the same, where only its answer is lost.
  await expectFailed(upload(createRandomBody('lost', 1000)));
  await added.remove();
  await slow.remove();
  await expectAborted();
  expect((await upload(createRandomBody('again', 17 * MiB))).status).toBe(200);
});

test('gone and back in the middle of a multipart upload: its client is told, nothing is left', async () => {
  const slow = await network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: 3_000 } });
  const answer = upload(createRandomBody('gone', 60 * MiB));
  await waitUntilOpened(bucket.proxy.metricsUrl, 1);
  await network.setEnabled(false);
  expect((await answer).body).toMatch(/<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
  await slow.remove();
  await network.setEnabled(true);
  await expectAborted();
  expect(await bucket.stored.listKeys(key)).toEqual([]);
});

/** The first aborts may have met the fault too: they are repeated in the background. */
const expectAborted = (): Promise<void> =>
  waitFor(async () => (await bucket.stored.listOpenUploads()).length === 0, 60_000);
