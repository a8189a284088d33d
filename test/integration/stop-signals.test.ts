// A stop signal that comes more than once, as Ctrl-C does: from the terminal, passed on by npm, passed on by the supervisor.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { sendRequest } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-signals-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Uploading {
  readonly running: RunningProcess;
  readonly connection: RawConnection;
}

/** A proxy, the first of a process group of its own, in the middle of an upload. */
async function startUploading(workers: number): Promise<Uploading> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = path.join(folder, 'config.yaml');
  const config = {
    server: { address: `127.0.0.1:${port}`, state_dir: path.join(folder, 'state'), workers },
    metrics: { enabled: false },
    logging: { format: 'json' },
    buckets: [{ name: 'uploads', filesystem: { root: path.join(folder, 'data') }, auth: { enabled: false } }],
  };
  await writeFile(file, stringify(config));
  const entry = path.resolve(import.meta.dirname, '../../src/cli.ts');
  const args = [process.execPath, entry, '--config', file];
  const running = startProcess({ command: 'setsid', args, env: { HOME: folder }, cwd: folder, folder });
  await waitUntilReady(running, async () => running.output().split('"listening"').length > workers);
  const connection = await openRawConnection(url);
  await connection.write('PUT /uploads/key HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  await waitFor(async () => {
    const { body } = await sendRequest({ url, method: 'GET', path: '/health' });
    return (JSON.parse(body) as { uploads: number }).uploads > 0;
  });
  return { running, connection };
}

describe.each([1, 2])('%i processes', (workers) => {
  test('Ctrl-C, which all of them get and which is passed on besides, lets an upload finish', async () => {
    const { running, connection } = await startUploading(workers);
    process.kill(-running.pid, 'SIGINT');
    await sleep(100);
    // As npm does.
    process.kill(running.pid, 'SIGINT');
    await waitFor(async () => running.output().includes('"stopping"'));
    await connection.write('world');
    expect((await connection.readAnswer()).status).toBe(200);
    expect(await running.ended).toEqual({ code: 0, signal: null });
  });

  test('a second Ctrl-C means now, and is a failure', async () => {
    const { running, connection } = await startUploading(workers);
    process.kill(-running.pid, 'SIGINT');
    await sleep(1500);
    process.kill(-running.pid, 'SIGINT');
    expect(await running.ended).toEqual({ code: 1, signal: null });
    await connection.closed;
    expect(connection.unread()).toBe('');
  });
});
