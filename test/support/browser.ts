// A real Chromium for the tests of the upload page.
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { findOnPath, isProgram } from '../servers/build-once.ts';

/** @throws Error that says how to get the program. */
export function findChromium(): string {
  const explicit = process.env['MIZUCHI_TEST_CHROMIUM'] ?? '';
  if (explicit !== '') {
    if (isProgram(explicit)) return explicit;
    throw new Error(`MIZUCHI_TEST_CHROMIUM is ${explicit}, which is not an executable file`);
  }
  const onPath = findOnPath(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']);
  if (onPath !== undefined) return onPath;
  throw new Error(
    'Chromium is needed by these tests and is not on PATH. Do one of these: set MIZUCHI_TEST_CHROMIUM to the program’s path; ' +
      'or install it (Debian: apt-get install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium).',
  );
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    // Its sandbox does not work for root, and /dev/shm is small in containers.
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
  });
}

export interface OpenedPage {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Exceptions of the page, what the Content-Security-Policy has kept from it, and requests to anybody but its own server. */
  readonly faults: string[];
}

/** A page of its own: with no storage, cookie or token of another. */
export async function openPage(browser: Browser, url: string, options: object = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy|Uncaught/.test(message.text()))
      faults.push(message.text());
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(url).origin) faults.push(`asks ${origin}`);
  });
  // From the start: asked for at the moment of use, the dialog can open before anybody has a hand on it.
  page.on('filechooser', () => {});
  await page.goto(url);
  return { context, page, faults };
}
