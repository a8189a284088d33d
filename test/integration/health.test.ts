// Whether the proxy lives, and whether its backend does: two questions with two answers.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startToxiproxy, type ToxicProxy } from '../servers/start-toxiproxy.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { sendRequest } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

let bucket: ProxiedBucket;
let network: ToxicProxy;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    between: async (server) => {
      const toxiproxy = await startToxiproxy();
      network = await toxiproxy.createProxy(server.endpoint);
      return { endpoint: network.endpoint, stop: () => toxiproxy.stop() };
    },
  });
});
afterAll(() => bucket.stop());

async function ask(route: string): Promise<[status: number, body: unknown]> {
  const { status, body } = await sendRequest({ url: bucket.proxy.url, method: 'GET', path: route });
  return [status, JSON.parse(body)];
}

test('/ready names the backend while it is away, and /health stays alive', async () => {
  expect(await ask('/ready')).toEqual([200, { status: 'ready' }]);
  await network.setEnabled(false);
  await waitFor(async () => (await ask('/ready'))[0] === 503);
  expect(await ask('/ready')).toEqual([503, { status: 'not ready', away: ['uploads'] }]);
  expect(await ask('/health')).toEqual([200, expect.objectContaining({ status: 'alive', uploads: 0 })]);
  expect(bucket.proxy.logs()).toContain('"neighbour":"uploads"');
  await network.setEnabled(true);
  await waitFor(async () => (await ask('/ready'))[0] === 200);
  expect((await bucket.put('after', 'x')).status).toBe(200);
});
