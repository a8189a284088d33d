// An embedder with a logger of its own, which prints what the proxy tells it and goes on when it fails: run as a program of its own.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { createConfig, startProxy } from '../../src/index.ts';
import { sendRequest } from './send-request.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-embed-'));
const root = path.join(folder, 'data');
const config = createConfig({
  server: { address: '127.0.0.1:0', state_dir: path.join(folder, 'state') },
  buckets: [{ name: 'uploads', filesystem: { root }, auth: { enabled: false } }],
  metrics: { enabled: false },
  logging: { keys: 'hashed' },
});
let isBroken = false;
const log = pino({
  base: { program: 'embedder' },
  mixin() {
    if (isBroken) throw new Error('the embedder’s log is broken');
    return {};
  },
});
const proxy = await startProxy(config, { log });
const put = async (key: string): Promise<number> =>
  (await sendRequest({ url: `http://127.0.0.1:${proxy.port}`, method: 'PUT', path: `/uploads/${key}`, body: 'x' }))
    .status;

await put('a');
// A plain file stands where the folder of the next bucket should be.
rmSync(root, { recursive: true });
mkdirSync(root);
writeFileSync(path.join(root, 'uploads'), '');
await put('planted-key');
rmSync(root, { recursive: true });
isBroken = true;
console.log(`with a broken log: ${await put('b')}`);
await proxy.stop();
rmSync(folder, { recursive: true });
