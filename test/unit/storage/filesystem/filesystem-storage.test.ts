// What only a storage of plain files has to answer for: its layout, its records, links, and what it cannot do.
import { createHash } from 'node:crypto';
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
import { ClientGone } from '../../../../src/http.ts';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import type { Storage, UploadAddress } from '../../../../src/storage/storage.ts';
import { createCountedBody, failureOf } from '../../../contract/storage/counted-body.ts';
import { listObjects, readObject } from '../../../contract/storage/filesystem-under-test.ts';
import { everyKey } from '../../../contract/storage/keys.ts';

const never = new AbortController().signal;
const etagOf = (text: string) => `"${createHash('md5').update(text).digest('hex')}"`;
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

const inBucket = (...names: string[]) => path.join(bucketFolder, ...names);
const at = (key: string) => ({ bucket: 'uploads', key });
const put = (key: string, text: string, headers: Record<string, string> = {}, into = storage) =>
  into.putObject(at(key), new Map(Object.entries(headers)), createCountedBody(Buffer.from(text)), never);
const metadataOf = async (key: string) => (await readObject(bucketFolder, key))?.headers.get('x-amz-meta-a');

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

describe('multipart uploads', () => {
  const create = async (key: string, headers: Record<string, string> = {}): Promise<UploadAddress> => ({
    ...at(key),
    ...(await storage.createMultipartUpload(at(key), new Map(Object.entries(headers)), never)),
  });
  const uploadPart = async (
    upload: UploadAddress,
    partNumber: number,
    text: string,
    headers: [string, string][] = [],
  ) => ({
    partNumber,
    etag: (await storage.uploadPart(upload, partNumber, new Map(headers), createCountedBody(Buffer.from(text)), never))
      .etag,
  });
  type Part = Parameters<Storage['completeMultipartUpload']>[1][number];
  const complete = (upload: UploadAddress, parts: Part[], headers: [string, string][] = []) =>
    storage.completeMultipartUpload(upload, parts, new Map(headers), never);

  test('survive a restart', async () => {
    const upload = await create('restarted', { 'x-amz-meta-a': '1' });
    const part = await uploadPart(upload, 1, 'bytes');
    storage = createFilesystemStorage({ root });
    await storage.checkReady('uploads', never);
    const { parts } = await storage.listParts(upload, { maxParts: 10, partNumberMarker: 0 }, new Map(), never);
    expect(parts.map(({ partNumber, etag }) => ({ partNumber, etag }))).toEqual([part]);
    await complete(upload, [part]);
    expect(await metadataOf('restarted')).toBe('1');
  });

  test('that were completed before a crash could remove them are completed', async () => {
    const upload = await create('crashed');
    const part = await uploadPart(upload, 1, 'bytes');
    const folder = inBucket('%uploads', upload.uploadId);
    await cp(folder, `${root}-copy`, { recursive: true });
    const { etag } = await complete(upload, [part], [['if-none-match', '*']]);
    await rename(`${root}-copy`, folder);
    // The condition was true when it was asked.
    expect((await complete(upload, [part], [['if-none-match', '*']])).etag).toBe(etag);
    expect(await readdir(inBucket('%uploads'))).toEqual([]);
  });

  test('that were completed before a crash could remove them do not bring their bytes back over newer ones', async () => {
    const upload = await create('replaced');
    const part = await uploadPart(upload, 1, 'old');
    const folder = inBucket('%uploads', upload.uploadId);
    await cp(folder, `${root}-copy`, { recursive: true });
    await complete(upload, [part]);
    await rename(`${root}-copy`, folder);
    await put('replaced', 'new');
    await expect(complete(upload, [part])).rejects.toMatchObject({ code: 'NoSuchUpload' });
    expect((await readObject(bucketFolder, 'replaced'))?.bytes.toString()).toBe('new');
    expect([await readdir(inBucket('%tmp')), await readdir(inBucket('%uploads'))]).toEqual([[], []]);
  });

  test('that were completed before a crash could remove them are not completed with other parts', async () => {
    const upload = await create('other-parts');
    const parts = [await uploadPart(upload, 1, 'x'.repeat(5 * 2 ** 20)), await uploadPart(upload, 2, 'end')];
    const folder = inBucket('%uploads', upload.uploadId);
    await cp(folder, `${root}-copy`, { recursive: true });
    const { etag } = await complete(upload, parts);
    await rename(`${root}-copy`, folder);
    await expect(complete(upload, parts.slice(1))).rejects.toMatchObject({ code: 'NoSuchUpload' });
    expect((await complete(upload, parts)).etag).toBe(etag);
  });

  test('that another process has removed while their parts were joined make no object', async () => {
    const upload = await create('removed');
    const part = await uploadPart(upload, 1, 'bytes');
    const name = createHash('sha256').update(inBucket('removed')).digest('hex');
    const lockFile = inBucket('%tmp', `lock-${name}`);
    await writeFile(lockFile, 'elsewhere-99999999-aa');
    const failure = failureOf(complete(upload, [part]));
    while ((await readdir(inBucket('%tmp'))).length < 2);
    await createFilesystemStorage({ root }).abortMultipartUpload(upload, never);
    await rm(lockFile);
    expect(await failure).toMatchObject({ code: 'NoSuchUpload' });
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
    expect([await readdir(inBucket('%tmp')), await readdir(inBucket('%uploads'))]).toEqual([[], []]);
  });

  test('are completed once by two storages at once, and both are told so', async () => {
    const other = createFilesystemStorage({ root });
    for (let i = 0; i < 40; i++) {
      const upload = await create(`both/${i}`);
      const part = await uploadPart(upload, 1, 'bytes');
      const condition = new Map([['if-none-match', '*']]);
      const answers = [storage, other].map((each) => each.completeMultipartUpload(upload, [part], condition, never));
      const [one, two] = await Promise.all(answers);
      expect(one?.etag).toBe(two?.etag);
    }
    expect([await readdir(inBucket('%tmp')), await readdir(inBucket('%uploads'))]).toEqual([[], []]);
  });

  test('are not taken for completed when another has stored the same since', async () => {
    const upload = await create('overtaken');
    const part = await uploadPart(upload, 1, 'bytes');
    await complete(upload, [part]);
    const later = await create('overtaken');
    await complete(later, [await uploadPart(later, 1, 'bytes')]);
    await expect(complete(upload, [part])).rejects.toMatchObject({ code: 'NoSuchUpload' });
  });

  test.each(['', '.', '..', '../..', 'x', 'A'.repeat(32), `${'a'.repeat(32)}/..`, '0'.repeat(32), '../folder+'])(
    'no id is looked for that is not of their form: %j',
    async (uploadId) => {
      // An object that looks like an upload: an id that led to it could remove the folder around it.
      await put('upload.json', JSON.stringify({ key: 'keep', headers: {} }));
      await put('folder/upload.json', JSON.stringify({ key: 'keep', headers: {} }));
      await create('keep');
      const upload = { ...at('keep'), uploadId };
      await expect(storage.abortMultipartUpload(upload, never)).rejects.toMatchObject({ code: 'NoSuchUpload' });
      await expect(uploadPart(upload, 1, 'x')).rejects.toMatchObject({ code: 'NoSuchUpload' });
      expect([...(await listObjects(bucketFolder)).keys()].toSorted()).toEqual(['folder/upload.json', 'upload.json']);
    },
  );

  test.each([0, -1, 10_001, 1.5, Number.NaN])('no part has the number %d', async (partNumber) => {
    const upload = await create('numbers');
    await expect(uploadPart(upload, partNumber, 'x')).rejects.toMatchObject({ code: 'InvalidArgument' });
    expect(await readdir(inBucket('%uploads', upload.uploadId))).toEqual(['upload.json']);
  });

  test('keep one file for each part', async () => {
    const upload = await create('again');
    await Promise.all(Array.from({ length: 8 }, (_, i) => uploadPart(upload, 1, `attempt ${i}`)));
    const names = await readdir(inBucket('%uploads', upload.uploadId));
    expect(names.map((name) => name.replace(/-[0-9a-f]+/, '')).toSorted()).toEqual([
      '00001.json',
      '00001.part',
      'upload.json',
    ]);
  });

  test('that are aborted while a part arrives take it with them', async () => {
    const upload = await create('aborted');
    const end = Promise.withResolvers<null>();
    const body = { length: 0, read: () => end.promise };
    const uploading = storage.uploadPart(upload, 1, new Map(), body, never);
    const failure = failureOf(uploading);
    while ((await readdir(inBucket('%tmp'))).length === 0);
    await storage.abortMultipartUpload(upload, never);
    end.resolve(null);
    expect(await failure).toMatchObject({ code: 'NoSuchUpload' });
    expect([await readdir(inBucket('%tmp')), await readdir(inBucket('%uploads'))]).toEqual([[], []]);
  });

  test('keep the checksums of their parts, and hold the client to them', async () => {
    const upload = await create('checked', { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'COMPOSITE' });
    const part = await uploadPart(upload, 1, 'x', [['x-amz-checksum-crc32', 'jNrG5A==']]);
    const page = await storage.listParts(upload, { maxParts: 1, partNumberMarker: 0 }, new Map(), never);
    expect(page).toMatchObject({ checksumAlgorithm: 'CRC32', checksumType: 'COMPOSITE', storageClass: 'STANDARD' });
    expect(page.parts[0]?.checksums).toEqual([['crc32', 'jNrG5A==']]);
    const wrong = complete(upload, [{ ...part, checksums: [['crc32', 'AAAAAA==']] }]);
    await expect(wrong).rejects.toMatchObject({ code: 'InvalidPart' });
    const otherType = complete(upload, [part], [['x-amz-checksum-type', 'FULL_OBJECT']]);
    await expect(otherType).rejects.toMatchObject({ code: 'InvalidRequest' });
    await complete(upload, [{ ...part, checksums: [['crc32', 'jNrG5A==']] }], [['x-amz-checksum-type', 'COMPOSITE']]);
  });

  test('hold the client to the size and the parts that it names', async () => {
    const upload = await create('sized');
    const part = await uploadPart(upload, 1, 'bytes');
    await expect(complete(upload, [part], [['x-amz-mp-object-size', '6']])).rejects.toMatchObject({
      code: 'InvalidRequest',
    });
    await expect(complete(upload, [])).rejects.toMatchObject({ code: 'MalformedXML' });
    await expect(complete(upload, [part, part])).rejects.toMatchObject({ code: 'InvalidPartOrder' });
    const checksum = complete(upload, [part], [['x-amz-checksum-crc32', 'AAAAAA==']]);
    await expect(checksum).rejects.toMatchObject({ code: 'NotImplemented' });
    await complete(upload, [part], [['x-amz-mp-object-size', '5']]);
  });

  test('end with the reason when they are given up while their parts are joined', async () => {
    const upload = await create('joined');
    const part = await uploadPart(upload, 1, 'x'.repeat(3_000_000));
    const stop = new AbortController();
    const reason = new Error('the process stops');
    const completing = storage.completeMultipartUpload(upload, [part], new Map(), stop.signal);
    const failure = failureOf(completing);
    while ((await readdir(inBucket('%tmp'))).length === 0);
    stop.abort(reason);
    expect(await failure).toBe(reason);
    expect(await readdir(inBucket('%tmp'))).toEqual([]);
    await storage.abortMultipartUpload(upload, never);
    expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
  });

  describe('whose client leaves while their parts are joined', () => {
    async function startAndLeave(key: string) {
      const upload = await create(key);
      const part = await uploadPart(upload, 1, 'x'.repeat(3_000_000));
      const client = new AbortController();
      const completing = storage.completeMultipartUpload(upload, [part], new Map(), client.signal);
      const failure = failureOf(completing);
      while ((await readdir(inBucket('%tmp'))).length === 0);
      client.abort(new ClientGone());
      return { upload, part, completing, failure };
    }

    test('are completed, and the next attempt waits for that', async () => {
      const { upload, part, completing } = await startAndLeave('left');
      const next = await complete(upload, [part], [['if-none-match', '*']]);
      expect(next.etag).toBe((await completing).etag);
      expect((await readObject(bucketFolder, 'left'))?.bytes.length).toBe(3_000_000);
      expect([await readdir(inBucket('%tmp')), await readdir(inBucket('%uploads'))]).toEqual([[], []]);
    });

    test('are given up when the storage is closed', async () => {
      const { failure } = await startAndLeave('closed');
      await storage.close();
      expect(await failure).toMatchObject({ code: 'ServiceUnavailable' });
      expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
      expect(await readdir(inBucket('%tmp'))).toEqual([]);
    });

    test('are not begun when it has left before', async () => {
      const upload = await create('early');
      const part = await uploadPart(upload, 1, 'bytes');
      const client = new AbortController();
      const failure = failureOf(storage.completeMultipartUpload(upload, [part], new Map(), client.signal));
      client.abort(new ClientGone());
      expect(await failure).toBeInstanceOf(ClientGone);
      expect([...(await listObjects(bucketFolder)).keys()]).toEqual([]);
    });
  });
});
