// The upload page of a real proxy before a real MinIO, in a real Chromium, with a network in between that can be cut.
import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Locator, Page } from 'playwright-core';
import type { S3Server } from '../servers/start-s3-server.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startToxiproxy, type ToxicProxy, type Toxiproxy } from '../servers/start-toxiproxy.ts';
import { openPage, startBrowser, type OpenedPage } from './browser.ts';
import { bucketConfig, s3Config } from './proxied-bucket.ts';
import type { RandomBody } from './random-body.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { createToken, startProxy, type RunningProxy } from './start-proxy.ts';

export interface UploadPage {
  readonly browser: Browser;
  readonly proxy: RunningProxy;
  /** Where the browser goes to: the proxy, by way of the network that can be cut. */
  readonly url: string;
  readonly network: ToxicProxy;
  readonly stored: BucketView;
  readonly token: string;
  /** A page of its own. @param token in the fragment; empty: none. */
  open(token?: string, options?: object): Promise<OpenedPage>;
  /** The same bytes under a name of their own, on disk. */
  makeFile(name: string, body: RandomBody): Promise<string>;
  /** Numbers of the parts that the backend has of the one open upload of a key. */
  storedParts(key: string): Promise<number[]>;
  stop(): Promise<void>;
}

const repository = path.resolve(import.meta.dirname, '../..');

/** @param more buckets beside `uploads`, made with the `s3` block of its backend. */
export async function startUploadPage(more: (s3: object) => readonly object[] = () => []): Promise<UploadPage> {
  await promisify(execFile)(process.execPath, ['src/ui/build-page.ts'], { cwd: repository });
  const server = await startMinio();
  const stored = await createBucket(server, 'backend-bucket');
  const proxy = await startProxy({
    config: {
      ui: { enabled: true },
      buckets: [bucketConfig({ s3: s3Config(server) }), ...more(s3Config(server))],
    },
  });
  const toxiproxy = await startToxiproxy();
  const network = await toxiproxy.createProxy(proxy.url);
  return joinUploadPage({ server, stored, proxy, toxiproxy, network });
}

interface Parts {
  readonly server: S3Server;
  readonly stored: BucketView;
  readonly proxy: RunningProxy;
  readonly toxiproxy: Toxiproxy;
  readonly network: ToxicProxy;
}

async function joinUploadPage({ server, stored, proxy, toxiproxy, network }: Parts): Promise<UploadPage> {
  const browser = await startBrowser();
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-page-'));
  const token = await createToken();
  const url = `${network.endpoint}/`;
  return {
    browser,
    proxy,
    url,
    network,
    stored,
    token,
    open: (given = token, options = {}) => openPage(browser, given === '' ? url : `${url}#token=${given}`, options),
    async makeFile(name, body) {
      const file = path.join(folder, name);
      const handle = await open(file, 'w');
      for (const chunk of body.chunks()) await handle.write(chunk);
      await handle.close();
      await utimes(file, 1_700_000_000, 1_700_000_000);
      return file;
    },
    async storedParts(key) {
      const Bucket = stored.bucket;
      const open = await stored.client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: key }));
      const UploadId = open.Uploads?.[0]?.UploadId;
      if (UploadId === undefined) return [];
      const parts = await stored.client.send(new ListPartsCommand({ Bucket, Key: key, UploadId }));
      return (parts.Parts ?? []).map(({ PartNumber }) => PartNumber ?? 0);
    },
    async stop() {
      await browser.close();
      await toxiproxy.stop();
      await proxy.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Chooses files as the picker would. */
export function chooseFiles(page: Page, files: string | string[]): Promise<void> {
  return page.locator('#drop input[type=file]:not([webkitdirectory])').first().setInputFiles(files);
}

export function startUpload(page: Page): Promise<void> {
  return page.getByRole('button', { name: /^Upload \d+ files?$/ }).click();
}

export function findRow(page: Page, name: string): Locator {
  return page.locator('#files li', { has: page.getByText(name, { exact: true }) });
}

/** Waits until the row of a file is in this state. */
export function seeStatus(page: Page, name: string, status: string, timeoutMs = 120_000): Promise<void> {
  return findRow(page, name)
    .and(page.locator(`[data-status=${status}]`))
    .waitFor({ timeout: timeoutMs });
}

/** Lets nobody hear of the completion of an upload before it is asked to; the server does it at once. @returns what asks. */
export async function holdCompletions(page: Page): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const isCompletion = ({ searchParams }: URL): boolean =>
    searchParams.has('uploadId') && !searchParams.has('partNumber');
  await page.route(isCompletion, async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    const response = await route.fetch();
    await promise;
    await route.fulfill({ response });
  });
  return resolve;
}

