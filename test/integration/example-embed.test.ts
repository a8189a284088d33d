// The example of an embedder, unchanged: type-checked against the package as it would be published, and run with it.
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBuildTool } from '../servers/build-once.ts';
import { freePort } from '../servers/free-port.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { createRandomBody } from '../support/random-body.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
const repository = path.resolve(import.meta.dirname, '../..');
/** What the package is made of. */
const sources = [
  'src',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'README.md',
  'LICENSE',
  'config.example.yaml',
  'config.schema.json',
];
let folder: string;
let server: S3Server;
let stored: BucketView;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-embed-'));
  await cp(path.join(repository, 'examples/embed'), folder, { recursive: true });
  await installPackage(folder);
  server = await startMinio();
  stored = await createBucket(server, 'uploads');
}, 180_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await server.stop();
});

/** What `npm install` would put there, were the package published; its own dependencies are those of the repository. */
async function installPackage(into: string): Promise<void> {
  const source = path.join(into, 'source');
  await mkdir(source);
  const repositoryModules = path.join(repository, 'node_modules');
  for (const name of sources) await cp(path.join(repository, name), path.join(source, name), { recursive: true });
  await symlink(repositoryModules, path.join(source, 'node_modules'));
  await runBuildTool('npm', ['run', '--silent', 'build'], { cwd: source });
  await runBuildTool('npm', ['pack', '--silent', '--pack-destination', into], { cwd: source });
  await rm(source, { recursive: true });
  // The archive holds one folder, `package`.
  await runBuildTool('tar', ['-xf', path.join(into, `mizuchi-uploadr-${await readVersion()}.tgz`), '-C', into]);
  const modules = path.join(into, 'node_modules');
  await mkdir(modules);
  await rename(path.join(into, 'package'), path.join(modules, 'mizuchi-uploadr'));
  await symlink(repositoryModules, path.join(modules, 'mizuchi-uploadr/node_modules'));
  await symlink(path.join(repositoryModules, '@types'), path.join(modules, '@types'));
}

async function readVersion(): Promise<string> {
  return (JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as { version: string }).version;
}

interface Embedder {
  readonly running: RunningProcess;
  readonly url: string;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Embedder> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const running = startProcess({
    command: process.execPath,
    args: ['main.ts'],
    env: {
      HOME: folder,
      PORT: new URL(url).port,
      UPLOADS_PORT: String(await freePort()),
      S3_ENDPOINT: server.endpoint,
      S3_ACCESS_KEY: server.accessKey,
      S3_SECRET_KEY: server.secretKey,
      JWT_SECRET: jwtSecret,
      ...env,
    },
    cwd: folder,
  });
  return { running, url };
}

test('its types are right, the package’s declarations included', async () => {
  const options = ['--noEmit', '--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes'];
  const kind = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--skipLibCheck', 'false'];
  const checked = runBuildTool(path.join(repository, 'node_modules/.bin/tsc'), [...options, ...kind, 'main.ts'], {
    cwd: folder,
  });
  await expect(checked).resolves.toBeUndefined();
});

test('it serves, takes an upload, and stops', async () => {
  const { running, url } = await start();
  await waitUntilReady(running, async () => (await fetch(url)).ok);
  const { uploads } = (await (await fetch(url)).json()) as { uploads: string };
  const body = createRandomBody('embedded', 20 * MiB);
  const put = (token: string) =>
    fetch(`${uploads}a/b.bin`, { method: 'PUT', headers: { authorization: `Bearer ${token}` }, body: body.bytes() });
  expect((await put('no.token.atall')).status).toBe(401);
  expect(await stored.listKeys()).toEqual([]);
  expect((await put(await createToken())).status).toBe(200);
  expect(await stored.readHash('a/b.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  expect(await running.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('a mistake in the object is told by its path', async () => {
  const { running } = await start({ JWT_SECRET: 'short' });
  expect(await running.ended).toEqual({ code: 1, signal: null });
  expect(running.output()).toMatch(/ConfigError: configuration: 1 fault\n\s+buckets\[0\]\.auth\.jwt\.secret: /u);
});
