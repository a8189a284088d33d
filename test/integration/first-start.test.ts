// The first two commands of a stranger: the embedded default starts in an empty folder, and its curl line works.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import { sendRequest } from '../support/send-request.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const url = 'http://127.0.0.1:8080';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-first-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const start = (): RunningProcess =>
  startProcess({
    command: process.execPath,
    args: [path.join(repository, 'src/cli.ts')],
    env: { HOME: folder },
    cwd: folder,
    folder,
  });
const curlLine = (running: RunningProcess): string => {
  const line = /^.*?(?<line>curl .+)$/mu.exec(running.output())?.groups?.['line'];
  if (line === undefined) throw new Error(`no curl line in:\n${running.output()}`);
  return line;
};
const filesUnder = (top: string): string[] =>
  readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

test('npm start runs the command that this file tests', () => {
  const manifest: unknown = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8'));
  expect(manifest).toMatchObject({ scripts: { start: 'exec node src/cli.ts' } });
});

test('the embedded default: the printed curl line uploads a file, the secret is kept and is private', async () => {
  const first = start();
  await waitUntilReady(first, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  await waitUntilReady(first, async () => first.output().includes('curl '));
  const line = curlLine(first);
  const name = /(?:-T|--upload-file|--data-binary) ['"]?@?(?<name>[^\s'"]+)/u.exec(line)?.groups?.['name'] ?? '';
  writeFileSync(path.join(folder, name), 'a real file\n'.repeat(1000));
  execFileSync('sh', ['-c', `${line} --fail-with-body --silent --show-error`], { cwd: folder, stdio: 'pipe' });
  const uploaded = filesUnder(path.join(folder, 'data')).filter((file) => statSync(file).size === 12_000);
  expect(uploaded.map((file) => readFileSync(file, 'utf8'))).toEqual(['a real file\n'.repeat(1000)]);

  const page = await sendRequest({ url, method: 'GET', path: '/', headers: { accept: 'text/html' } });
  expect(page.body).toContain('<title>Upload files</title>');
  const token = /Bearer (?<token>[^"]+)/u.exec(line)?.groups?.['token'];
  expect(first.output()).toContain(`${url}/#token=${token}\n`);

  const secrets = filesUnder(folder).filter((file) => file.includes('-secret'));
  expect(secrets.map((file) => (statSync(file).mode & 0o777).toString(8))).toEqual(['600', '600']);
  const secretFile = secrets.find((file) => file.endsWith('/.jwt-secret')) ?? '';
  const secret = readFileSync(secretFile, 'utf8');
  expect(Buffer.byteLength(secret.trim())).toBeGreaterThanOrEqual(32);
  expect(first.output()).not.toContain(secret.trim());
  expect(await first.stop('SIGTERM')).toEqual({ code: 0, signal: null });

  const second = start();
  await waitUntilReady(second, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  // The token of the first start is still good, because the secret was kept.
  execFileSync('sh', ['-c', `${line} --fail-with-body --silent --show-error`], { cwd: folder, stdio: 'pipe' });
  expect(readFileSync(secretFile, 'utf8')).toBe(secret);

  const third = start();
  const end = await third.ended;
  expect(end.code).not.toBe(0);
  expect(third.output()).toBe(
    'mizuchi-uploadr: cannot listen on 127.0.0.1:8080: another program has the port; stop it, or set server.address in a config.yaml (config.example.yaml shows how)\n',
  );
  expect(third.output()).not.toMatch(/^\s+at /mu);
  await second.stop('SIGTERM');
});

test('a reader of the first lines that leaves, such as head, does not end the proxy', async () => {
  const args = ['-c', 'exec "$0" "$@" > >(exec <&-)', process.execPath, path.join(repository, 'src/cli.ts')];
  const running = startProcess({ command: 'bash', args, env: { HOME: folder }, cwd: folder, folder });
  const isReady = async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200;
  await waitUntilReady(running, isReady);
  await sleep(500);
  expect(await isReady()).toBe(true);
  expect(running.output()).toBe('');
  expect(await running.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});
