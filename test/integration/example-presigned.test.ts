// The example of a backend that signs for a browser: its page in a real Chromium, and what a URL does not let through.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { npmVersion } from '../clients/find-client.ts';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import { startBrowser } from '../support/browser.ts';
import { readOutput } from '../support/example-page.ts';
import { examplesFolder, startExampleProxy, type ExampleProxy } from '../support/example-proxy.ts';

interface Signed {
  readonly key: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const MiB = 1024 * 1024;
const folder = path.join(examplesFolder, 'presigned');
let origin: string;
let example: ExampleProxy;
let backend: RunningProcess;
let browser: Browser;
beforeAll(async () => {
  const port = await freePort();
  origin = `http://localhost:${port}`;
  example = await startExampleProxy({ pageOrigin: origin });
  const { MIZUCHI_TOKEN: _, ...env } = example.env;
  backend = startProcess({
    command: process.execPath,
    args: [path.join(folder, 'server.mjs')],
    env: { ...env, PORT: String(port) },
  });
  await waitUntilReady(backend, async () => (await fetch(origin)).ok);
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await backend.stop('SIGTERM');
  await example.stop();
});

const ask = (body: string, contentType = 'application/json') =>
  fetch(`${origin}/uploads`, { method: 'POST', headers: { 'content-type': contentType }, body });
const sign = async (size: number): Promise<Signed> => {
  const answer = await ask(JSON.stringify({ type: 'image/png', size }));
  expect(answer.status).toBe(201);
  return (await answer.json()) as Signed;
};
const put = ({ url, headers }: Signed, size: number) =>
  fetch(url, { method: 'PUT', headers, body: Buffer.alloc(size, 'a') });

test('the versions that it asks for are those that are tested', async () => {
  const { dependencies } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const names = Object.keys(dependencies);
  expect(dependencies).toEqual(Object.fromEntries(names.map((name) => [name, npmVersion(name)])));
});

test.each([
  ['empty.png', 0, 'image/png'],
  ['film.mp4', 20 * MiB, 'video/mp4'],
])('its page uploads %s, %i bytes', async (name, sizeBytes, ContentType) => {
  const bytes = await example.writeFile(name, sizeBytes);
  const page = await browser.newPage();
  await page.goto(origin);
  await page.locator('input').setInputFiles(path.join(example.folder, name));
  const output = await readOutput(page, 'output');
  expect(output).toMatch(/^uploaded as [\da-f-]{36}\.(?:png|mp4)$/u);
  const key = output.slice('uploaded as '.length);
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
  expect(await example.stored.head(key)).toMatchObject({ ContentType });
  await page.close();
});

test('its page says what the backend refuses', async () => {
  await example.writeFile('program.exe', 1000);
  const page = await browser.newPage();
  await page.goto(origin);
  await page.locator('input').setInputFiles(path.join(example.folder, 'program.exe'));
  expect(await readOutput(page, 'output')).toContain('not uploaded: not a type that is taken');
  await page.close();
});

test('a URL takes what it was signed for', async () => {
  const signed = await sign(1000);
  expect(await (await put(signed, 1000)).text()).toBe('');
  expect((await example.stored.readBytes(signed.key)).toString()).toBe('a'.repeat(1000));
});

test.each<[string, (signed: Signed) => Signed, number]>([
  ['another length', (signed) => signed, 1001],
  ['another type', (signed) => ({ ...signed, headers: { 'Content-Type': 'text/html' } }), 1000],
  ['another key', (signed) => ({ ...signed, url: signed.url.replace('.png', 'x.png') }), 1000],
  [
    'another expiry',
    (signed) => ({ ...signed, url: signed.url.replace('X-Amz-Expires=300', 'X-Amz-Expires=900') }),
    1000,
  ],
])('a URL does not take %s', async (_, change, size) => {
  const signed = change(await sign(1000));
  const answer = await put(signed, size);
  expect({ status: answer.status, body: await answer.text() }).toEqual({
    status: 403,
    body: expect.stringContaining('SignatureDoesNotMatch'),
  });
  expect(await example.stored.listKeys(signed.key)).toEqual([]);
});

test.each([
  ['{"type":"image/png","size":104857601}', 413],
  ['{"type":"image/png","size":-1}', 400],
  ['{"type":"image/png"}', 400],
  ['{"type":"text/html","size":1}', 415],
  ['null', 400],
  ['{', 400],
  [JSON.stringify('x'.repeat(2000)), 413],
])('the backend does not sign %s', async (body, status) => {
  const answer = await ask(body);
  expect({ status: answer.status, answer: await answer.json() }).toEqual({
    status,
    answer: { error: expect.any(String) },
  });
});

test('the backend signs nothing for a form of another site', async () => {
  expect((await ask('{"type":"image/png","size":1}', 'text/plain')).status).toBe(415);
});
