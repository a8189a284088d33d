// Starts the real proxy as a process of its own, from a configuration file in a temporary folder.
import { SignJWT } from 'jose';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setInterval as every } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady, type ProcessEnd } from '../servers/start-process.ts';
import { findSecrets, noteToken } from './find-secrets.ts';
import { sendRequest } from './send-request.ts';

export const jwtSecret = 'a-secret-for-tests-of-more-than-32-bytes';

export interface ProxyOptions {
  /** The whole configuration but `server.address`, `server.state_dir`, `metrics` and `logging`, which are filled in where absent. */
  readonly config: {
    readonly server?: object;
    readonly buckets: readonly object[];
    readonly ui?: object;
    readonly metrics?: object;
    readonly tracing?: object;
    readonly logging?: object;
  };
  /** Set for https: the authority that signed the proxy's certificate, in PEM. */
  readonly ca?: string;
  /** A folder that outlives the process, for tests that start a second one on the same state. */
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where it listens, unless the configuration says otherwise; in brackets where it is an IPv6 address. */
  readonly host?: string;
}

export interface Health {
  readonly lentBytes: number;
  readonly uploads: number;
}

export interface RunningProxy {
  /** Scheme, host and port. */
  readonly url: string;
  /** Where its metrics are scraped, unless the configuration says otherwise. */
  readonly metricsUrl: string;
  readonly pid: number;
  readonly folder: string;
  readonly ended: Promise<ProcessEnd>;
  logs(): string;
  health(): Promise<Health>;
  /** Waits until no memory is lent and no upload is under way. @throws Error with the last figures after `timeoutMs`. */
  waitUntilIdle(timeoutMs?: number): Promise<void>;
  /** The most resident memory it has ever had (Linux: VmHWM). */
  peakRssBytes(): Promise<number>;
  /** Sends SIGTERM and waits for its end. @throws Error when a secret or a token stands in what it has written. */
  stop(): Promise<ProcessEnd>;
  /** The folder stays, as after a crash. @throws as `stop`. */
  kill9(): Promise<void>;
  terminate(): void;
}

const entry = path.resolve(import.meta.dirname, '../../src/cli.ts');

export async function startProxy({
  config,
  ca,
  folder: givenFolder,
  environment,
  host = '127.0.0.1',
}: ProxyOptions): Promise<RunningProxy> {
  const folder = givenFolder ?? (await mkdtemp(path.join(tmpdir(), 'mizuchi-proxy-')));
  const port = await freePort();
  const metricsPort = await freePort();
  const file = path.join(folder, 'config.yaml');
  const server = { address: `${host}:${port}`, state_dir: path.join(folder, 'state'), ...config.server };
  await writeFile(
    file,
    stringify({ metrics: { port: metricsPort }, logging: { level: 'info', format: 'json' }, ...config, server }),
  );
  const running = startProcess({
    command: process.execPath,
    args: [entry, '--config', file],
    env: { HOME: folder, ...environment },
    cwd: folder,
    ...(givenFolder === undefined ? { folder } : {}),
  });
  const searchOutput = (): void => {
    const found = findSecrets(running.output(), config);
    if (found.length > 0) throw new Error(`secrets in what the proxy wrote: ${found.join(', ')}`);
  };
  const url = `${'tls' in server ? 'https' : 'http'}://${host}:${port}`;
  const get = (route: string) => sendRequest({ url, method: 'GET', path: route, ...(ca === undefined ? {} : { ca }) });
  await waitUntilReady(running, async () => (await get('/ready')).status === 200);
  const health = async (): Promise<Health> => parseHealth((await get('/health')).body);
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    pid: running.pid,
    folder,
    ended: running.ended,
    logs: () => running.output(),
    health,
    waitUntilIdle: (timeoutMs = 15_000) => waitUntilIdle(health, timeoutMs),
    async peakRssBytes() {
      const status = await readFile(`/proc/${running.pid}/status`, 'utf8');
      return Number(/^VmHWM:\s+(?<kib>\d+) kB$/mu.exec(status)?.groups?.['kib']) * 1024;
    },
    async stop() {
      const end = await running.stop('SIGTERM', 45_000);
      searchOutput();
      if (givenFolder === undefined) await rm(folder, { recursive: true, force: true });
      return end;
    },
    async kill9() {
      await running.stop('SIGKILL');
      searchOutput();
    },
    terminate: () => process.kill(running.pid, 'SIGTERM'),
  };
}

function parseHealth(body: string): Health {
  const value: unknown = JSON.parse(body);
  if (typeof value !== 'object' || value === null) throw new Error(`/health says ${body}`);
  if (!('lentBytes' in value && typeof value.lentBytes === 'number')) throw new Error(`no lentBytes in ${body}`);
  if (!('uploads' in value && typeof value.uploads === 'number')) throw new Error(`no uploads in ${body}`);
  return { lentBytes: value.lentBytes, uploads: value.uploads };
}

async function waitUntilIdle(health: () => Promise<Health>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for await (const _ of every(25)) {
    const { lentBytes, uploads } = await health();
    if (lentBytes === 0 && uploads === 0) return;
    if (Date.now() > deadline)
      throw new Error(`still ${lentBytes} bytes lent and ${uploads} uploads after ${timeoutMs} ms`);
  }
}

/** A bearer token that the proxy of a test accepts, unless `claims` or the secret say otherwise. */
export async function createToken(
  claims: Readonly<Record<string, string | number>> = {},
  secret: string = jwtSecret,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ sub: 'tester', iat: now, exp: now + 3600, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(secret));
  noteToken(token);
  return token;
}
