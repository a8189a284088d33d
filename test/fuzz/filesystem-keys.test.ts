// Any key becomes a path of its own under the root, and the path tells the key; or it is refused.
import * as fc from 'fast-check';
import path from 'node:path';
import { expect, test } from 'vitest';
import { S3Error } from '../../src/errors.ts';
import { encodeKey } from '../../src/storage/filesystem/encode-key.ts';
import { decodePath } from '../contract/storage/filesystem-under-test.ts';

/** Pieces that mean something to the encoding, or to a file system. */
const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('/', '+', '%', '.', '..', '%~', '%meta', '%tmp', '%uploads', '%25', '%2B', '%2E', 'a'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('\0', '\n', '\u007f', 'é', 'e\u0301', '🦑', ' ', '\\', '"', 'upload.json', '00001'),
  },
  { weight: 1, arbitrary: fc.integer({ min: 236, max: 244 }).map((length) => 'x'.repeat(length)) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
);
const anyKey = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));

function encodeOrRefuse(key: string): readonly string[] | undefined {
  try {
    return encodeKey(key);
  } catch (error) {
    if (error instanceof S3Error && (error.code === 'InvalidURI' || error.code === 'KeyTooLongError')) return undefined;
    throw error;
  }
}

const encodedKey = anyKey
  .map((key) => ({ key, names: encodeOrRefuse(key) }))
  .filter(({ names }) => names !== undefined);
const legalKey = encodedKey.map(({ key, names }) => ({ key, names: names ?? [] }));
const numRuns = 20_000;

test('the path tells the key', () => {
  fc.assert(
    fc.property(legalKey, ({ key, names }) => {
      expect(decodePath(names)).toBe(key);
    }),
    { numRuns },
  );
});

test('names are ones that every file system takes, and lead nowhere else', () => {
  fc.assert(
    fc.property(legalKey, ({ names }) => {
      expect(path.join('/store', ...names)).toBe(`/store/${names.join('/')}`);
      for (const name of names) {
        expect(['', '.', '..']).not.toContain(name);
        // eslint-disable-next-line no-control-regex -- that there is none is what is asked
        expect(name).not.toMatch(/[/\u0000-\u001f\u007f]/);
        expect(Buffer.from(name).toString()).toBe(name);
      }
      for (const name of [...names, `${names.at(-1)}%meta`]) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    }),
    { numRuns },
  );
});

test('no two keys meet, nor their records, nor the folders of one and the files of another', () => {
  /** A key and one that is made from it: far more likely to meet than two at random. */
  const related = fc.tuple(legalKey, piece, fc.nat()).map(([{ key, names }, extra, at]) => {
    const cut = at % (key.length + 1);
    const changed = [
      key + extra,
      extra + key,
      key.slice(0, cut) + extra + key.slice(cut),
      key.slice(0, cut),
      names.join('/'),
    ];
    return { key, names, other: changed[at % changed.length] ?? '' };
  });
  fc.assert(
    fc.property(related, ({ key, names, other }) => {
      const otherNames = encodeOrRefuse(other);
      if (otherNames === undefined || other === key) return;
      const [file, otherFile] = [names.join('/'), otherNames.join('/')];
      expect(otherFile).not.toBe(file);
      expect(otherFile).not.toBe(`${file}%meta`);
      expect(`${otherFile}%meta`).not.toBe(file);
      for (const leaf of [file, `${file}%meta`]) expect(`${otherFile}/`.startsWith(`${leaf}/`)).toBe(false);
      for (const leaf of [otherFile, `${otherFile}%meta`]) expect(`${file}/`.startsWith(`${leaf}/`)).toBe(false);
    }),
    { numRuns },
  );
});

test('what the storage keeps for itself is no part of any key', () => {
  fc.assert(
    fc.property(legalKey, ({ names }) => {
      expect(['%tmp', '%uploads']).not.toContain(names[0]);
      expect(names.some((name) => name.endsWith('%meta'))).toBe(false);
    }),
    { numRuns },
  );
});

test('text that is no Unicode is refused, as it could not be told from other such text', () => {
  fc.assert(
    fc.property(anyKey, anyKey, fc.integer({ min: 0xd800, max: 0xdfff }), (before, after, surrogate) => {
      const key = before + String.fromCharCode(surrogate) + after;
      expect(key.isWellFormed() || encodeOrRefuse(key) === undefined).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
