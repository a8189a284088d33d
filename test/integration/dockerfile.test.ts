// The Dockerfile's steps, run as plain commands on what .dockerignore leaves: install, build, prune, start, health, SIGTERM.
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { startProcess, type RunningProcess } from '../servers/start-process.ts';
import { parseDockerfile, readCommand, readEnvironment, readHealthCheck, type Stage } from '../support/dockerfile.ts';
import { npmEnvironment } from '../support/npm-environment.ts';
import { sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const isRoot = process.getuid?.() === 0;
const imageUser = '1000';

let folder: string;
let stages: readonly Stage[];
let final: Stage;
/** Each stage has a root folder of its own. */
const rootOf = (stage: Stage): string => path.join(folder, stage.name ?? 'final');
/** The image's own folders, in the stage's root. */
const locate = (stage: Stage, text: string): string =>
  text.replaceAll(/(?<![\w./-])\/(?=app\b|var\/lib\/|usr\/local\/|etc\/mizuchi)/gu, () => `${rootOf(stage)}/`);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-dockerfile-'));
  // Whom the image's user is here must get in.
  await chmod(folder, 0o755);
  stages = parseDockerfile(await readFile(path.join(repository, 'Dockerfile'), 'utf8'));
  final = stages.at(-1) as Stage;
  const context = path.join(folder, 'context');
  await copyContext(context);
  for (const stage of stages) await build(stage, context);
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `.dockerignore` shuts out everything and lets single names in again. */
async function copyContext(context: string): Promise<void> {
  const lines = (await readFile(path.join(repository, '.dockerignore'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines[0]).toBe('*');
  for (const line of lines.slice(1)) {
    const name = /^!(?<name>[\w.-]+)$/u.exec(line)?.groups?.['name'];
    if (name === undefined) throw new Error(`this test does not know ${line}`);
    await cp(path.join(repository, name), path.join(context, name), { recursive: true });
  }
}

async function build(stage: Stage, context: string): Promise<void> {
  const root = rootOf(stage);
  for (const one of ['usr/local/bin', 'app', 'etc/mizuchi']) await mkdir(path.join(root, one), { recursive: true });
  await symlink(process.execPath, path.join(root, 'usr/local/bin/node'));
  let cwd = root;
  for (const { keyword, rest } of stage.instructions) {
    if (keyword === 'WORKDIR') {
      cwd = locate(stage, rest);
      await mkdir(cwd, { recursive: true });
    } else if (keyword === 'COPY') await copy(stage, rest, context, cwd);
    else if (keyword === 'RUN') await run(stage, rest, cwd);
  }
}

async function copy(stage: Stage, rest: string, context: string, cwd: string): Promise<void> {
  const words = rest.split(' ');
  const from = words[0]?.startsWith('--from=') === true ? words.shift()?.slice('--from='.length) : undefined;
  const target = words.pop() ?? '';
  const source = stages.find(({ name }) => name !== undefined && name === from);
  for (const word of words) {
    const place = source === undefined ? path.join(context, word) : locate(source, word);
    const named = path.resolve(cwd, locate(stage, target));
    await cp(place, target.endsWith('/') || words.length > 1 ? path.join(named, path.basename(word)) : named, {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

async function run(stage: Stage, command: string, cwd: string): Promise<void> {
  // What it installs would be installed on this machine.
  if (command.startsWith('apt-get ')) return;
  // Nobody but root can give files away.
  if (!isRoot && command.startsWith('chown ')) return;
  await promisify(execFile)('sh', ['-c', locate(stage, command)], {
    cwd,
    env: npmEnvironment(path.join(rootOf(stage), 'usr/local/bin')),
    maxBuffer: 64 * 1024 * 1024,
  });
}

const environment = (): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(readEnvironment(final)).map(([name, value]) => [name, locate(final, value)])),
  PATH: `${path.join(rootOf(final), 'usr/local/bin')}:/usr/bin:/bin`,
});
const start = (words: readonly string[]): RunningProcess => {
  const asUser = isRoot ? ['setpriv', `--reuid=${imageUser}`, `--regid=${imageUser}`, '--clear-groups'] : ['env'];
  const [command = '', ...args] = [...asUser, ...words.map((word) => locate(final, word))];
  return startProcess({ command, args, env: environment(), cwd: path.join(rootOf(final), 'var/lib/mizuchi') });
};
const writeConfig = async (port: number): Promise<void> => {
  const file = path.join(rootOf(final), 'etc/mizuchi/config.yaml');
  const config = {
    server: { address: `127.0.0.1:${port}` },
    metrics: { enabled: false },
    buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth: { jwt: { secret: jwtSecret } } }],
  };
  await writeFile(file, JSON.stringify(config));
};

test('the stages are those of one pinned image of Node 22 on Debian, and the last is not root’s', () => {
  expect(new Set(stages.map(({ image }) => image)).size).toBe(1);
  expect(final.image).toMatch(/^node:22\.\d+\.\d+-trixie-slim$/u);
  expect(final.instructions.find(({ keyword }) => keyword === 'USER')?.rest).toBe(`${imageUser}:${imageUser}`);
});

test('the addon asks for no newer glibc than the image has', async () => {
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    `find ${rootOf(final)}/app/node_modules -name '*linux*x64*127*.node' -exec grep -aoE 'GLIBC_[0-9.]+' {} + | sort -uV | tail -1`,
  ]);
  const [, minor] = /GLIBC_2\.(\d+)/u.exec(stdout) ?? [];
  // Debian 13 has 2.41.
  expect(Number(minor)).toBeGreaterThan(0);
  expect(Number(minor)).toBeLessThanOrEqual(41);
});

