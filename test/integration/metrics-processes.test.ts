// Where metrics are served, and by whom: one process, several, none; and what happens when the port is not to be had.
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { runPromtool } from '../servers/run-promtool.ts';
import { startProcess } from '../servers/start-process.ts';
import { suspendProcess } from '../servers/suspend-process.ts';
import { observabilityFolder } from '../support/observability-examples.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { readScrape, scrape, type Scrape } from '../support/scrape.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const buckets = [
  { name: 'uploads', filesystem: { root: './data' }, auth: { jwt: { algorithm: 'HS256', secret: jwtSecret } } },
];
let proxy: RunningProxy | undefined;
afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

async function start(config: { server?: object; metrics?: object; tracing?: object } = {}): Promise<RunningProxy> {
  return (proxy = await startProxy({ config: { ...config, buckets } }));
}

const get = (
  metricsUrl: string,
  route: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> => sendRequest({ url: new URL(metricsUrl).origin, method, path: route, headers });
const put = async ({ url }: RunningProxy, key: string): Promise<number> => {
  const headers = { authorization: `Bearer ${await createToken()}` };
  return (await sendRequest({ url, method: 'PUT', path: `/uploads/${key}`, headers, body: key })).status;
};
const stored = (read: Scrape): number =>
  read.sum('mizuchi_uploads_total', { operation: 'PutObject', status: 'success' });

test('GET and HEAD of /metrics, and nothing else; the log says where', async () => {
  const running = await start();
  const { metricsUrl, url } = running;
  expect(running.logs()).toContain(`"url":"${metricsUrl}"`);
  const answer = await get(metricsUrl, '/metrics');
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  const head = await get(metricsUrl, '/metrics', {}, 'HEAD');
  expect([head.status, head.body]).toEqual([200, '']);
  expect(Number(head.headers['content-length'])).toBeGreaterThan(10_000);
  expect((await get(metricsUrl, '/metrics?x=1')).status).toBe(200);
  expect((await get(metricsUrl, '/metrics', {}, 'POST')).status).toBe(405);
  for (const route of ['/', '/metrics/', '/health', '/uploads/a'])
    expect((await get(metricsUrl, route)).status).toBe(404);
  // And it is nowhere else.
  expect((await sendRequest({ url, method: 'GET', path: '/metrics' })).status).not.toBe(200);
});

test('OpenMetrics for who asks for it, with the same figures', async () => {
  const running = await start();
  expect(await put(running, 'a')).toBe(200);
  const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3';
  // In both orders: neither format may spoil the other.
  for (const _ of [1, 2]) {
    const open = await get(running.metricsUrl, '/metrics', { accept });
    expect(open.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(open.body).toMatch(/# EOF\n$/u);
    expect(open.body).toContain('# TYPE mizuchi_uploads counter\n');
    const plain = await scrape(running.metricsUrl);
    expect(plain.text).toContain('# TYPE mizuchi_uploads_total counter\n');
    const own = ({ samples }: Scrape) =>
      samples
        .filter(({ name }) => name.startsWith('mizuchi_') && !name.startsWith('mizuchi_connections'))
        .map(({ name, labels, value }) => ({ name, labels, value }));
    expect(own(readScrape(open.body.replace(/# EOF\n$/u, '')))).toEqual(own(plain));
  }
});

test.each([1, 2])(
  'an upload that is traced is an exemplar; spans that reach nobody are counted: %i workers',
  async (workers) => {
    const tracing = {
      enabled: true,
      sampling: { strategy: 'always' },
      otlp: { endpoint: `http://127.0.0.1:${await freePort()}`, protocol: 'http/protobuf', timeout_seconds: 0.5 },
      batch: { scheduled_delay_millis: 50 },
    };
    const running = await start({ server: { workers }, tracing });
    const headers = { authorization: `Bearer ${await createToken()}` };
    const answer = await sendRequest({ url: running.url, method: 'PUT', path: '/uploads/a', headers, body: 'x' });
    const traceId = String(answer.headers['x-mizuchi-trace-id']);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/u);
    const open = await get(running.metricsUrl, '/metrics', { accept: 'application/openmetrics-text' });
    const exemplars = open.body.split('\n').filter((line) => line.includes(' # {'));
    expect(exemplars).toEqual([
      expect.stringMatching(
        new RegExp(
          String.raw`^mizuchi_upload_duration_seconds_bucket\{.*operation="PutObject".* # \{trace_id="${traceId}"\}`,
          'u',
        ),
      ),
    ]);
    expect((await scrape(running.metricsUrl)).text).not.toContain(traceId);
    const failed = async () =>
      (await scrape(running.metricsUrl)).sum('mizuchi_trace_spans_total', { result: 'failed' });
    await waitFor(async () => (await failed()) > 0);
    expect((await scrape(running.metricsUrl)).sum('mizuchi_trace_spans_total', { result: 'exported' })).toBe(0);
  },
);

test('several workers are one scrape, and one that is killed takes no count with it', async () => {
  const running = await start({ server: { workers: 2 } });
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_workers') === 2);
  const keys = Array.from({ length: 40 }, (_, index) => `object-${index}`);
  expect(await Promise.all(keys.map((key) => put(running, key)))).toEqual(keys.map(() => 200));
  const before = await scrape(running.metricsUrl);
  expect(stored(before)).toBe(40);
  expect(before.sum('mizuchi_upload_duration_seconds_count', { operation: 'PutObject' })).toBe(40);
  expect(before.sum('mizuchi_memory_budget_bytes')).toBe(2 * 256 * 1024 * 1024);
  expect(before.sum('mizuchi_build_info')).toBe(1);
  expect(before.sum('mizuchi_workers_configured')).toBe(2);
  expect(before.sum('mizuchi_worker_restarts_total')).toBe(0);
  expect(await runPromtool(['check', 'metrics'], { stdin: before.text })).toEqual({ code: 0, output: '' });
  const [killed, other] = await workersOf(running.pid);
  process.kill(killed!, 'SIGKILL');
  // Also while one is gone, or is being replaced.
  await waitFor(async () => {
    const now = await scrape(running.metricsUrl);
    expect(stored(now)).toBe(40);
    const children = await workersOf(running.pid);
    return now.sum('mizuchi_workers') === 2 && !children.includes(killed!) && children.includes(other!);
  });
  expect(await put(running, 'one-more')).toBe(200);
  const after = await scrape(running.metricsUrl);
  expect(stored(after)).toBe(41);
  expect(after.sum('mizuchi_worker_restarts_total')).toBe(1);
});

test('a worker that does not answer stands with what it said last, but not as one that serves', async () => {
  const running = await start({ server: { workers: 2 } });
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_workers') === 2);
  const keys = Array.from({ length: 20 }, (_, index) => `object-${index}`);
  expect(await Promise.all(keys.map((key) => put(running, key)))).toEqual(keys.map(() => 200));
  expect(stored(await scrape(running.metricsUrl))).toBe(20);
  const workers = await workersOf(running.pid);
  try {
    for (const [index, pid] of workers.entries()) {
      suspendProcess(pid);
      const during = await scrape(running.metricsUrl);
      expect(stored(during)).toBe(20);
      expect(during.sum('mizuchi_workers')).toBe(1 - index);
      expect(during.sum('mizuchi_workers_configured')).toBe(2);
    }
  } finally {
    for (const pid of workers) process.kill(pid, 'SIGCONT');
  }
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_workers') === 2);
  expect((await scrape(running.metricsUrl)).sum('mizuchi_worker_restarts_total')).toBe(0);
});

test('workers that end because they are told to are not missing, however long the last one takes', async () => {
  const running = await start({ server: { workers: 2 } });
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_workers') === 2);
  const connection = await openRawConnection(running.url);
  const authorization = `Bearer ${await createToken()}`;
  await connection.write(
    `PUT /uploads/a HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 2\r\n\r\nx`,
  );
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_received_bytes_total') === 1);
  process.kill(running.pid, 'SIGTERM');
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_workers') === 1);
  const during = await scrape(running.metricsUrl);
  expect(during.sum('mizuchi_workers_configured')).toBe(0);
  expect(during.sum('mizuchi_worker_restarts_total')).toBe(0);
  await connection.write('x');
  expect((await connection.readAnswer()).status).toBe(200);
});

test('an upload that is refused at the edge, as the process stops, is one of those that fail', async () => {
  const running = await start();
  const [first, second] = await Promise.all([openRawConnection(running.url), openRawConnection(running.url)]);
  const authorization = `Bearer ${await createToken()}`;
  const head = (key: string) =>
    `PUT /uploads/${key} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 2\r\n\r\n`;
  const failed = async () =>
    (await scrape(running.metricsUrl)).sum('mizuchi_uploads_total', { operation: 'PutObject', status: 'failure' });
  await first.write(`${head('first')}x`);
  await waitFor(async () => (await scrape(running.metricsUrl)).sum('mizuchi_received_bytes_total') === 1);
  process.kill(running.pid, 'SIGTERM');
  await waitFor(async () => running.logs().includes('"msg":"stopping"'));
  await second.write(`${head('second')}xx`);
  expect((await second.readAnswer()).status).toBe(503);
  expect(await failed()).toBe(1);
  await first.write('x');
  expect((await first.readAnswer()).status).toBe(200);
});

test.each([1, 2])('a port that somebody else has is one sentence and a failure: %i workers', async (workers) => {
  const { metricsUrl } = await start();
  const { port } = new URL(metricsUrl);
  const second = startProxy({
    config: { server: { workers, state_dir: './other' }, metrics: { port: Number(port) }, buckets },
  });
  const sentence = `cannot listen for metrics on 127.0.0.1:${port}: another program has the port; stop it, or set metrics.port in a config.yaml (config.example.yaml shows how)`;
  const error = await second.catch((caught: unknown) => caught);
  const said = error instanceof Error ? error.message : '';
  const lines = said.split('\n').filter((line) => line.includes('metrics'));
  expect(lines).toEqual([`mizuchi-uploadr: ${sentence}`]);
  expect(said).not.toMatch(/^\s+at /mu);
});

test('an address that is not ours is one sentence too', async () => {
  const second = startProxy({ config: { metrics: { address: '192.0.2.1', port: 0 }, buckets } });
  await expect(second).rejects.toThrow(
    /cannot listen for metrics on 192\.0\.2\.1:0: the address is not .*; set metrics\.address/u,
  );
});

test.each([1, 2])('off: nothing listens: %i workers', async (workers) => {
  const port = await freePort();
  const running = await start({ server: { workers }, metrics: { enabled: false, port } });
  expect(await put(running, 'a')).toBe(200);
  await expect(scrape(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow('ECONNREFUSED');
  expect(running.logs()).not.toContain('serving metrics');
});

test('an embedder has metrics of its own for each proxy, which end with it', async () => {
  const script = path.resolve(import.meta.dirname, '../support/embed-two-proxies.ts');
  const embedder = startProcess({ command: process.execPath, args: [script], env: {} });
  onTestFinished(async () => {
    await embedder.stop('SIGKILL');
  });
  expect(await embedder.ended).toEqual({ code: 0, signal: null });
  expect(
    embedder
      .output()
      .split('\n')
      .filter((line) => !line.startsWith('{')),
  ).toEqual([
    'first: 1, second: 0',
    'first is gone: ECONNREFUSED, second: 0',
    'a proxy that cannot start leaves no port behind: ECONNREFUSED',
    'nor does one whose journal cannot be opened: true, ECONNREFUSED',
    '',
  ]);
});

test('the example’s alerts fire for what they should and are quiet otherwise; its configuration is Prometheus’', async () => {
  const cwd = observabilityFolder;
  const config = await runPromtool(['check', 'config', 'prometheus.yml'], { cwd });
  expect(config).toMatchObject({ code: 0, output: expect.stringContaining('18 rules found') });
  expect((await runPromtool(['check', 'rules', '--lint=all', 'alerts.yml'], { cwd })).code).toBe(0);
  expect(await runPromtool(['test', 'rules', 'alerts.test.yml'], { cwd })).toMatchObject({ code: 0 });
  const tests = await readFile(path.join(cwd, 'alerts.test.yml'), 'utf8');
  const names = (await readFile(path.join(cwd, 'alerts.yml'), 'utf8')).matchAll(/- alert: (?<name>\w+)/gu);
  for (const { groups } of names) {
    expect(tests).toContain(`${groups?.['name']} fires\n`);
    expect(tests).toContain(`${groups?.['name']} is quiet\n`);
  }
});

/** By proc(5): the fourth field of /proc/PID/stat is the parent; the name before it is in brackets and may hold spaces. */
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
