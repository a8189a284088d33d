// What is off is not loaded: neither the library of metrics nor OpenTelemetry's.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady } from '../servers/start-process.ts';
import { sendRequest } from '../support/send-request.ts';

const repository = path.resolve(import.meta.dirname, '../..');

/** @returns what a proxy had loaded when it had served an upload: the packages in question, and folders of `src/telemetry`. */
async function loadedBy(config: object): Promise<string[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-off-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  const file = path.join(folder, 'config.yaml');
  const server = { address: `127.0.0.1:${port}`, state_dir: path.join(folder, 'state') };
  const buckets = [{ name: 'uploads', filesystem: { root: './data' }, auth: { enabled: false } }];
  await writeFile(file, stringify({ server, buckets, ...config }));
  const running = startProcess({
    command: process.execPath,
    args: [path.join(repository, 'src/cli.ts'), '--config', file],
    cwd: folder,
    folder,
    // At its end Node writes there which scripts it has had.
    env: { HOME: folder, NODE_V8_COVERAGE: path.join(folder, 'scripts') },
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(running, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const put = { url, method: 'PUT', path: '/uploads/a', headers: { traceparent }, body: 'a' };
  expect((await sendRequest(put)).status).toBe(200);
  expect(await running.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  const [report = ''] = await readdir(path.join(folder, 'scripts'));
  const { result } = JSON.parse(await readFile(path.join(folder, 'scripts', report), 'utf8')) as {
    readonly result: readonly { readonly url: string }[];
  };
  const found = result.flatMap(({ url: script }) => {
    const groups =
      /\/node_modules\/(?<library>prom-client|@opentelemetry\/[^/]+)\/|\/src\/telemetry\/(?<own>\w+)\//u.exec(
        script,
      )?.groups;
    return groups?.['library'] ?? groups?.['own'] ?? [];
  });
  expect(result.some(({ url: script }) => script.endsWith('/src/telemetry/telemetry.ts'))).toBe(true);
  return [...new Set(found)].toSorted();
}

const metricsOff = { metrics: { enabled: false } };
const never = { enabled: true, sampling: { strategy: 'never' } };

test.each<[what: string, config: object, loaded: readonly string[]]>([
  ['neither metrics nor traces', metricsOff, []],
  ['traces of which none is recorded', { ...metricsOff, tracing: never }, ['tracing']],
  // OpenTelemetry's interface is asked for by the library of metrics itself.
  ['metrics alone', { metrics: { port: 0 } }, ['@opentelemetry/api', 'metrics', 'prom-client']],
])('%s', async (_, config, loaded) => {
  expect(await loadedBy(config)).toEqual(loaded);
});