test('it holds what production needs, and nothing of development', async () => {
  const packages = new Set(await readdir(path.join(rootOf(final), 'app/node_modules')));
  expect(packages.has('uWebSockets.js')).toBe(true);
  for (const name of ['typescript', 'vitest', 'oxlint', 'esbuild', 'prettier', 'fast-check'])
    expect({ name, isThere: packages.has(name) }).toEqual({ name, isThere: false });
  expect((await readdir(path.join(rootOf(final), 'app'))).toSorted()).toEqual(['dist', 'node_modules', 'package.json']);
});

test('its command takes an upload, its health check passes, SIGTERM lets an upload end', async () => {
  const port = await freePort();
  await writeConfig(port);
  const url = `http://127.0.0.1:${port}`;
  const [healthProgram = '', ...healthArgs] = readHealthCheck(final);
  const isHealthy = async (): Promise<boolean> => (await start([healthProgram, ...healthArgs]).ended).code === 0;
  expect(await isHealthy()).toBe(false);

  const running = start(readCommand(final));
  await waitFor(() => {
    if (running.hasEnded()) throw new Error(running.output());
    return isHealthy();
  }, 60_000);
  const headers = { authorization: `Bearer ${await createToken()}` };
  const before = await listFiles(path.join(rootOf(final), 'app'));

  const { promise: isHeld, resolve: release } = Promise.withResolvers<undefined>();
  async function* slowly() {
    yield Buffer.from('first, ');
    await isHeld;
    yield Buffer.from('last');
  }
  const upload = sendRequest({ url, method: 'PUT', path: '/uploads/a.txt', headers, body: slowly() });
  const health = async () =>
    JSON.parse((await sendRequest({ url, method: 'GET', path: '/health' })).body) as { uploads: number };
  await waitFor(async () => (await health()).uploads === 1);
  process.kill(running.pid, 'SIGTERM');
  await waitFor(() => Promise.resolve(running.output().includes('"stopping"')));
  release(undefined);
  expect(await upload).toMatchObject({ status: 200 });
  expect(await running.ended).toEqual({ code: 0, signal: null });
  expect(await readFile(path.join(rootOf(final), 'var/lib/mizuchi/data/uploads/a.txt'), 'utf8')).toBe('first, last');
  // The root file system can be read-only.
  expect(await listFiles(path.join(rootOf(final), 'app'))).toEqual(before);
});

test('without a configuration it says what to do', async () => {
  await rm(path.join(rootOf(final), 'etc/mizuchi/config.yaml'), { force: true });
  const running = start(readCommand(final));
  expect(await running.ended).toEqual({ code: 1, signal: null });
  expect(running.output()).toContain(
    'the file cannot be read (ENOENT); put it there, or name another with MIZUCHI_CONFIG',
  );
});

async function listFiles(top: string): Promise<string[]> {
  const entries = await readdir(top, { withFileTypes: true });
  const lines = entries.map(async (entry) => {
    const { mtimeMs, size } = await stat(path.join(top, entry.name));
    return `${entry.name} ${entry.isDirectory() ? mtimeMs : `${mtimeMs} ${size}`}`;
  });
  return (await Promise.all(lines)).toSorted();
}
