// What README.md points at is there, and what a reader should find from it is pointed at.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../..');
const readme = await readFile(path.join(repository, 'README.md'), 'utf8');
const withoutBlocks = readme.replaceAll(/^```.*?^```$/gmsu, '');

/** As GitHub makes them: lower case, of punctuation only - and _, and - for each space. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const headings = [...withoutBlocks.matchAll(/^(?<marks>#{2,}) (?<text>.+)$/gmu)].map(({ groups }) => ({
  level: groups?.['marks']?.length ?? 0,
  anchor: anchorOf(groups?.['text'] ?? ''),
}));
const targets = [...withoutBlocks.matchAll(/\]\((?<target>[^)\s]+)\)/gu)].map(({ groups }) => groups?.['target'] ?? '');

test('every link leads somewhere', () => {
  const anchors = new Set(headings.map(({ anchor }) => `#${anchor}`));
  expect(anchors.size).toBe(headings.length);
  const dead = targets.filter((target) => {
    if (target.startsWith('#')) return !anchors.has(target);
    return !/^https?:/u.test(target) && !existsSync(path.join(repository, target.replace(/#.*$/u, '')));
  });
  expect(dead).toEqual([]);
});

test('the contents have every section, in the order of the page', () => {
  const [, contents = ''] = /^\*\*Contents\*\*\n(?<list>.*?)^## /msu.exec(readme) ?? [];
  const listed = [...contents.matchAll(/\]\(#(?<anchor>[^)]+)\)/gu)].map(({ groups }) => groups?.['anchor']);
  const sections = headings.filter(({ level }) => level === 2).map(({ anchor }) => anchor);
  expect(listed.filter((anchor) => sections.includes(anchor ?? ''))).toEqual(sections);
});

test('every example is linked', async () => {
  const entries = await readdir(path.join(repository, 'examples'), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `examples/${name}`);
  expect(folders.filter((folder) => !targets.includes(folder))).toEqual([]);
});
