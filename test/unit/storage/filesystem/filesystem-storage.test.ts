// What only a storage of plain files has to answer for: its layout, its records, links, and what it cannot do.
import {
  cp,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import { createCountedBody, failureOf } from '../../../contract/storage/counted-body.ts';
import { listObjects, readObject } from '../../../contract/storage/filesystem-under-test.ts';
import { everyKey } from '../../../contract/storage/keys.ts';
import { at, createBucketHelpers, etagOf, never } from './bucket-in-folder.ts';

let root: string;
let bucketFolder: string;
let storage: Storage;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
  bucketFolder = path.join(root, 'uploads');
  storage = createFilesystemStorage({ root });
});
afterEach(async () => {
  await storage.close();
  await rm(root, { recursive: true });
});

const { inBucket, put, metadataOf } = createBucketHelpers(() => ({ bucketFolder, storage }));

describe('the layout', () => {
  test('can be read by a person', async () => {
    await put('photos/2026/summer day.jpg', 'bytes', { 'content-type': 'image/jpeg' });
    expect(await readFile(inBucket('photos+', '2026+', 'summer day.jpg'), 'utf8')).toBe('bytes');
    const record: unknown = JSON.parse(await readFile(inBucket('photos+', '2026+', 'summer day.jpg%meta'), 'utf8'));
    expect(record).toMatchObject({
      key: 'photos/2026/summer day.jpg',
      etag: etagOf('bytes'),
      size: 5,
      headers: { 'content-type': 'image/jpeg' },
      lastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
  });

  test('tells every key from the path alone', { timeout: 60_000 }, async () => {
    for (const key of everyKey) await put(key, 'x');
    expect([...(await listObjects(bucketFolder)).keys()].toSorted()).toEqual(everyKey.toSorted());
  });

  test('takes no bucket that is not a folder of the root', async () => {
    for (const bucket of ['', '.', '..', '../other', 'a/b', '%tmp', 'a\0b', '-x', 'x'.repeat(256)]) {
      const putting = storage.putObject({ bucket, key: 'x' }, new Map(), createCountedBody(Buffer.from('x')), never);
      await expect(putting).rejects.toMatchObject({ code: 'NoSuchBucket' });
    }
    expect(await readdir(root)).toEqual([]);
  });

  test.each(['.', '..', 'a/../b', '../x', 'a/..', './a'])('refuses the key %j', async (key) => {
    await expect(put(key, 'x')).rejects.toMatchObject({ code: 'InvalidURI' });
    await expect(storage.createMultipartUpload(at(key), new Map(), never)).rejects.toMatchObject({
      code: 'InvalidURI',
    });
  });

  test('refuses a path that is longer than the system takes', async () => {
    const deep = path.join(root, ...Array.from({ length: 8 }, () => 'd'.repeat(200)));
    const body = createCountedBody(Buffer.from('x'));
    const address = at('\u0001'.repeat(1024));
    const inDeep = createFilesystemStorage({ root: deep });
    const putting = inDeep.putObject(address, new Map(), body, never);
    await expect(putting).rejects.toMatchObject({ code: 'KeyTooLongError' });
    await inDeep.close();
    expect(body.bytesRead).toBe(0);
  });

  test('may have a root that is reached by a link, as that is its owner’s choice', async () => {
    await symlink(root, `${root}-link`);
    const failure = await failureOf(put('linked', 'x', {}, createFilesystemStorage({ root: `${root}-link` })));
    await rm(`${root}-link`);
    expect(failure).toBeUndefined();
    expect((await readObject(bucketFolder, 'linked'))?.bytes.toString()).toBe('x');
  });
});

describe('records', () => {
  test('of bytes that were changed since count for nothing', async () => {
    await put('edited', 'before', { 'x-amz-meta-a': '1' });
    expect(await metadataOf('edited')).toBe('1');
    await writeFile(inBucket('edited'), 'BEFORE');
    await utimes(inBucket('edited'), 1, 1);
    expect(await metadataOf('edited')).toBeUndefined();
    await writeFile(inBucket('edited'), 'longer than before');
    expect(await metadataOf('edited')).toBeUndefined();
    // The ETag is then that of what is there.
    await expect(put('edited', 'x', { 'if-match': etagOf('before') })).rejects.toMatchObject({
      code: 'PreconditionFailed',
    });
    await put('edited', 'x', { 'if-match': etagOf('longer than before') });
    expect((await readObject(bucketFolder, 'edited'))?.bytes.toString()).toBe('x');
  });

  test('fit the old bytes still when the new ones did not come to their place', async () => {
    await put('crashed', 'old', { 'x-amz-meta-a': 'old' });
    await link(inBucket('crashed'), inBucket('kept-aside'));
    await put('crashed', 'new', { 'x-amz-meta-a': 'new' });
    expect(await metadataOf('crashed')).toBe('new');
    await rename(inBucket('kept-aside'), inBucket('crashed'));
    expect(await metadataOf('crashed')).toBe('old');
    // And what comes next keeps the record of what is there, not of what never was.
    await link(inBucket('crashed'), inBucket('kept-aside'));
    await put('crashed', 'newer', { 'x-amz-meta-a': 'newer' });
    await rename(inBucket('kept-aside'), inBucket('crashed'));
    expect(await metadataOf('crashed')).toBe('old');
  });

  test('of two versions of one size and one tick of the clock are told apart', async () => {
    await put('tick', 'old', { 'x-amz-meta-a': 'old' });
    await link(inBucket('tick'), inBucket('kept-aside'));
    await put('tick', 'new', { 'x-amz-meta-a': 'new' });
    await utimes(inBucket('tick'), 1, 1);
    await utimes(inBucket('kept-aside'), 1, 1);
    const text = await readFile(inBucket('tick%meta'), 'utf8');
    await writeFile(inBucket('tick%meta'), text.replaceAll(/"mtimeNs": "\d+"/g, '"mtimeNs": "1000000000"'));
    expect(await metadataOf('tick')).toBe('new');
    await rename(inBucket('kept-aside'), inBucket('tick'));
    expect(await metadataOf('tick')).toBe('old');
  });

  test('fit a copy that kept its times, as from a backup', async () => {
    await put('restored', 'bytes', { 'x-amz-meta-a': '1' });
    await cp(inBucket('restored'), inBucket('copy'), { preserveTimestamps: true });
    // cp sets times to the microsecond: what is compared is what a tool that keeps all of it would leave.
    const { mtimeNs } = await lstat(inBucket('copy'), { bigint: true });
    const text = await readFile(inBucket('restored%meta'), 'utf8');
    await writeFile(inBucket('restored%meta'), text.replace(/"mtimeNs": "\d+"/, `"mtimeNs": "${mtimeNs}"`));
    await rename(inBucket('copy'), inBucket('restored'));
    expect(await metadataOf('restored')).toBe('1');
  });

  test('that are broken count for nothing and are replaced', async () => {
    for (const text of ['', '{', 'null', '[]', '{"key":1}', '{"etag":"x","size":"5"}']) {
      await put('broken', 'bytes', { 'x-amz-meta-a': '1' });
      await writeFile(inBucket('broken%meta'), text);
      expect(await metadataOf('broken')).toBeUndefined();
      await put('broken', 'bytes', { 'x-amz-meta-a': '2', 'if-match': etagOf('bytes') });
      expect(await metadataOf('broken')).toBe('2');
    }
  });

  test('that were left without an object do not stand in the way of a new one', async () => {
    await put('orphan', 'first', { 'x-amz-meta-a': '1' });
    await rm(inBucket('orphan'));
    await put('orphan', 'second', { 'if-none-match': '*', 'x-amz-meta-a': '2' });
    expect(await metadataOf('orphan')).toBe('2');
  });

  test('belong to their bytes when two storages write the same objects at once', { timeout: 60_000 }, async () => {
    const other = createFilesystemStorage({ root });
    for (let i = 0; i < 200; i++) {
      const writers = [storage, other].map((into, writer) =>
        put(`two/${i}`, `${writer}`, { 'x-amz-meta-a': `${writer}` }, into),
      );
      await Promise.all(writers);
      const read = await readObject(bucketFolder, `two/${i}`);
      expect(read?.headers.get('x-amz-meta-a')).toBe(read?.bytes.toString());
    }
  });

  test('of another key in the same place forbid to replace it, as on a disk that takes A for a', async () => {
    await put('name', 'bytes');
    const text = await readFile(inBucket('name%meta'), 'utf8');
    await writeFile(inBucket('name%meta'), text.replace('"key": "name"', '"key": "Name"'));
    await expect(put('name', 'other')).rejects.toMatchObject({ code: 'InvalidRequest' });
    expect(await readFile(inBucket('name'), 'utf8')).toBe('bytes');
  });
});

describe('links and other things in the way', () => {
  let outside: string;
  beforeEach(async () => {
    outside = await mkdtemp(path.join(tmpdir(), 'mizuchi-outside-'));
    await put('there', 'x');
  });
  afterEach(() => rm(outside, { recursive: true }));

  const refused = (putting: Promise<unknown>) =>
    expect(putting).rejects.toMatchObject({ code: 'InternalError', message: expect.not.stringContaining(outside) });

  test.each(['folder+', 'folder+/below+'])('a link in place of %s leads nowhere', async (linked) => {
    await mkdir(path.dirname(inBucket(linked)), { recursive: true });
    await symlink(outside, inBucket(linked));
    await refused(put('folder/below/object', 'x'));
    await refused(put('folder/below/object', 'x', { 'if-none-match': '*' }));
    expect(await readdir(outside)).toEqual([]);
    expect(await readdir(inBucket('%tmp'))).toEqual([]);
  });

  test('a link that leads nowhere is not followed to make a folder', async () => {
    await symlink(path.join(outside, 'made'), inBucket('folder+'));
    await refused(put('folder/object', 'x'));
    expect(await readdir(outside)).toEqual([]);
  });

  test('a link in place of the object, of its record, or of a temporary folder is not followed', async () => {
    await writeFile(path.join(outside, 'file'), 'secret');
    await symlink(path.join(outside, 'file'), inBucket('object'));
    await refused(put('object', 'x'));
    await put('recorded', 'x', { 'x-amz-meta-a': 'outside' });
    await rename(inBucket('recorded%meta'), path.join(outside, 'secret'));
    await symlink(path.join(outside, 'secret'), inBucket('recorded%meta'));
    expect(await metadataOf('recorded')).toBeUndefined();
    await put('recorded', 'y', { 'x-amz-meta-a': '1' });
    expect(await metadataOf('recorded')).toBe('1');
    await rm(inBucket('%tmp'), { recursive: true });
    await symlink(outside, inBucket('%tmp'));
    await refused(put('temporary', 'x'));
    expect(await readdir(outside)).toEqual(['file', 'secret']);
    expect(await readFile(path.join(outside, 'file'), 'utf8')).toBe('secret');
  });

  test('a link in place of the bucket, or of its uploads, leads nowhere', async () => {
    await symlink(outside, path.join(root, 'linked'));
    const body = createCountedBody(Buffer.from('x'));
    await refused(storage.putObject({ bucket: 'linked', key: 'x' }, new Map(), body, never));
    await symlink(outside, inBucket('%uploads'));
    await refused(storage.createMultipartUpload(at('x'), new Map(), never));
    expect(await readdir(outside)).toEqual([]);
  });

  test('a file in place of a folder, and a folder in place of a file, are refused', async () => {
    await writeFile(inBucket('folder+'), 'x');
    await refused(put('folder/object', 'x'));
    await mkdir(inBucket('object'));
    await refused(put('object', 'x'));
    expect(await readdir(inBucket('%tmp'))).toEqual([]);
  });

  test('a bucket that cannot be used is not ready', async () => {
    await expect(storage.checkReady('uploads', never)).resolves.toBeUndefined();
    await writeFile(path.join(root, 'file'), 'x');
    await refused(storage.checkReady('file', never));
  });
});

describe('a condition that does not hold', () => {
  test.each([{ 'if-none-match': '*' }, { 'if-match': etagOf('other') }])(
    '%j refuses the body before it is read',
    async (headers) => {
      await put('there', 'x');
      const body = createCountedBody(Buffer.from('y'));
      const putting = storage.putObject(at('there'), new Map(Object.entries(headers)), body, never);
      await expect(putting).rejects.toMatchObject({ code: 'PreconditionFailed' });
      expect(body.bytesRead).toBe(0);
    },
  );

  test.each([{ 'if-none-match': '*' }, { 'if-match': '*' }, { 'if-match': etagOf('first') }])(
    '%j holds when the body ends, not only when it began',
    async (headers) => {
      const isNew = 'if-none-match' in headers;
      if (!isNew) await put('meanwhile', 'first');
      const end = Promise.withResolvers<null>();
      const body = { length: 0, read: () => end.promise };
      const failure = failureOf(storage.putObject(at('meanwhile'), new Map(Object.entries(headers)), body, never));
      while (
        (await readdir(bucketFolder).catch(() => [])).length === 0 ||
        (await readdir(inBucket('%tmp'))).length === 0
      );
      if (isNew) await put('meanwhile', 'second');
      else await rm(inBucket('meanwhile'));
      end.resolve(null);
      expect(await failure).toMatchObject({ code: isNew ? 'PreconditionFailed' : 'NoSuchKey' });
    },
  );
});

describe('what a folder cannot do', () => {
  test.each([
    ['x-amz-server-side-encryption', 'AES256'],
    ['x-amz-server-side-encryption-customer-algorithm', 'AES256'],
    ['x-amz-object-lock-mode', 'COMPLIANCE'],
    ['x-amz-object-lock-legal-hold', 'ON'],
    ['x-amz-storage-class', 'GLACIER'],
    ['x-amz-tagging', 'a=b'],
    ['x-amz-expected-bucket-owner', '123456789012'],
    ['x-amz-acl', 'public-read'],
    ['if-none-match', '"etag"'],
  ])('%s is refused, not dropped', async (name, value) => {
    await expect(put('refused', 'x', { [name]: value })).rejects.toMatchObject({ code: 'NotImplemented', status: 501 });
    const creating = storage.createMultipartUpload(at('refused'), new Map([[name, value]]), never);
    await expect(creating).rejects.toMatchObject({ code: 'NotImplemented' });
    expect(await readdir(root)).toEqual([]);
  });

  test('the standard storage class is what it has', async () => {
    await put('standard', 'x', { 'x-amz-storage-class': 'STANDARD' });
    expect((await readObject(bucketFolder, 'standard'))?.bytes.toString()).toBe('x');
  });

  test('metadata over 2 KiB is refused', async () => {
    await put('metadata', 'x', { 'x-amz-meta-a': 'x'.repeat(2047) });
    const putting = put('metadata', 'x', { 'x-amz-meta-a': 'x'.repeat(2048) });
    await expect(putting).rejects.toMatchObject({ code: 'MetadataTooLarge' });
  });

  test('a body over the limit is refused before it is read', async () => {
    const body = createCountedBody(Buffer.from('x'), { length: 5 * 2 ** 40 + 1 });
    await expect(storage.putObject(at('huge'), new Map(), body, never)).rejects.toMatchObject({
      code: 'EntityTooLarge',
    });
    expect(body.bytesRead).toBe(0);
  });
});
