// An embedder with two proxies in one process, which prints what their metrics say: run as a program of its own.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createConfig, createLog, startProxy } from '../../src/index.ts';
import { freePort } from '../servers/free-port.ts';
import { scrape } from './scrape.ts';
import { sendRequest } from './send-request.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-embed-'));
const ports: number[] = [];

async function start(name: string, serverPort = 0) {
  const port = await freePort();
  ports.push(port);
  const config = createConfig({
    server: { address: `127.0.0.1:${serverPort}`, state_dir: path.join(folder, name) },
    buckets: [{ name: 'uploads', filesystem: { root: path.join(folder, name) }, auth: { enabled: false } }],
    metrics: { port },
  });
  return startProxy(config, { log: createLog({ ...config.logging, level: 'error' }) });
}

const stored = async (index: number): Promise<string> => {
  try {
    const read = await scrape(`http://127.0.0.1:${ports[index]}/metrics`);
    return String(read.sum('mizuchi_uploads_total', { operation: 'PutObject', status: 'success' }));
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
};

const first = await start('first');
const second = await start('second');
await sendRequest({ url: `http://127.0.0.1:${first.port}`, method: 'PUT', path: '/uploads/a', body: 'x' });
console.log(`first: ${await stored(0)}, second: ${await stored(1)}`);
// A program may have several ways to its end.
await Promise.all([first.stop(), first.stop()]);
console.log(`first is gone: ${await stored(0)}, second: ${await stored(1)}`);
const taken = createServer().listen(0, '127.0.0.1');
await once(taken, 'listening');
const address = taken.address();
await start('third', typeof address === 'object' && address !== null ? address.port : 0).catch(() => undefined);
console.log(`a proxy that cannot start leaves no port behind: ${await stored(2)}`);
taken.close();
// What stands where the journal of open uploads should be is found when most else has been started.
mkdirSync(path.join(folder, 'fourth'));
writeFileSync(path.join(folder, 'fourth', 'open-uploads'), '');
const fault: unknown = await start('fourth').catch((error: unknown) => error);
console.log(`nor does one whose journal cannot be opened: ${fault instanceof Error}, ${await stored(3)}`);
await second.stop();
rmSync(folder, { recursive: true });
