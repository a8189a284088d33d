// Whoever reads the log stands still, and the pipe is full: uploads go on, and the process can be ended.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { sendRequest } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: string;
let child: ChildProcess | undefined;
/** Of the test: the pipe has a reader, so that writing to it does not fail, but nothing is ever read. */
let reading: number;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-stalled-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  closeSync(reading);
  await rm(folder, { recursive: true, force: true });
});

/** @param nodeOptions of the process that is started. */
async function startStalled(workers: number, nodeOptions = ''): Promise<ChildProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = path.join(folder, 'config.yaml');
  const config = {
    server: { address: `127.0.0.1:${port}`, state_dir: path.join(folder, 'state'), workers },
    metrics: { enabled: false },
    logging: { format: 'json', audit: { enabled: true } },
    buckets: [{ name: 'uploads', filesystem: { root: path.join(folder, 'data') }, auth: { enabled: false } }],
  };
  await writeFile(file, stringify(config));
  const fifo = path.join(folder, 'log');
  execFileSync('mkfifo', [fifo]);
  reading = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writing = openSync(fifo, 'w');
  const entry = path.resolve(import.meta.dirname, '../../src/cli.ts');
  child = spawn(process.execPath, [entry, '--config', file], {
    stdio: ['ignore', writing, 'ignore'],
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, NODE_OPTIONS: nodeOptions },
  });
  closeSync(writing);
  const isReady = () => sendRequest({ url, method: 'GET', path: '/health' }).then(({ status }) => status === 200);
  await waitFor(() => isReady().catch(() => false));
  // The lines of these fill the pipe several times.
  for (let n = 0; n < 600; n += 10) {
    const put = (i: number) => sendRequest({ url, method: 'PUT', path: `/uploads/key-${n + i}`, body: 'hello' });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => put(i)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  }
  // Lines that were gathered are on their way too.
  await sleep(500);
  return child;
}

async function endOf(started: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const ended = once(started, 'exit');
  started.kill(signal);
  // The two seconds that a reader is given, and what a busy machine takes.
  return Promise.race([ended, sleep(15_000, 'still there', { ref: false })]);
}

describe.each([1, 2])('%i processes', (workers) => {
  test('SIGTERM ends them', async () => {
    expect(await endOf(await startStalled(workers), 'SIGTERM')).toEqual([0, null]);
  });
});

test('an unforeseen fault ends the process', async () => {
  const fault = 'process.on("SIGWINCH",()=>{throw(new(Error)("unforeseen"))})';
  const started = await startStalled(1, `--import=data:text/javascript,${encodeURIComponent(fault)}`);
  expect(await endOf(started, 'SIGWINCH')).toEqual([1, null]);
});
