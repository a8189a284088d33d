// The package as npm would publish it: what is in it, that it installs and runs in an empty folder elsewhere, and its types.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady } from '../servers/start-process.ts';
import { npmEnvironment } from '../support/npm-environment.ts';
import { sendRequest } from '../support/send-request.ts';
import { jwtSecret } from '../support/start-proxy.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const tool = (name: string): string => path.join(repository, 'node_modules/.bin', name);

let folder: string;
let tarball: string;
let files: readonly string[];
const installed = (): string => path.join(folder, 'elsewhere');
const execute = (command: string, args: readonly string[], cwd: string) =>
  promisify(execFile)(command, args, {
    cwd,
    env: npmEnvironment(path.dirname(process.execPath)),
    maxBuffer: 64 * 1024 * 1024,
  });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-package-'));
  // A copy, so that building it is in nobody's way.
  const copy = path.join(folder, 'repository');
  await mkdir(copy);
  const left = new Set(['node_modules', 'dist', '.git', 'data', '.mizuchi']);
  for (const name of await readdir(repository))
    if (!left.has(name)) await cp(path.join(repository, name), path.join(copy, name), { recursive: true });
  await symlink(path.join(repository, 'node_modules'), path.join(copy, 'node_modules'));
  const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], copy);
  const [packed] = JSON.parse(stdout.slice(stdout.lastIndexOf('\n[\n') + 1)) as [
    { filename: string; files: { path: string }[] },
  ];
  tarball = path.join(folder, packed.filename);
  files = packed.files.map((file) => file.path);
  await mkdir(installed());
  await writeFile(path.join(installed(), 'package.json'), '{ "private": true, "type": "module" }\n');
  await execute('npm', ['install', tarball], installed());
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('it holds what is needed, and nothing else', () => {
  const others = files.filter((file) => !/^dist\/.+\.(?:js|d\.ts|html|css|map|svg|br|gz|txt)$/u.test(file));
  expect(others.toSorted()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'config.example.yaml',
    'config.schema.json',
    'package.json',
  ]);
  expect(files).toEqual(expect.arrayContaining(['dist/cli.js', 'dist/index.js', 'dist/index.d.ts']));
  expect(files.filter((file) => /test|bench|write-reference|describe-(?:settings|metrics)/u.test(file))).toEqual([]);
});

test('its command runs where it is installed, and takes an upload', async () => {
  const { stdout } = await execute('npx', ['--no-install', 'mizuchi-uploadr', '--version'], installed());
  const { version } = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as { version: string };
  expect(stdout.trim()).toBe(version);

  const port = await freePort();
  const config = {
    server: { address: `127.0.0.1:${port}` },
    ui: { enabled: true },
    metrics: { enabled: false },
    buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { jwt: { secret: jwtSecret } } }],
  };
  await writeFile(path.join(installed(), 'config.yaml'), JSON.stringify(config));
  const program = path.join(installed(), 'node_modules/.bin/mizuchi-uploadr');
  const running = startProcess({
    command: program,
    args: [],
    env: { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, HOME: folder },
    cwd: installed(),
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(running, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  const token = (await execute(program, ['token', '--subject', 'me'], installed())).stdout.trim();
  const headers = { authorization: `Bearer ${token}` };
  const answer = await sendRequest({ url, method: 'PUT', path: '/uploads/a.txt', headers, body: 'from the package' });
  expect(answer).toMatchObject({ status: 200 });
  expect(await readFile(path.join(installed(), 'data/uploads/a.txt'), 'utf8')).toBe('from the package');
  const page = await sendRequest({ url, method: 'GET', path: '/', headers: { accept: 'text/html' } });
  expect(page).toMatchObject({ status: 200 });
  expect(page.headers['content-type']).toContain('text/html');
  expect(await running.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('a program that embeds it passes the type check, and runs', async () => {
  const port = await freePort();
  const program = `import { createConfig, createLog, startProxy, type Config, type Proxy } from 'mizuchi-uploadr';

const config: Config = createConfig({
  server: { address: '127.0.0.1:${port}' },
  metrics: { enabled: false },
  logging: { level: 'silent' },
  buckets: [{ name: 'embedded', filesystem: { root: './embedded' }, auth: { enabled: false } }],
});
const proxy: Proxy = await startProxy(config, { log: createLog(config.logging) });
const answer = await fetch(\`http://127.0.0.1:\${proxy.port}/embedded/a.txt\`, { method: 'PUT', body: 'embedded' });
await proxy.stop();
console.log(answer.status);
`;
  await writeFile(path.join(installed(), 'embed.ts'), program);
  const options = {
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      noEmit: true,
      types: ['node'],
      typeRoots: [path.join(repository, 'node_modules/@types')],
    },
    files: ['embed.ts'],
  };
  await writeFile(path.join(installed(), 'tsconfig.json'), JSON.stringify(options));
  const checked = await execute(tool('tsc'), ['-p', '.'], installed());
  expect(checked.stdout).toBe('');
  // What it does not export, it does not have.
  await writeFile(path.join(installed(), 'embed.ts'), program.replace('createLog, ', 'createLog, createStorage, '));
  await expect(execute(tool('tsc'), ['-p', '.'], installed())).rejects.toThrow(/Command failed/u);
  await writeFile(path.join(installed(), 'embed.ts'), program);
  const { stdout } = await execute(process.execPath, ['embed.ts'], installed());
  expect(stdout.trim()).toBe('200');
  expect(await readFile(path.join(installed(), 'embedded/embedded/a.txt'), 'utf8')).toBe('embedded');
});

test('publint finds nothing', async () => {
  const { stdout } = await execute(tool('publint'), ['run', tarball, '--strict'], folder);
  expect(stdout).toContain('All good!');
});

test('are the types wrong? They are not', async () => {
  // The profile: it is an ES module alone, for whoever can load one.
  const { stdout } = await execute(tool('attw'), [tarball, '--profile', 'esm-only', '--no-color'], folder);
  expect(stdout).toMatch(/node16 \(from ESM\) │ 🟢/u);
  expect(stdout).toMatch(/bundler +│ 🟢/u);
});
