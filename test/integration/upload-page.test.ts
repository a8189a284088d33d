// The upload page sends: whole files byte for byte, and on through lost networks, reloads, pauses and cancels.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createRandomBody } from '../support/random-body.ts';
import {
  chooseFiles,
  dropFiles,
  findRow,
  holdCompletions,
  removeNewerFunctions,
  seeStatus,
  startUpload,
  startUploadPage,
  watchParts,
  type UploadPage,
} from '../support/upload-page.ts';
import { waitFor } from '../support/wait-for.ts';

const mib = 1024 * 1024;
/** Slow enough to be stopped on the way: 80 MiB take some five seconds. */
const slowKbPerSecond = 16_000;

let ui: UploadPage;
beforeAll(async () => {
  ui = await startUploadPage();
}, 300_000);
afterAll(() => ui.stop());
beforeEach(() => ui.network.setEnabled(true));

/** MinIO takes a prefix of multipart uploads for a whole key: so all are listed. */
async function openUploadsOf(start: string): Promise<string[]> {
  return (await ui.stored.listOpenUploads()).filter((key) => key.startsWith(start));
}

const slowDown = () =>
  ui.network.addToxic({ type: 'bandwidth', stream: 'upstream', attributes: { rate: slowKbPerSecond } });

test('300 MiB, an empty file and odd names go up at once, and are read back byte for byte', async () => {
  const { page, context, faults } = await ui.open();
  const bodies = {
    'film.mp4': createRandomBody('film', 300 * mib),
    'Fähre & Brücke 100% +1 #2 (neu).jpg': createRandomBody('odd', 100_001),
    'empty.txt': createRandomBody('empty', 0),
    'edge.bin': createRandomBody('edge', 32 * mib),
  };
  const files = await Promise.all(Object.entries(bodies).map(([name, body]) => ui.makeFile(name, body)));
  await chooseFiles(page, files);
  await startUpload(page);
  for (const name of Object.keys(bodies)) await seeStatus(page, name, 'done');
  await page.getByText('all uploaded').waitFor();
  for (const [name, body] of Object.entries(bodies)) {
    expect([name, await ui.stored.readHash(name)]).toEqual([name, { sha256: body.sha256(), size: body.sizeBytes }]);
  }
  expect((await ui.stored.head('film.mp4')).ContentType).toBe('video/mp4');
  expect(await ui.stored.listOpenUploads()).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test('a folder keeps its paths, below the folder that was typed; dropped files are taken', async () => {
  const { page, context } = await ui.open();
  const body = createRandomBody('in a folder', 1000);
  const file = await ui.makeFile('inner.txt', body);
  const folder = file.slice(0, file.lastIndexOf('/'));
  await page.getByLabel('Folder').fill(' /photos/2026/ ');
  await page.locator('#drop input[webkitdirectory]').first().setInputFiles(folder);
  await dropFiles(page, ['dropped.txt']);
  await findRow(page, 'dropped.txt').waitFor();
  await startUpload(page);
  await page.getByText('all uploaded').waitFor({ timeout: 120_000 });
  const folderName = folder.slice(folder.lastIndexOf('/') + 1);
  expect((await ui.stored.readBytes(`photos/2026/${folderName}/inner.txt`)).equals(body.bytes())).toBe(true);
  expect((await ui.stored.readBytes('photos/2026/dropped.txt')).toString()).toBe('dropped.txt');
  await context.close();
});

test('when the network is cut the upload waits, and goes on by itself with what is missing', async () => {
  const { page, context } = await ui.open();
  const parts = watchParts(page);
  const body = createRandomBody('cut', 80 * mib);
  const slow = await slowDown();
  await chooseFiles(page, await ui.makeFile('cut.bin', body));
  await startUpload(page);
  await waitFor(async () => parts.confirmed.size >= 2, 60_000);
  const confirmed = [...parts.confirmed];
  await ui.network.setEnabled(false);
  await seeStatus(page, 'cut.bin', 'waiting');
  expect(await findRow(page, 'cut.bin').innerText()).toContain('The connection to the server was lost. Trying again…');
  await ui.network.setEnabled(true);
  await slow.remove();
  await seeStatus(page, 'cut.bin', 'done');
  expect(await ui.stored.readHash('cut.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  expect(confirmed.map((number) => [number, parts.sent.get(number)])).toEqual(confirmed.map((number) => [number, 1]));
  expect(await ui.stored.listOpenUploads()).toEqual([]);
  await context.close();
});

test('without a network there is nothing to give up: back online, it goes on at once', async () => {
  const { page, context } = await ui.open();
  const parts = watchParts(page);
  const body = createRandomBody('offline', 48 * mib);
  const slow = await slowDown();
  await chooseFiles(page, await ui.makeFile('offline.bin', body));
  await startUpload(page);
  await waitFor(async () => parts.confirmed.size >= 1, 60_000);
  await context.setOffline(true);
  // The emulation lets requests that are under way through: the cut is for them.
  await ui.network.setEnabled(false);
  await seeStatus(page, 'offline.bin', 'waiting');
  await ui.network.setEnabled(true);
  await slow.remove();
  await context.setOffline(false);
  await seeStatus(page, 'offline.bin', 'done');
  expect(await ui.stored.readHash('offline.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  await context.close();
});

test('after a reload the same file goes on where it stopped', async () => {
  const { page, context } = await ui.open();
  page.on('dialog', (dialog) => void dialog.accept());
  const body = createRandomBody('reload', 80 * mib);
  const file = await ui.makeFile('reload.bin', body);
  const before = watchParts(page);
  const slow = await slowDown();
  await page.getByLabel('Folder').fill('films');
  await chooseFiles(page, file);
  await startUpload(page);
  await waitFor(async () => before.confirmed.size >= 2, 60_000);
  await page.reload();
  await slow.remove();
  await page.getByText('Unfinished uploads').waitFor();
  const there = await ui.storedParts('films/reload.bin');
  expect(there.length).toBeGreaterThanOrEqual(2);

  const after = watchParts(page);
  const again = page.locator('#unfinished input[type=file]');
  await again.setInputFiles(await ui.makeFile('another.bin', createRandomBody('another', 100)));
  await page.getByText('That is another file').waitFor();
  await again.setInputFiles(file);
  await seeStatus(page, 'reload.bin', 'done');
  expect(await ui.stored.readHash('films/reload.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  const resent = there.filter(
    (number) => after.sent.has(number) && before.confirmed.has(number) && there.includes(number),
  );
  expect(resent).toEqual([]);
  expect(after.sent.size).toBeGreaterThan(0);
  expect(await ui.stored.listOpenUploads()).toEqual([]);
  expect(await page.getByText('Unfinished uploads').count()).toBe(0);
  await context.close();
});

test('after a reload, adding the file anew does the same; an upload that has gone begins again', async () => {
  const { page, context } = await ui.open();
  page.on('dialog', (dialog) => void dialog.accept());
  const body = createRandomBody('gone', 48 * mib);
  const file = await ui.makeFile('gone.bin', body);
  const before = watchParts(page);
  const slow = await slowDown();
  await chooseFiles(page, file);
  await startUpload(page);
  await waitFor(async () => before.confirmed.size >= 1, 60_000);
  await page.reload();
  const confirmed = [...before.confirmed];
  await chooseFiles(page, file);
  await page.getByText('goes on where it stopped').waitFor();
  const after = watchParts(page);
  await startUpload(page);
  await waitFor(async () => after.confirmed.size >= 1, 60_000);
  expect(confirmed.filter((number) => after.sent.has(number))).toEqual([]);
  await page.reload();
  await slow.remove();
  await ui.stored.abortOpenUploads();
  await chooseFiles(page, file);
  await startUpload(page);
  await seeStatus(page, 'gone.bin', 'done');
  expect(await ui.stored.readHash('gone.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  await context.close();
});

test('paused, nothing more is sent; resumed, it goes on', async () => {
  const { page, context } = await ui.open();
  const parts = watchParts(page);
  const body = createRandomBody('pause', 80 * mib);
  const slow = await slowDown();
  await chooseFiles(page, await ui.makeFile('pause.bin', body));
  await startUpload(page);
  await waitFor(async () => parts.confirmed.size >= 1, 60_000);
  await page.getByRole('button', { name: 'Pause: pause.bin' }).click();
  await seeStatus(page, 'pause.bin', 'paused');
  await ui.proxy.waitUntilIdle();
  const sent = [...parts.sent.values()].reduce((sum, count) => sum + count, 0);
  await slow.remove();
  // Another file goes its way meanwhile.
  await chooseFiles(page, await ui.makeFile('meanwhile.bin', createRandomBody('meanwhile', 1000)));
  await page.getByRole('button', { name: /^Upload/ }).click();
  await seeStatus(page, 'meanwhile.bin', 'done');
  expect([...parts.sent.values()].reduce((sum, count) => sum + count, 0)).toBe(sent);
  await page.getByRole('button', { name: 'Resume: pause.bin' }).click();
  await seeStatus(page, 'pause.bin', 'done');
  expect(await ui.stored.readHash('pause.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  await context.close();
});

test('once the server puts a file together, a pause cuts nothing and a cancel says that it came too late', async () => {
  const { page, context, faults } = await ui.open();
  const giveAnswers = await holdCompletions(page);
  const bar = page.locator('.uppy-StatusBar');
  const parts = watchParts(page);
  const body = createRandomBody('finishing', 40 * mib);
  await chooseFiles(page, await ui.makeFile('finishing-1.bin', body));
  await startUpload(page);
  await seeStatus(page, 'finishing-1.bin', 'finishing');
  await bar.getByRole('button', { name: 'Pause' }).click();
  await bar.getByRole('button', { name: 'Resume' }).click();
  await bar.getByRole('button', { name: 'Pause' }).click();
  await seeStatus(page, 'finishing-1.bin', 'finishing');

  await chooseFiles(page, await ui.makeFile('finishing-2.bin', createRandomBody('2', 40 * mib)));
  await page.getByRole('button', { name: /^Upload/ }).click();
  await seeStatus(page, 'finishing-2.bin', 'finishing');
  await waitFor(async () => (await ui.stored.listKeys('finishing-')).length === 2);
  const sent = [...parts.sent];
  giveAnswers();
  await seeStatus(page, 'finishing-1.bin', 'done');
  await seeStatus(page, 'finishing-2.bin', 'done');
  expect([...parts.sent]).toEqual(sent);
  expect(await ui.stored.readHash('finishing-1.bin')).toEqual({ sha256: body.sha256(), size: body.sizeBytes });

  const giveMore = await holdCompletions(page);
  await chooseFiles(page, await ui.makeFile('finishing-3.bin', createRandomBody('3', 40 * mib)));
  await page.getByRole('button', { name: /^Upload/ }).click();
  await seeStatus(page, 'finishing-3.bin', 'finishing');
  await waitFor(async () => (await ui.stored.listKeys('finishing-3')).length === 1);
  await bar.getByRole('button', { name: 'Cancel' }).click();
  await findRow(page, 'finishing-3.bin').waitFor({ state: 'detached' });
  giveMore();
  await page.getByText('finishing-3.bin had arrived before it was cancelled, and is stored.').first().waitFor();
  expect(await page.evaluate(`localStorage.getItem('mizuchi-open-uploads')`)).toBe('[]');
  expect(faults).toEqual([]);
  await context.close();
});

test('files that are cancelled or paused while the server puts them together hold nothing up but their own place', async () => {
  const { page, context, faults } = await ui.open();
  const giveAnswers = await holdCompletions(page);
  const bar = page.locator('.uppy-StatusBar');
  const upload = () => page.getByRole('button', { name: /^Upload \d+/ }).click();
  const names = ['held-1.bin', 'held-2.bin', 'held-3.bin'];
  const body = createRandomBody('held', 33 * mib);
  const files = await Promise.all(names.map((name) => ui.makeFile(name, body)));
  await chooseFiles(page, files);
  await startUpload(page);
  for (const name of names) await seeStatus(page, name, 'finishing');
  await waitFor(async () => (await ui.stored.listKeys('held-')).length === 3);

  // Paused, they leave their turn to others.
  await bar.getByRole('button', { name: 'Pause' }).click();
  await dropFiles(page, ['passing-1.txt']);
  await upload();
  await seeStatus(page, 'passing-1.txt', 'done', 30_000);
  for (const name of names) await seeStatus(page, name, 'finishing');

  // Cancelled, so they do; and whatever goes to the same place comes after them.
  await bar.getByRole('button', { name: 'Cancel' }).click();
  await findRow(page, 'held-1.bin').waitFor({ state: 'detached' });
  await chooseFiles(page, files.slice(0, 2));
  await dropFiles(page, ['passing-2.txt', 'held-3.bin']);
  await upload();
  await seeStatus(page, 'passing-2.txt', 'done', 30_000);
  for (const name of names) await seeStatus(page, name, 'waiting');
  expect(await findRow(page, 'held-1.bin').innerText()).toContain('still finishing the file of this name');
  // They can be paused, and be cancelled, while they wait; the next of the place waits too.
  await page.getByRole('button', { name: 'Pause: held-1.bin' }).click();
  await seeStatus(page, 'held-1.bin', 'paused');
  await page.getByRole('button', { name: 'Resume: held-1.bin' }).click();
  await seeStatus(page, 'held-1.bin', 'waiting');
  await page.getByRole('button', { name: 'Cancel: held-2.bin' }).click();
  await findRow(page, 'held-2.bin').waitFor({ state: 'detached' });
  await chooseFiles(page, files.slice(1, 2));
  await upload();
  await seeStatus(page, 'held-2.bin', 'waiting');
  // Of two that wait for one place, one is refused.
  await page
    .locator('#drop input[type=file]')
    .first()
    .setInputFiles({ name: 'held-1.bin', mimeType: 'text/plain', buffer: Buffer.from('another') });
  await upload();
  await page.locator('#files li.is-failed').getByText('goes to the same place').waitFor();

  giveAnswers();
  await seeStatus(page, 'held-3.bin', 'done');
  await page.locator('#files').getByText('4 uploaded').waitFor({ timeout: 60_000 });
  expect(await page.locator('#files li.is-failed').count()).toBe(1);
  for (const name of names.slice(0, 2))
    expect(await ui.stored.readHash(name)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  expect((await ui.stored.readBytes('held-3.bin')).toString()).toBe('held-3.bin');
  expect(await page.evaluate(`localStorage.getItem('mizuchi-open-uploads')`)).toBe('[]');
  expect(await ui.stored.listOpenUploads()).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test('a small file that is cancelled when all of it was sent may be stored, and the page says so', async () => {
  const { page, context, faults } = await ui.open();
  const late = await ui.network.addToxic({ type: 'latency', stream: 'downstream', attributes: { latency: 3000 } });
  try {
    await chooseFiles(page, await ui.makeFile('late.txt', createRandomBody('late', 1000)));
    await startUpload(page);
    await findRow(page, 'late.txt').getByText('100 %').first().waitFor();
    await page.getByRole('button', { name: 'Cancel: late.txt' }).click();
    await page.getByText('late.txt was cancelled at the very end, and may be stored all the same.').first().waitFor();
  } finally {
    await late.remove();
  }
  await findRow(page, 'late.txt').waitFor({ state: 'detached' });
  expect(faults).toEqual([]);
  await context.close();
});

test('of hundreds of files the list shows those that matter, and more when asked', async () => {
  const { page, context, faults } = await ui.open();
  const names = Array.from({ length: 450 }, (_, i) => `many-${i + 1}.txt`);
  const rows = page.locator('#files li');
  await dropFiles(page, names);
  await page.getByRole('heading', { name: '450 files' }).waitFor();
  expect(await rows.count()).toBe(200);
  await page.getByText('and 250 more').waitFor();
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByText('and 50 more').waitFor();
  expect(await rows.count()).toBe(400);
  // The same place as another of them: it fails at once, and so it is shown, though it is the last.
  await page
    .locator('#drop input[type=file]')
    .first()
    .setInputFiles({
      name: 'many-1.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('of another size'),
    });
  await page.getByRole('heading', { name: '451 files' }).waitFor();
  await page.getByRole('button', { name: /^Upload/ }).click();
  await page.locator('#files li.is-failed').waitFor();
  await page.locator('#files').getByText('450 uploaded').waitFor({ timeout: 120_000 });
  expect(await rows.first().getAttribute('data-status')).toBe('failed');
  expect((await ui.stored.listKeys('many-')).length).toBe(450);
  expect(faults).toEqual([]);
  await context.close();
});

test('a browser of 2022 is enough', async () => {
  const { page, context, faults } = await ui.open();
  await page.addInitScript(removeNewerFunctions);
  await page.reload();
  expect(await page.evaluate('"any" in AbortSignal || "toSorted" in [] || "map" in [].values()')).toBe(false);
  const bodies = { 'older-1.txt': createRandomBody('1', 1000), 'older-2.bin': createRandomBody('2', 40 * mib) };
  for (const [name, body] of Object.entries(bodies)) await chooseFiles(page, await ui.makeFile(name, body));
  await page.getByLabel('Folder').fill('older');
  await startUpload(page);
  for (const name of Object.keys(bodies)) await seeStatus(page, name, 'done');
  for (const [name, body] of Object.entries(bodies))
    expect(await ui.stored.readHash(`older/${name}`)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
  await page.getByRole('button', { name: 'Hide: older-1.txt' }).click();
  await page.getByRole('button', { name: 'Clear list' }).click();
  await findRow(page, 'older-2.bin').waitFor({ state: 'detached' });
  expect(faults).toEqual([]);
  await context.close();
});

test('cancelled, a file leaves no object and no multipart upload: at work, paused, and cut off', async () => {
  const { page, context } = await ui.open();
  const large = ['cancel-1.bin', 'cancel-2.bin', 'cancel-3.bin'];
  const slow = await slowDown();
  for (const name of large) await chooseFiles(page, await ui.makeFile(name, createRandomBody(name, 64 * mib)));
  await chooseFiles(page, await ui.makeFile('cancel-4.bin', createRandomBody('4', 30 * mib)));
  await startUpload(page);
  await waitFor(async () => (await openUploadsOf('cancel-')).length === 3, 60_000);
  await page.getByRole('button', { name: 'Pause: cancel-2.bin' }).click();
  await page.getByRole('button', { name: 'Cancel: cancel-1.bin' }).click();
  await page.getByRole('button', { name: 'Cancel: cancel-2.bin' }).click();
  await seeStatus(page, 'cancel-4.bin', 'sending');
  await page.getByRole('button', { name: 'Cancel: cancel-4.bin' }).click();
  await waitFor(async () => (await openUploadsOf('cancel-')).join() === 'cancel-3.bin', 60_000);
  await ui.network.setEnabled(false);
  await page.getByRole('button', { name: 'Cancel: cancel-3.bin' }).click();
  await ui.network.setEnabled(true);
  await slow.remove();
  await waitFor(async () => (await openUploadsOf('cancel-')).length === 0, 60_000);
  await ui.proxy.waitUntilIdle();
  expect(await ui.stored.listKeys('cancel-')).toEqual([]);
  expect(await page.locator('#files li').count()).toBe(0);
  await context.close();
});

test('what was cancelled while the page could tell nobody is ended at the next visit; what is unfinished can be discarded', async () => {
  const { page, context } = await ui.open();
  page.on('dialog', (dialog) => void dialog.accept());
  const slow = await slowDown();
  for (const name of ['late-1.bin', 'late-2.bin'])
    await chooseFiles(page, await ui.makeFile(name, createRandomBody(name, 64 * mib)));
  await startUpload(page);
  const notes = `JSON.parse(localStorage.getItem('mizuchi-open-uploads') ?? '[]')`;
  // The backend has them before the page has heard of their ids.
  await waitFor(async () => (await page.evaluate(`${notes}.length`)) === 2, 60_000);
  await ui.network.setEnabled(false);
  await page.getByRole('button', { name: 'Cancel: late-1.bin' }).click();
  await findRow(page, 'late-1.bin').waitFor({ state: 'detached' });
  // Only now is it sure that the page has noted it, and cannot tell the server before it is closed.
  await waitFor(async () => Boolean(await page.evaluate(`${notes}.some((one) => one.isCancelled)`)));
  await page.goto('about:blank');
  await ui.network.setEnabled(true);
  await slow.remove();
  await page.goto(ui.url);
  await waitFor(async () => (await openUploadsOf('late-')).join() === 'late-2.bin', 60_000);
  await page.getByRole('button', { name: 'Discard: late-2.bin' }).click();
  await waitFor(async () => (await openUploadsOf('late-')).length === 0, 60_000);
  expect(await ui.stored.listKeys('late-')).toEqual([]);
  await context.close();
});
