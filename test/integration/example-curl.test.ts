// The example for curl: each of its ways, and what it says of a refusal.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  examplesFolder,
  startExampleProxy,
  type ExampleProxy,
  type RunExampleOptions,
} from '../support/example-proxy.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
const script = path.join(examplesFolder, 'curl/upload.sh');
let example: ExampleProxy;
beforeAll(async () => {
  example = await startExampleProxy();
});
afterAll(() => example.stop());

const upload = (args: readonly string[], options: Omit<RunExampleOptions, 'command'> = {}) =>
  example.run({ command: [script, ...args], ...options });

test.each([
  ['empty.bin', 0, 'empty.bin'],
  ['small.bin', 1000, 'a b/ü+&?%#~(1).bin'],
  ['large.bin', 60 * MiB, 'large.bin'],
])('put: %s, %i bytes', async (file, sizeBytes, key) => {
  const bytes = await example.writeFile(file, sizeBytes);
  const { code, output } = await upload(['put', file, key]);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('HTTP/1.1 100 Continue') });
  expect(output).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*etag: /imu);
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
});

test('put: a pipe, of which the length is not known', async () => {
  const bytes = await example.writeFile('piped.bin', 20 * MiB);
  expect(await upload(['put', '-', 'piped.bin'], { stdin: 'piped.bin' })).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('piped.bin')).equals(bytes)).toBe(true);
});

test('named: the answer says which key the proxy has made', async () => {
  const bytes = await example.writeFile('photo.png', 70_000);
  const { code, output } = await upload(['named', 'photo.png'], { env: { CONTENT_TYPE: 'image/png' } });
  const key = /^x-mizuchi-key: (?<key>inbox\/\d{4}\/\d\d\/\d\d\/[\da-f-]{36}\.png)\r$/mu.exec(output)?.groups?.['key'];
  expect({ code, key, output }).toMatchObject({ code: 0, key: expect.any(String) });
  expect((await example.stored.readBytes(key ?? '')).equals(bytes)).toBe(true);
  expect(await example.stored.head(key ?? '')).toMatchObject({ ContentType: 'image/png' });
});

test('signed', async () => {
  const bytes = await example.writeFile('signed.bin', 3 * MiB);
  const { code, output } = await upload(['signed', 'signed.bin', 'signed films/é.bin']);
  expect({ code, output }).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('signed films/é.bin')).equals(bytes)).toBe(true);
});

test('url: presigned by the proxy’s own command', async () => {
  const bytes = await example.writeFile('presigned.bin', 3 * MiB);
  const cli = path.resolve(examplesFolder, '../src/cli.ts');
  const args = ['presign', '--config', path.join(examplesFolder, 'config.yaml'), '--key', 'presigned.bin'];
  const ofTheStore = { S3_ACCESS_KEY: 'x', S3_SECRET_KEY: 'y', JWT_SECRET: jwtSecret };
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args, '--url', example.proxy.url], {
    env: { ...example.env, ...ofTheStore },
  });
  expect(await upload(['url', 'presigned.bin', stdout.trim()])).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('presigned.bin')).equals(bytes)).toBe(true);
});

test('the commands of its README', async () => {
  const film = await example.writeFile('film.mp4', 100_000);
  await example.writeFile('photo.png', 1000);
  await example.writeFile('photos', 1000);
  expect(await example.runReadme('curl')).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('films/film.mp4')).equals(film)).toBe(true);
  expect((await example.stored.readBytes('film.mp4')).equals(film)).toBe(true);
  expect((await example.stored.head('backup.tar')).ContentLength).toBeGreaterThan(1000);
});

test('a refusal is exit code 22, with S3’s error', async () => {
  await example.writeFile('refused.bin', 5 * MiB);
  const { code, output } = await upload(['put', 'refused.bin', 'refused.bin'], {
    env: { MIZUCHI_TOKEN: await createToken({}, 'another-secret-of-more-than-32-bytes') },
  });
  expect(code).toBe(22);
  expect(output).toContain('HTTP/1.1 401');
  expect(output).toContain('<Code>');
  expect(await example.stored.listKeys('refused')).toEqual([]);
});

test('without a token, or with arguments that it does not know, nothing is sent', async () => {
  const withoutToken = await upload(['put', 'small.bin', 'k'], { env: { MIZUCHI_TOKEN: undefined } });
  expect(withoutToken.output).toContain('MIZUCHI_TOKEN');
  expect(withoutToken.code).not.toBe(0);
  expect(await upload(['send', 'small.bin'])).toMatchObject({ code: 2, output: expect.stringContaining('usage:') });
});