/** Drops files of a few bytes onto the page, each with its name for content. */
export async function dropFiles(page: Page, names: readonly string[]): Promise<void> {
  await page.evaluate(`{
    const transfer = new DataTransfer();
    for (const name of ${JSON.stringify(names)}) transfer.items.add(new File([name], name, { type: 'text/plain' }));
    document.querySelector('.uppy-Dashboard').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));
  }`);
}

/** What browsers of 2022 have not: for a page that has to do without. */
export const removeNewerFunctions = `{
  const ofLists = ['findLast', 'findLastIndex', 'toReversed', 'toSorted', 'toSpliced', 'with'];
  const ofSets = ['difference', 'intersection', 'isDisjointFrom', 'isSubsetOf', 'isSupersetOf', 'symmetricDifference', 'union'];
  const newer = [
    [AbortSignal, ['any', 'timeout']],
    [Array, ['fromAsync']],
    [Array.prototype, ofLists],
    [Object.getPrototypeOf(Uint8Array).prototype, ofLists],
    [Uint8Array, ['fromBase64', 'fromHex']],
    [Object, ['groupBy']],
    [Map, ['groupBy']],
    [Set.prototype, ofSets],
    [Promise, ['try', 'withResolvers']],
    [String.prototype, ['isWellFormed', 'toWellFormed']],
    [RegExp, ['escape']],
    [URL, ['canParse', 'parse']],
    [Blob.prototype, ['bytes']],
    [Response.prototype, ['bytes']],
    [Element.prototype, ['checkVisibility', 'moveBefore', 'setHTMLUnsafe']],
    [HTMLElement.prototype, ['showPopover', 'hidePopover', 'togglePopover']],
    [Document.prototype, ['startViewTransition']],
    [DataTransferItem.prototype, ['getAsFileSystemHandle']],
    // Of pages by HTTPS alone.
    [Crypto.prototype, ['randomUUID', 'subtle']],
    [globalThis, ['Iterator', 'requestIdleCallback', 'scheduler', 'CompressionStream', 'showOpenFilePicker', 'DisposableStack']],
  ];
  const iterator = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
  for (const name of Object.getOwnPropertyNames(iterator)) if (name !== 'constructor') delete iterator[name];
  for (const [owner, names] of newer) for (const name of names) delete owner[name];
}`;

export interface PartWatch {
  /** How often each part was sent, by its number. */
  readonly sent: ReadonlyMap<number, number>;
  /** Those that the page was told are stored. */
  readonly confirmed: ReadonlySet<number>;
}

/** Counts the UploadPart requests of a page. */
export function watchParts(page: Page): PartWatch {
  const sent = new Map<number, number>();
  const confirmed = new Set<number>();
  const numberOf = (url: string): number => Number(new URL(url).searchParams.get('partNumber') ?? 0);
  page.on('request', (request) => {
    const number = numberOf(request.url());
    if (number > 0) sent.set(number, (sent.get(number) ?? 0) + 1);
  });
  page.on('response', (response) => {
    const number = numberOf(response.url());
    if (number > 0 && response.status() === 200) confirmed.add(number);
  });
  return { sent, confirmed };
}
