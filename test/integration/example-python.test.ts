// The examples for Python: boto3 in one piece, in parts and presigned; requests with a token.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findClient, pythonVersion } from '../clients/find-client.ts';
import {
  examplesFolder,
  startExampleProxy,
  type ExampleProxy,
  type RunExampleOptions,
} from '../support/example-proxy.ts';

const MiB = 1024 * 1024;
const folder = path.join(examplesFolder, 'python');
let example: ExampleProxy;
let python: readonly [string, ...string[]];
beforeAll(async () => {
  python = await findClient('python');
  example = await startExampleProxy();
}, 300_000);
afterAll(() => example.stop());

const run = (script: string, args: readonly string[], options: Omit<RunExampleOptions, 'command'> = {}) =>
  example.run({ command: [...python, path.join(folder, script), ...args], ...options });

test('the versions that it asks for are those that are tested', async () => {
  const lines = (await readFile(path.join(folder, 'requirements.txt'), 'utf8')).trimEnd().split('\n');
  expect(lines).toEqual(['boto3', 'requests'].map((name) => `${name}==${pythonVersion(name)}`));
});

test.each([
  ['upload_boto3.py', 'small.txt', 1000, 'text/plain', /^"[\da-f]{32}"$/u],
  ['upload_boto3.py', 'large.mp4', 20 * MiB, 'video/mp4', /^"[\da-f]{32}-3"$/u],
  ['upload_requests.py', 'empty.txt', 0, 'text/plain', /^"[\da-f]{32}"$/u],
  ['upload_requests.py', 'large.mp4', 20 * MiB, 'video/mp4', /^"[\da-f]{32}"$/u],
])('%s: %s, %i bytes', async (script, file, sizeBytes, ContentType, etag) => {
  const bytes = await example.writeFile(file, sizeBytes);
  const key = `${script}/a b ü+/${file}`;
  expect(await run(script, [file, key])).toEqual({
    code: 0,
    signal: null,
    output: expect.stringContaining('uploaded'),
  });
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
  expect(await example.stored.head(key)).toMatchObject({ ContentType, ETag: expect.stringMatching(etag) });
});

test('the URL that boto3 presigns takes the file', async () => {
  const bytes = await example.writeFile('presigned.bin', 3 * MiB);
  const { code, output } = await run('upload_boto3.py', ['--presign', 'presigned.bin']);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('X-Amz-Signature=') });
  expect((await fetch(output.trim(), { method: 'PUT', body: bytes })).status).toBe(200);
  expect((await example.stored.readBytes('presigned.bin')).equals(bytes)).toBe(true);
});

test('the commands of its README, where its packages are installed already', async () => {
  const film = await example.writeFile('film.mp4', 100_000);
  const interpreter = path.join(example.folder, 'venv/bin/python');
  await mkdir(path.dirname(interpreter), { recursive: true });
  await writeFile(interpreter, `#!/bin/sh\nexec '${python[0]}' "$@"\n`, { mode: 0o755 });
  expect(await example.runReadme('python', /^python3 -m venv .*$/gmu)).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('films/film.mp4')).equals(film)).toBe(true);
});

test.each([
  ['upload_boto3.py', { AWS_SECRET_ACCESS_KEY: 'not-the-secret-of-a-client' }, 'SignatureDoesNotMatch'],
  ['upload_requests.py', { MIZUCHI_TOKEN: 'no.token.atall' }, '401'],
  ['upload_requests.py', { MIZUCHI_TOKEN: undefined }, 'MIZUCHI_TOKEN'],
])('%s with %j says why it is refused', async (script, env, reason) => {
  await example.writeFile('refused.bin', 100_000);
  const { code, output } = await run(script, ['refused.bin', 'refused.bin'], { env });
  expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(reason) });
  expect(output).not.toContain('Traceback');
  expect(await example.stored.listKeys('refused')).toEqual([]);
});
