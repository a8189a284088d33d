// Keys and persons in lines: as they are, as a keyed hash by which the same is known again, or not at all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Privacy } from '../../../../src/config/config.ts';
import { createPrivacyRules } from '../../../../src/telemetry/privacy.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(path.join(tmpdir(), 'mizuchi-privacy-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const rules = (keys: Privacy, subjects: Privacy, folder = stateDir) =>
  createPrivacyRules({ logging: { keys, subjects }, server: { stateDir: folder } } as Parameters<
    typeof createPrivacyRules
  >[0]);

test('plain is as it is, but for what is longer than any key', () => {
  const { tellKey, tellPerson } = rules('plain', 'plain');
  expect(tellKey('photos/ä\n.jpg')).toBe('photos/ä\n.jpg');
  expect(tellPerson('x'.repeat(20_000))).toBe(`${'x'.repeat(1024)}…`);
  expect(tellKey(undefined)).toBeUndefined();
});

test('off is nothing', () => {
  const { tellKey, tellPerson } = rules('off', 'off');
  expect([tellKey('a'), tellPerson('a')]).toEqual([undefined, undefined]);
});

test('a hash is the same for the same, in every process of a state_dir, and in no other', () => {
  const texts = ['alice', 'bob', '', 'ä'.repeat(5000)];
  const [one, two] = [rules('hashed', 'hashed'), rules('hashed', 'hashed')];
  const other = mkdtempSync(path.join(tmpdir(), 'mizuchi-privacy-'));
  const elsewhere = rules('hashed', 'hashed', other);
  rmSync(other, { recursive: true });
  for (const text of texts) {
    const hashed = one.tellPerson(text);
    expect(hashed).toMatch(/^[0-9a-f]{16}$/u);
    // The second time it may be remembered.
    for (const again of [one.tellPerson(text), two.tellPerson(text), two.tellKey(text), one.hash(text)])
      expect(again).toBe(hashed);
    expect(elsewhere.tellPerson(text)).not.toBe(hashed);
  }
  expect(new Set(texts.map((text) => one.tellPerson(text))).size).toBe(texts.length);
});
