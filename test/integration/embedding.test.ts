// What a program that has the proxy inside may rely on: it is refused on another Node, and no proxy has another one's limits.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createConfig, createLog, startProxy, type Proxy } from '../../src/index.ts';
import { sendRequest } from '../support/send-request.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-embedding-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const start = (limits: object = {}): Promise<Proxy> => {
  const config = createConfig({
    server: { address: '127.0.0.1:0', state_dir: path.join(folder, 'state'), limits },
    buckets: [{ name: 'uploads', filesystem: { root: path.join(folder, 'data') }, auth: { enabled: false } }],
    metrics: { enabled: false },
  });
  return startProxy(config, { log: createLog({ ...config.logging, level: 'silent' }) });
};

test.each(['20.20.2', '22.17.1', '24.0.0'])('Node %s is refused', async (node) => {
  const versions = process.versions;
  Object.defineProperty(process, 'versions', { value: { ...versions, node }, configurable: true });
  try {
    await expect(start()).rejects.toThrow(`this is Node ${node}; install Node 22, 22.18 or newer`);
  } finally {
    Object.defineProperty(process, 'versions', { value: versions, configurable: true });
  }
});

test('the largest head is that of the first configuration, and a later one that wants more is refused', async () => {
  const name = 'UWS_HTTP_MAX_HEADERS_SIZE';
  // Of another program that this one was started by.
  process.env[name] = '5000';
  const first = await start({ max_header_bytes: '32KiB' });
  expect(process.env[name]).toBe('5000');
  const statusOf = async (proxy: Proxy, bytes: number) => {
    const headers = { 'x-long': 'x'.repeat(bytes) };
    return (await sendRequest({ url: `http://127.0.0.1:${proxy.port}`, method: 'GET', path: '/health', headers }))
      .status;
  };
  expect(await statusOf(first, 30_000)).toBe(200);
  const second = await start({ max_header_bytes: '16KiB' });
  expect(await statusOf(second, 10_000)).toBe(200);
  await expect(start({ max_header_bytes: '64KiB' })).rejects.toThrow(
    'server.limits.max_header_bytes cannot be 65536: the first proxy of this process has set 32768 for all; start the one with the largest first',
  );
  await Promise.all([first.stop(), second.stop()]);
});
