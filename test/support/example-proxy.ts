// The proxy of examples/config.yaml before a real MinIO, and the examples run as their reader runs them.
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { expandVariables } from '../../src/config/expand-variables.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startProcess, type ProcessEnd } from '../servers/start-process.ts';
import { findBlocks } from './markdown-blocks.ts';
import { createRandomBody } from './random-body.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';

export const examplesFolder = path.resolve(import.meta.dirname, '../../examples');

export interface ExampleRun extends ProcessEnd {
  /** Standard output and error together. */
  readonly output: string;
}

export interface RunExampleOptions {
  readonly command: readonly [string, ...string[]];
  /** Besides `env` of the proxy; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A file of the folder, through a pipe. */
  readonly stdin?: string;
}

export interface ExampleProxy {
  readonly proxy: RunningProxy;
  /** The backend's bucket, seen without the proxy. */
  readonly stored: BucketView;
  /** What examples/README.md tells a reader to export for the clients. */
  readonly env: Readonly<Record<string, string>>;
  /** Where examples run, and their home: the repository as links, so that the commands of a README find it. */
  readonly folder: string;
  /** Writes noise into a file of the folder. @returns the file's bytes. */
  writeFile(name: string, sizeBytes: number): Promise<Buffer>;
  /** Runs the program to its end in the folder. */
  run(options: RunExampleOptions): Promise<ExampleRun>;
  /** Runs the commands of the example's README, less those that are told, as somebody does who has started the proxy too. */
  runReadme(name: string, lessLines?: RegExp): Promise<ExampleRun>;
  stop(): Promise<void>;
}

const timeoutMs = 120_000;

/** @param pageOrigin of the page that uploads from a browser. */
export async function startExampleProxy({ pageOrigin = 'http://localhost:3000' } = {}): Promise<ExampleProxy> {
  const server = await startMinio();
  const stored = await createBucket(server, 'uploads');
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'a-secret-of-a-client-for-tests' };
  const proxyEnv = {
    ...keys,
    S3_ENDPOINT: server.endpoint,
    S3_ACCESS_KEY: server.accessKey,
    S3_SECRET_KEY: server.secretKey,
    JWT_SECRET: jwtSecret,
    PAGE_ORIGIN: pageOrigin,
  };
  const proxy = await startProxy({ config: await readExampleConfig(proxyEnv) });
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-example-'));
  for (const name of ['examples', 'node_modules', 'package.json', 'src'])
    await symlink(path.resolve(examplesFolder, '..', name), path.join(folder, name));
  const env = {
    ...keys,
    AWS_REGION: 'us-east-1',
    MIZUCHI_URL: proxy.url,
    MIZUCHI_TOKEN: await createToken({ sub: 'alice' }),
  };
  const run = (options: RunExampleOptions): Promise<ExampleRun> =>
    runExample({ ...options, env: definedIn({ HOME: folder, ...env, ...options.env }), folder });
  return {
    proxy,
    stored,
    env,
    folder,
    run,
    async runReadme(name, lessLines = /^$/gmu) {
      const page = await readFile(path.join(examplesFolder, name, 'README.md'), 'utf8');
      const commands = findBlocks(page).filter(({ language }) => language === 'sh');
      const script = commands.map(({ text }) => text.replaceAll(lessLines, '')).join('');
      return run({ command: ['bash', '-euxo', 'pipefail', '-c', script], env: { ...goEnv(), ...proxyEnv } });
    },
    async writeFile(name, sizeBytes) {
      const bytes = createRandomBody(name, sizeBytes).bytes();
      await writeFile(path.join(folder, name), bytes);
      return bytes;
    },
    async stop() {
      await proxy.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** As the proxy would read it, less `server`: a test's proxy has an address of its own. */
async function readExampleConfig(env: Readonly<Record<string, string>>): Promise<{ buckets: object[] }> {
  const text = await readFile(path.join(examplesFolder, 'config.yaml'), 'utf8');
  const { value, faults } = expandVariables(parse(text), env);
  if (faults.length > 0) throw new Error(`examples/config.yaml: ${JSON.stringify(faults)}`);
  return { buckets: (value as { buckets: object[] }).buckets };
}

async function runExample(options: {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly folder: string;
}): Promise<ExampleRun> {
  const { command, env, stdin = '', folder } = options;
  // A pipe, as in `tar c … | example`: a file would have a length.
  const script = stdin === '' ? 'exec "$@"' : 'exec "$@" < <(exec cat -- "$0")';
  const args = ['-c', script, stdin === '' ? 'bash' : stdin, ...command];
  const running = startProcess({ command: 'bash', args, env, cwd: folder });
  const timer = setTimeout(() => void running.stop('SIGKILL'), timeoutMs);
  const end = await running.ended;
  clearTimeout(timer);
  return { ...end, output: running.output() };
}

/** Go's caches: its home is the tester's. */
function goEnv(): Record<string, string> {
  const { HOME: home = '', GOCACHE = path.join(home, '.cache/go-build'), GOPATH = path.join(home, 'go') } = process.env;
  return { GOCACHE, GOPATH };
}

function definedIn(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
