// Multipart uploads in a folder: what a crash, a restart, another process or an early end leaves of them.
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClientGone } from '../../../../src/http.ts';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import type { Storage, UploadAddress } from '../../../../src/storage/storage.ts';
import { createCountedBody, failureOf } from '../../../contract/storage/counted-body.ts';
import { listObjects, readObject } from '../../../contract/storage/filesystem-under-test.ts';
import { at, createBucketHelpers, never } from './bucket-in-folder.ts';

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

  test.each(['upload.json', '00001.json'])('are not read through a link in place of their %s', async (name) => {
    const upload = await create('linked');
    const part = await uploadPart(upload, 1, 'bytes');
    const record = inBucket('%uploads', upload.uploadId, name);
    await rename(record, path.join(root, 'outside.json'));
    await symlink(path.join(root, 'outside.json'), record);
    expect(await failureOf(complete(upload, [part]))).toBeInstanceOf(Error);
    expect(await readObject(bucketFolder, 'linked')).toBeUndefined();
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
