// Several processes on one port: all of them serve, one that is killed is replaced, and a stop signal ends all of them.
import { chmod, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const auth = { jwt: { algorithm: 'HS256', secret: jwtSecret } };

/**
 * By proc(5): the fourth field of /proc/PID/stat is the parent; the name before it is in brackets and may hold spaces. The
 * test's own watcher is a child too, so only those count that run the proxy.
 */
async function workersOf(pid: number): Promise<number[]> {
  const all = (await readdir('/proc')).filter((name) => /^\d+$/u.test(name));
  const isWorker = await Promise.all(
    all.map(async (name) => {
      const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
      const command = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '');
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return Number(parent) === pid && command.startsWith(process.execPath);
    }),
  );
  return all.map(Number).filter((_, index) => isWorker[index]);
}

test('workers share the port, are replaced, and stop together', async () => {
  const proxy = await startProxy({
    config: { server: { workers: 2 }, buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }] },
  });
  await waitFor(async () => (await workersOf(proxy.pid)).length === 2);
  const [killed] = await workersOf(proxy.pid);
  process.kill(killed!, 'SIGKILL');
  await waitFor(async () => {
    const children = await workersOf(proxy.pid);
    return children.length === 2 && !children.includes(killed!);
  });
  const token = await createToken();
  const names = Array.from({ length: 20 }, (_, index) => `object-${index}`);
  const statuses = await Promise.all(
    names.map(async (name) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await sendRequest({ url: proxy.url, method: 'PUT', path: `/uploads/${name}`, headers, body: name }))
        .status;
    }),
  );
  expect(statuses).toEqual(names.map(() => 200));
  for (const name of names) {
    expect(await readFile(path.join(proxy.folder, 'data', 'uploads', name), 'utf8')).toBe(name);
  }
  const children = await workersOf(proxy.pid);
  proxy.terminate();
  expect(await proxy.ended).toEqual({ code: 0, signal: null });
  const left = (await readdir('/proc')).map(Number).filter((pid) => children.includes(pid));
  expect(left).toEqual([]);
  await proxy.stop();
});

test('a stop signal that comes before a worker has been replaced ends all of them', async () => {
  const proxy = await startProxy({
    config: { server: { workers: 2 }, buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }] },
  });
  await waitFor(async () => (await workersOf(proxy.pid)).length === 2);
  const [killed] = await workersOf(proxy.pid);
  process.kill(killed!, 'SIGKILL');
  await waitFor(async () => proxy.logs().includes('a worker ended; starting another'));
  proxy.terminate();
  expect(await proxy.ended).toEqual({ code: 0, signal: null });
  await proxy.stop();
});

test('a supervisor whose workers no longer start says that it gives up', async () => {
  const proxy = await startProxy({
    config: { server: { workers: 2 }, buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }] },
  });
  await waitFor(async () => proxy.logs().split('"listening"').length === 3);
  await chmod(path.join(proxy.folder, 'state', 'log-hash-secret'), 0o644);
  for (const worker of await workersOf(proxy.pid)) process.kill(worker, 'SIGKILL');
  expect(await proxy.ended).toEqual({ code: 1, signal: null });
  const last = proxy
    .logs()
    .split('\n')
    .findLast((line) => line.startsWith('{'));
  expect(JSON.parse(last ?? '')).toMatchObject({
    level: 60,
    msg: 'workers end again and again as they start; giving up',
  });
  await proxy.stop();
});

test('a port that somebody else has is one sentence and a failure, also for several workers', async () => {
  const first = await startProxy({
    config: { buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }] },
  });
  const address = new URL(first.url).host;
  const second = startProxy({
    config: {
      server: { address, workers: 2, state_dir: './other' },
      buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }],
    },
  });
  await expect(second).rejects.toThrow(
    /cannot listen on .*: another program has the port; stop it, or set server\.address/u,
  );
  await first.stop();
});
