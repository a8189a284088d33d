// Who may use the upload page and how: tokens, refusals in words, other origins, keyboard, screen readers, dark mode, a phone.
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import axe from 'axe-core';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandomBody } from '../support/random-body.ts';
import { sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';
import {
  chooseFiles,
  findRow,
  seeStatus,
  startUpload,
  startUploadPage,
  watchParts,
  type UploadPage,
} from '../support/upload-page.ts';
import { waitFor } from '../support/wait-for.ts';

const auth = { jwt: { secret: jwtSecret } };
/** A page of another origin: served from a port of its own, with nothing in it. */
let elsewhere: Server;
let otherOrigin: string;
let ui: UploadPage;
beforeAll(async () => {
  elsewhere = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  await new Promise<void>((resolve) => {
    elsewhere.listen(0, '127.0.0.1', resolve);
  });
  otherOrigin = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  ui = await startUploadPage((s3) => [
    { name: 'kept', s3, auth, upload: { overwrite: 'deny' } },
    { name: 'pictures', s3, auth, upload: { allowed_content_types: ['image/*'], max_object_size: '1MiB' } },
    { name: 'shared', s3, auth, cors: { allowed_origins: [otherOrigin] } },
    { name: 'open', s3, auth: { enabled: false } },
    { name: 'signed', s3, auth: { sigv4: { access_key: 'AKIDALICE', secret_key: jwtSecret } } },
    { name: 'team-*', s3: { ...s3, bucket: undefined }, auth },
  ]);
}, 300_000);
afterAll(async () => {
  elsewhere.close();
  await ui.stop();
});

const makeSmall = (name: string) => ui.makeFile(name, createRandomBody(name, 50_000));

test('a wrong token says why; with a right one the uploads go on by themselves', async () => {
  const { page, context } = await ui.open('');
  await chooseFiles(page, [await makeSmall('token-a.txt'), await makeSmall('token-b.txt')]);
  await startUpload(page);
  await seeStatus(page, 'token-a.txt', 'failed');
  expect(await page.getByRole('alert').allInnerTexts()).toContain(
    'A token is needed to upload here. Paste the one that you were given.',
  );
  await page.getByLabel('Access token').fill(await createToken({}, 'another-secret-of-more-than-32-bytes!'));
  await page.keyboard.press('Enter');
  await findRow(page, 'token-b.txt').getByText('The token is wrong or has expired').waitFor();
  expect(await ui.stored.listKeys('token-')).toEqual([]);
  await page.getByLabel('Access token').fill(`Bearer ${ui.token}\n`);
  await page.keyboard.press('Enter');
  await seeStatus(page, 'token-a.txt', 'done');
  await seeStatus(page, 'token-b.txt', 'done');
  expect(await ui.stored.listKeys('token-')).toEqual(['token-a.txt', 'token-b.txt']);
  expect(await page.getByLabel('Access token').isVisible()).toBe(false);
  await context.close();
});

test('an expired token says since when', async () => {
  const now = Math.floor(Date.now() / 1000);
  const { page, context } = await ui.open(await createToken({ iat: now - 7200, exp: now - 3600 }));
  await chooseFiles(page, await makeSmall('expired.txt'));
  await startUpload(page);
  await seeStatus(page, 'expired.txt', 'failed');
  const shown = await findRow(page, 'expired.txt').innerText();
  expect(shown).toMatch(/The token has expired \(it was good until .+\)\. Paste a new one, and the uploads go on\./u);
  expect(await ui.stored.listKeys('expired')).toEqual([]);
  await context.close();
});

test('a token of the fragment leaves the address at once, and is kept for this tab alone', async () => {
  const { page, context } = await ui.open();
  expect(page.url()).toBe(ui.url);
  await page.getByText('Token of tester, good until').waitFor();
  expect(await page.evaluate('JSON.stringify(localStorage) + document.cookie')).not.toContain(ui.token);
  await page.reload();
  await page.getByText('Token of tester, good until').waitFor();
  const another = await context.newPage();
  await another.goto(ui.url);
  await another.getByLabel('Access token').waitFor();
  await another.goto(
    `${ui.url}#${String(new URLSearchParams({ token: ui.token, bucket: 'kept', folder: 'in/alice' }))}`,
  );
  await waitFor(async () => another.url() === ui.url);
  await another.getByText('Token of tester, good until').waitFor();
  expect(await another.getByLabel('Folder').inputValue()).toBe('in/alice');
  expect(await another.locator('#bucket option:checked').innerText()).toBe('kept');
  await context.close();
});

test('refusals of the server and of the browser are sentences', async () => {
  const { page, context } = await ui.open();
  await ui.stored.client.send(
    new PutObjectCommand({
      Bucket: ui.stored.bucket,
      Key: 'taken.txt',
      Body: 'x',
    }),
  );
  await page.getByLabel('Bucket', { exact: true }).selectOption('kept');
  await chooseFiles(page, await makeSmall('taken.txt'));
  await startUpload(page);
  await findRow(page, 'taken.txt').getByText('There is a file of this name already').waitFor();
  expect((await ui.stored.readBytes('taken.txt')).toString()).toBe('x');
  await page.getByRole('button', { name: 'Remove: taken.txt' }).click();

  await page.getByLabel('Bucket', { exact: true }).selectOption('pictures');
  await chooseFiles(page, await makeSmall('not-a-picture.txt'));
  await page.getByText('You can only upload: image/*').first().waitFor();
  await chooseFiles(page, await ui.makeFile('large.png', createRandomBody('large', 2_000_000)));
  await page.getByText('large.png exceeds maximum allowed size of 1 MB').first().waitFor();
  expect(await page.locator('#files li').count()).toBe(0);

  await ui.stored.client.send(new CreateBucketCommand({ Bucket: 'team-red' }));
  await page.getByLabel('Bucket', { exact: true }).selectOption('team-* (say which)');
  await chooseFiles(page, await makeSmall('for-red.txt'));
  await startUpload(page);
  await page.locator('#destination-fault', { hasText: 'Say which bucket: a name such as team-*' }).waitFor();
  await page.getByLabel('Bucket’s name').fill('team-red');
  await page.getByRole('button', { name: 'Try again: for-red.txt' }).click();
  await seeStatus(page, 'for-red.txt', 'done');
  const { Contents } = await ui.stored.client.send(new ListObjectsV2Command({ Bucket: 'team-red' }));
  expect(Contents?.map(({ Key }) => Key)).toEqual(['for-red.txt']);
  await context.close();
});

test('what was interrupted goes on by the rules of its own bucket, whichever is chosen', async () => {
  const { page, context, faults } = await ui.open();
  page.on('dialog', (dialog) => void dialog.accept());
  const parts = watchParts(page);
  const body = createRandomBody('elsewhere', 48 * 1024 * 1024);
  const file = await ui.makeFile('elsewhere.bin', body);
  const slow = await ui.network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: 16_000 } });
  await chooseFiles(page, file);
  await startUpload(page);
  await waitFor(async () => parts.confirmed.size >= 1, 60_000);
  await page.reload();
  await slow.remove();
  await page.getByText('Unfinished uploads').waitFor();
  await page.getByLabel('Bucket', { exact: true }).selectOption('pictures');
  await page.locator('#unfinished input[type=file]').setInputFiles(file);
  await seeStatus(page, 'elsewhere.bin', 'done');
  expect(await ui.stored.readHash('elsewhere.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  // What is chosen from now on goes by what is chosen above.
  await chooseFiles(page, await makeSmall('no-picture.txt'));
  await page.getByText('You can only upload: image/*').first().waitFor();

  const large = await ui.makeFile('too-large.png', createRandomBody('too large', 2_000_000));
  const open = { path: '/pictures/too-large.png', name: 'too-large.png', sizeBytes: 2_000_000, lastModifiedMs: 1.7e12 };
  await page.evaluate(
    `localStorage.setItem('mizuchi-open-uploads', JSON.stringify([{ ...${JSON.stringify(open)}, uploadId: 'x', partBytes: 8_388_608, startedAtMs: Date.now(), busyUntilMs: 0, isCancelled: false }]))`,
  );
  await page.locator('#unfinished input[type=file]').setInputFiles(large);
  await page.locator('#unfinished').getByText('too-large.png exceeds maximum allowed size of 1 MB').waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test('buckets that a page cannot use are not offered; one without tokens asks for none', async () => {
  const { page, context } = await ui.open('');
  expect(await page.getByLabel('Bucket', { exact: true }).locator('option').allInnerTexts()).toEqual([
    'uploads',
    'kept',
    'pictures',
    'shared',
    'open',
    'team-* (say which)',
  ]);
  await page.getByLabel('Bucket', { exact: true }).selectOption('open');
  const body = createRandomBody('free', 50_000);
  await chooseFiles(page, await ui.makeFile('free.txt', body));
  await startUpload(page);
  await seeStatus(page, 'free.txt', 'done');
  expect((await ui.stored.readBytes('free.txt')).equals(body.bytes())).toBe(true);
  await context.close();
});

test('a page of an allowed origin sends to its bucket, in one request and in parts, and to no other', async () => {
  const context = await ui.browser.newContext();
  const page = await context.newPage();
  await page.goto(otherOrigin);
  const headers = JSON.stringify({ Authorization: `Bearer ${ui.token}`, 'Content-Type': 'text/plain' });
  const send = (method: string, path: string, body: string): Promise<{ status: number; etag: string; text: string }> =>
    page.evaluate(`(async () => {
      const answer = await fetch(${JSON.stringify(new URL(path, ui.url).href)}, { method: '${method}', headers: ${headers}, body: ${body} });
      return { status: answer.status, etag: answer.headers.get('ETag') ?? '', text: await answer.text() };
    })()`);
  expect(await send('PUT', '/shared/whole.txt', '"from elsewhere"')).toMatchObject({
    status: 200,
    etag: expect.stringMatching(/^"/u),
  });
  expect((await ui.stored.readBytes('whole.txt')).toString()).toBe('from elsewhere');

  const created = await send('POST', '/shared/parts.bin?uploads', 'undefined');
  const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.text)?.groups?.['id'] ?? '';
  const query = `uploadId=${encodeURIComponent(uploadId)}`;
  const part = await send('PUT', `/shared/parts.bin?partNumber=1&${query}`, 'new Uint8Array(6000000).fill(65)');
  expect(part.status).toBe(200);
  expect((await send('GET', `/shared/parts.bin?${query}`, 'undefined')).text).toContain(part.etag.replaceAll('"', ''));
  const list = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.etag}</ETag></Part></CompleteMultipartUpload>`;
  expect((await send('POST', `/shared/parts.bin?${query}`, JSON.stringify(list))).status).toBe(200);
  expect((await ui.stored.readHash('parts.bin')).size).toBe(6_000_000);

  await expect(send('PUT', '/uploads/denied.txt', '"no"')).rejects.toThrow('Failed to fetch');
  expect(await ui.stored.listKeys('denied')).toEqual([]);
  await context.close();
});

test('the keyboard is enough', async () => {
  const { page, context } = await ui.open();
  await page.getByRole('button', { name: 'choose files' }).waitFor();
  await page.getByLabel('Folder').focus();
  await page.keyboard.type('keys');
  await pressTabUntil(page, 'choose files');
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles([await makeSmall('keyboard-1.txt'), await makeSmall('keyboard-2.txt')]);
  await findRow(page, 'keyboard-2.txt').waitFor();
  await pressTabUntil(page, 'Remove: keyboard-2.txt');
  await page.keyboard.press('Enter');
  await findRow(page, 'keyboard-2.txt').waitFor({ state: 'detached' });
  await page.getByLabel('Folder').focus();
  await pressTabUntil(page, 'Upload 1 file');
  await page.keyboard.press('Enter');
  await seeStatus(page, 'keyboard-1.txt', 'done');
  await page.getByRole('status').getByText('All done: 1 uploaded.').waitFor();
  expect(await ui.stored.listKeys('keys/')).toEqual(['keys/keyboard-1.txt']);
  await context.close();
});

const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
test.each([
  ['a desk', {}],
  ['a desk in the dark', { colorScheme: 'dark' }],
  ['a phone', phone],
  ['a phone in the dark', { ...phone, colorScheme: 'dark' }],
])('on %s nothing is kept from a screen reader, too pale to read, or wider than the screen', async (_, options) => {
  const { page, context, faults } = await ui.open(ui.token, options);
  const slow = await ui.network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: 500 } });
  try {
    await page.getByLabel('Bucket', { exact: true }).selectOption('uploads');
    await seeNoViolations(page);
    const name = 'a-name-that-is-far-longer-than-the-line-that-it-has-on-a-phone-of-usual-width.bin';
    await chooseFiles(page, await ui.makeFile(name, createRandomBody('long', 40_000_000)));
    await seeNoViolations(page);
    await startUpload(page);
    await findRow(page, name)
      .getByText(/MB of 40\.0 MB · .+\/s · .+ left/u)
      .waitFor();
    await seeNoViolations(page);
    await page.getByRole('button', { name: `Pause: ${name}` }).click();
    await seeStatus(page, name, 'paused');
    await page.getByRole('button', { name: 'Change' }).click();
    await seeNoViolations(page);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.getByRole('button', { name: `Cancel: ${name}` }).click();
    await findRow(page, name).waitFor({ state: 'detached' });
  } finally {
    await slow.remove();
  }
  // A failure, and the form for the token with it.
  await page.getByLabel('Access token').fill('wrong');
  await page.keyboard.press('Enter');
  await chooseFiles(page, await makeSmall('failing.txt'));
  await startUpload(page);
  await seeStatus(page, 'failing.txt', 'failed');
  await seeNoViolations(page);
  expect(faults).toEqual([]);
  await context.close();
});

test('GET / is the page for browsers, JSON for programs, and still refused to who signs or asks', async () => {
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    sendRequest({ url: ui.proxy.url, method, path, headers });
  const asBrowser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
  const html = await get('/', asBrowser);
  expect(html.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  const policy = String(html.headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).not.toMatch(/unsafe|http|\*/u);
  expect(await get('/', asBrowser, 'HEAD')).toMatchObject({ status: 200, body: '' });
  expect(JSON.parse((await get('/')).body)).toMatchObject({ name: 'mizuchi-uploadr' });
  expect((await get('/', { ...asBrowser, authorization: 'AWS4-HMAC-SHA256 Credential=x' })).body).not.toContain(
    '<html',
  );
  expect((await get('/?list-type=2', asBrowser)).status).toBe(405);

  const assets = [...html.body.matchAll(/(?:src|href)="(?<path>[^"]+)"/gu)].map(
    (match) => match.groups?.['path'] ?? '',
  );
  expect(assets.map((path) => path.slice(path.lastIndexOf('.')))).toEqual(['.svg', '.css', '.js']);
  for (const path of assets) {
    const plain = await get(path);
    expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    const packed = await fetch(ui.proxy.url + path, { headers: { 'accept-encoding': 'gzip' } });
    expect([packed.headers.get('content-encoding'), await packed.text()]).toEqual(['gzip', plain.body]);
  }
  expect((await get('/-/ui/nothing.js')).status).toBe(404);
});

async function seeNoViolations(page: Page): Promise<void> {
  // Uppy fades some of its parts in; axe would measure them half there.
  // Not by waitForFunction: the page's policy lets nobody evaluate strings again and again.
  await waitFor(async () =>
    Boolean(
      await page.evaluate(
        'document.getAnimations().every((one) => one.playState !== "running" || one.effect.getTiming().iterations === Infinity)',
      ),
    ),
  );
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })`,
  )) as axe.AxeResults;
  expect(
    violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]),
  ).toEqual([]);
}

/** @throws Error when no element of that name is reached. */
async function pressTabUntil(page: Page, name: string): Promise<void> {
  const seen: string[] = [];
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('Tab');
    const reached = String(
      await page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent'),
    );
    if (reached === name) return;
    seen.push(reached);
  }
  throw new Error(`Tab does not reach ${name}: ${seen.join(', ')}`);
}
