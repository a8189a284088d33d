// What the page of an example says to its user.
import type { Page } from 'playwright-core';

/** Waits until it says anything. */
export async function readOutput(page: Page, selector: string): Promise<string> {
  const output = page.locator(selector).filter({ hasText: /\S/u });
  return (await output.textContent({ timeout: 60_000 })) ?? '';
}
