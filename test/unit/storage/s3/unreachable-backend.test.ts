// A backend that takes no more connections: its process hangs, and the kernel's queue of those that it should accept is full.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { createS3Storage } from '../../../../src/storage/s3/s3-storage.ts';
import { suspendProcess } from '../../../servers/suspend-process.ts';
import { createTextBody } from './scripted-body.ts';

const never = new AbortController().signal;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function startHanging(): Promise<number> {
  const script = `const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(String(server.address().port)));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanups.push(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  suspendProcess(child.pid ?? 0);
  const port = Number(said);
  const isConnected = Array.from({ length: 4 }, () => {
    const socket = connect({ port, host: '127.0.0.1' });
    cleanups.push(() => socket.destroy());
    return Promise.race([once(socket, 'connect').then(() => true), delay(200).then(() => false)]);
  });
  expect(await Promise.all(isConnected)).toContain(false);
  return port;
}

test('is given up after connect_seconds, by a PUT and by a control call', { timeout: 10_000 }, async () => {
  const port = await startHanging();
  const storage = createS3Storage({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs: 200, idleMs: 0, totalMs: 0 },
    keepsEmptySegments: true,
  });
  cleanups.push(() => storage.close());
  const object = { bucket: 'bucket', key: 'k' };
  for (const call of [
    storage.putObject(object, new Map(), createTextBody('body'), never),
    storage.createMultipartUpload(object, new Map(), never),
  ])
    await expect(call).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
});
