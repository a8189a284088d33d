// The example of a page on another origin, in a real Chromium: fetch, XMLHttpRequest, Uppy in one piece and in parts.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { npmVersion } from '../clients/find-client.ts';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import { startBrowser } from '../support/browser.ts';
import { readOutput } from '../support/example-page.ts';
import { examplesFolder, startExampleProxy, type ExampleProxy } from '../support/example-proxy.ts';
import { createToken } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
const folder = path.join(examplesFolder, 'browser');
let origin: string;
let example: ExampleProxy;
let browser: Browser;
beforeAll(async () => {
  origin = `http://localhost:${await freePort()}`;
  example = await startExampleProxy({ pageOrigin: origin });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await example.stop();
});

let server: RunningProcess;
let page: Page;
const open = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
  server = startProcess({
    command: process.execPath,
    args: [path.join(folder, 'server.mjs')],
    env: { ...example.env, PORT: new URL(origin).port, ...env },
  });
  await waitUntilReady(server, async () => (await fetch(origin)).ok);
  await page.goto(origin);
  // Uppy is the last that is set up.
  await page.locator('#uppy .uppy-Dashboard-AddFiles').waitFor();
};
beforeEach(async () => {
  page = await browser.newPage();
});
afterEach(async () => {
  await page.close();
  await server.stop('SIGTERM');
});

test('the versions that it asks for are those that are tested', async () => {
  await open();
  const { dependencies } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const names = Object.keys(dependencies);
  expect(dependencies).toEqual(Object.fromEntries(names.map((name) => [name, npmVersion(name)])));
});

test.each(['fetch', 'xhr'])('%s', async (way) => {
  await open();
  const name = `by ${way} ü+&.bin`;
  const bytes = await example.writeFile(name, 20 * MiB);
  await page.locator(`#${way}`).setInputFiles(path.join(example.folder, name));
  expect(await readOutput(page, `output[for=${way}]`)).toMatch(/^uploaded by .*, ETag "[\da-f]{32}"$/u);
  expect((await example.stored.readBytes(name)).equals(bytes)).toBe(true);
  const progress = await page.locator('progress').evaluate((bar) => Number(bar.getAttribute('value')));
  expect(progress).toBe(way === 'xhr' ? 20 * MiB : 0);
});

test.each([
  ['in one piece', 1000, /^"[\da-f]{32}"$/u],
  ['in parts', 20 * MiB, /^"[\da-f]{32}-3"$/u],
])('Uppy, %s', async (how, sizeBytes, etag) => {
  await open();
  const name = `by Uppy ü+& ${how}.png`;
  const bytes = await example.writeFile(name, sizeBytes);
  await page.locator('#uppy .uppy-Dashboard-input').first().setInputFiles(path.join(example.folder, name));
  expect(await readOutput(page, 'output[for=uppy]')).toBe(`uploaded ${name}`);
  expect((await example.stored.readBytes(name)).equals(bytes)).toBe(true);
  expect(await example.stored.head(name)).toMatchObject({
    ETag: expect.stringMatching(etag),
    ContentType: 'image/png',
  });
});

test.each(['fetch', 'xhr'])('%s: the page’s user is told why it is refused', async (way) => {
  await open({ MIZUCHI_TOKEN: await createToken({}, 'another-secret-of-more-than-32-bytes') });
  await example.writeFile('refused.bin', 1000);
  await page.locator(`#${way}`).setInputFiles(path.join(example.folder, 'refused.bin'));
  expect(await readOutput(page, `output[for=${way}]`)).toBe('not uploaded: 401: A valid bearer token is required.');
  expect(await example.stored.listKeys('refused')).toEqual([]);
});

test('a page of any other origin is kept out', async () => {
  await open();
  const send = (key: string): Promise<number> =>
    page.evaluate(
      async ([url, token]) => {
        const headers = { Authorization: `Bearer ${token}` };
        return (await fetch(url, { method: 'PUT', body: 'x', headers })).status;
      },
      [`${example.proxy.url}/uploads/${key}`, example.env['MIZUCHI_TOKEN'] ?? ''] as const,
    );
  expect(await send('own')).toBe(200);
  await page.goto('about:blank');
  await expect(send('stray')).rejects.toThrow('Failed to fetch');
  expect(await example.stored.listKeys('stray')).toEqual([]);
});
