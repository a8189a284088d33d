// The examples for Node.js: the SDK's PutObject, lib-storage from a pipe, fetch with a stream.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { npmVersion } from '../clients/find-client.ts';
import {
  examplesFolder,
  startExampleProxy,
  type ExampleProxy,
  type RunExampleOptions,
} from '../support/example-proxy.ts';

const MiB = 1024 * 1024;
const folder = path.join(examplesFolder, 'node');
let example: ExampleProxy;
beforeAll(async () => {
  example = await startExampleProxy();
});
afterAll(() => example.stop());

const run = (script: string, args: readonly string[], options: Omit<RunExampleOptions, 'command'> = {}) =>
  example.run({ command: [process.execPath, path.join(folder, script), ...args], ...options });

test('the versions that it asks for are those that are tested', async () => {
  const manifest: unknown = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  const names = ['@aws-sdk/client-s3', '@aws-sdk/lib-storage'];
  expect(manifest).toMatchObject({ dependencies: Object.fromEntries(names.map((name) => [name, npmVersion(name)])) });
});

const sizes = [0, 1000, 20 * MiB];

test.each(sizes)('put-object.mjs: %i bytes', async (sizeBytes) => {
  const bytes = await example.writeFile('file.bin', sizeBytes);
  const key = `put object/ü+${sizeBytes}`;
  const { code, output } = await run('put-object.mjs', ['file.bin', key]);
  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringMatching(/^uploaded file\.bin, ETag "[\da-f]{32}"\n$/u),
  });
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
});

test.each(sizes)('fetch-stream.mjs: %i bytes', async (sizeBytes) => {
  const bytes = await example.writeFile('file.bin', sizeBytes);
  const key = `fetch stream/ü+${sizeBytes}`;
  const { code, output } = await run('fetch-stream.mjs', ['file.bin', key]);
  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringMatching(/^uploaded file\.bin, ETag "[\da-f-]+"\n$/u),
  });
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
});

test('lib-storage.mjs: three parts from a pipe', async () => {
  const bytes = await example.writeFile('piped.bin', 20 * MiB);
  const { code, output } = await run('lib-storage.mjs', ['lib storage/ü+'], { stdin: 'piped.bin' });
  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringMatching(/\d+ bytes sent\n[^]*ETag "[\da-f]{32}-3"\n$/u),
  });
  expect((await example.stored.readBytes('lib storage/ü+')).equals(bytes)).toBe(true);
});

test('the commands of its README', async () => {
  const film = await example.writeFile('film.mp4', 100_000);
  await example.writeFile('photos', 1000);
  expect(await example.runReadme('node')).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('films/film.mp4')).equals(film)).toBe(true);
  expect((await example.stored.head('backup.tar')).ContentLength).toBeGreaterThan(1000);
});

test.each([
  ['put-object.mjs', ['small.bin', 'refused'], { AWS_SECRET_ACCESS_KEY: 'not-the-secret' }, 'SignatureDoesNotMatch'],
  ['lib-storage.mjs', ['refused'], { AWS_SECRET_ACCESS_KEY: 'not-the-secret' }, 'SignatureDoesNotMatch'],
  ['fetch-stream.mjs', ['small.bin', 'refused'], { MIZUCHI_TOKEN: 'no.token.atall' }, '401 <?xml'],
  ['put-object.mjs', ['absent.bin', 'refused'], {}, 'ENOENT'],
])('%s %j with %j says why it is refused', async (script, args, env, reason) => {
  await example.writeFile('small.bin', 1000);
  const { code, output } = await run(script, args, { env, stdin: 'small.bin' });
  expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(reason) });
  expect(await example.stored.listKeys('refused')).toEqual([]);
  expect(await example.stored.listOpenUploads()).toEqual([]);
});
