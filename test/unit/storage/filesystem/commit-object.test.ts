// The step that shows an object, when it fails.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRootFolder } from '../../../../src/storage/filesystem/bucket-folder.ts';
import { commitObject, findObject } from '../../../../src/storage/filesystem/commit-object.ts';
import { TemporaryFile } from '../../../../src/storage/filesystem/temporary-files.ts';
import { failureOf } from '../../../contract/storage/counted-body.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
});
afterEach(() => rm(root, { recursive: true }));

async function commit(text: string, options: { readonly isLost: boolean; readonly mustBeNew: boolean }) {
  const place = await createRootFolder(root).locate({ bucket: 'uploads', key: 'object' });
  const data = await TemporaryFile.create(place.temporaryFolder);
  await data.handle.writeFile(text);
  const version = await data.seal();
  // As if somebody had cleared the folder: the bytes cannot be put in their place.
  if (options.isLost) await data.discard();
  const conditions = { mustBeNew: options.mustBeNew, etag: undefined };
  const failure = await failureOf(
    commitObject({ place, conditions, data, version, etag: `"${text}"`, headers: {}, checksums: [] }),
  );
  await data.discard();
  return { failure, record: (await findObject(place))?.record };
}

test.each([true, false])('leaves no record where no object is (new: %s)', async (mustBeNew) => {
  const { failure } = await commit('lost', { isLost: true, mustBeNew });
  expect(failure).toMatchObject({ code: 'ENOENT' });
  expect(await readdir(path.join(root, 'uploads'))).toEqual(['%tmp']);
  expect(await readdir(path.join(root, 'uploads', '%tmp'))).toEqual([]);
});

test('leaves the old object its record', async () => {
  await commit('old', { isLost: false, mustBeNew: false });
  const { failure, record } = await commit('new', { isLost: true, mustBeNew: false });
  expect(failure).toMatchObject({ code: 'ENOENT' });
  expect(record?.etag).toBe('"old"');
});
