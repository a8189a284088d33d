// What every storage must do with multipart uploads: the part of the contract that is about them.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { UploadAddress } from '../../../src/storage/storage.ts';
import { createCountedBody } from './counted-body.ts';
import {
  bytesOf,
  crc32Of,
  create,
  etagOf,
  expectAllReleased,
  fingerprint,
  mib,
  never,
  put,
  type StorageUnderTest,
} from './storage-under-test.ts';

async function uploadPart(
  subject: StorageUnderTest,
  upload: UploadAddress,
  partNumber: number,
  bytes: Uint8Array,
): Promise<{ partNumber: number; etag: string }> {
  const body = createCountedBody(bytes, { cuts: [100_000, 1, 524_288] });
  const { etag } = await subject.storage.uploadPart(upload, partNumber, new Map(), body, never);
  await expectAllReleased(body);
  return { partNumber, etag };
}

const multipartEtag = (parts: readonly Uint8Array[]) => {
  const md5s = parts.map((bytes) => createHash('md5').update(bytes).digest());
  return `"${createHash('md5').update(Buffer.concat(md5s)).digest('hex')}-${parts.length}"`;
};

export function describeMultipart(subject: () => StorageUnderTest): void {
  const complete = (
    upload: UploadAddress,
    parts: { partNumber: number; etag: string }[],
    headers: [string, string][] = [],
  ) => subject().storage.completeMultipartUpload(upload, parts, new Map(headers), never);
  const abort = (upload: UploadAddress) => subject().storage.abortMultipartUpload(upload, never);

  test('parts that come in any order become one object, with the metadata of its creation', async () => {
    const bodies = [bytesOf('p1', 5 * mib), bytesOf('p2', 5 * mib + 1), bytesOf('p7', 12_345)];
    const upload = await create(subject(), 'multi/whole', { 'content-type': 'video/mp4', 'x-amz-meta-a': 'b' });
    expect(await subject().listOpenUploads()).toEqual([upload.uploadId]);
    const numbers = [1, 2, 7];
    const sent = [];
    for (const i of [2, 0, 1])
      sent[i] = await uploadPart(subject(), upload, numbers[i] ?? 0, bodies[i] ?? Buffer.alloc(0));
    expect(sent.map(({ etag }) => etag)).toEqual(bodies.map(etagOf));
    expect(await subject().readBack(upload)).toBeUndefined();
    const { etag } = await complete(upload, sent);
    expect(etag).toBe(multipartEtag(bodies));
    const read = await subject().readBack(upload);
    expect(fingerprint(read?.bytes)).toBe(fingerprint(Buffer.concat(bodies)));
    expect(read?.etag).toBe(etag);
    expect(read?.headers.get('content-type')).toBe('video/mp4');
    expect(read?.headers.get('x-amz-meta-a')).toBe('b');
  });

  test('parts with checksums behind them become an object that is completed with those checksums', async () => {
    const bodies = [bytesOf('c1', 9 * mib), bytesOf('c2', 100)];
    const upload = await create(subject(), 'multi/checksums', { 'x-amz-checksum-algorithm': 'CRC32' });
    const parts = [];
    for (const [i, bytes] of bodies.entries()) {
      const checksum = { algorithm: 'crc32', base64: crc32Of(bytes) } as const;
      const body = createCountedBody(bytes, { cuts: [100_000, 1, 524_288], checksum });
      const { etag, headers } = await subject().storage.uploadPart(upload, i + 1, new Map(), body, never);
      expect(headers.get('x-amz-checksum-crc32')).toBe(checksum.base64);
      await expectAllReleased(body);
      parts.push({ partNumber: i + 1, etag, checksums: [['crc32', checksum.base64] as const] });
    }
    await complete(upload, parts);
    expect(fingerprint((await subject().readBack(upload))?.bytes)).toBe(fingerprint(Buffer.concat(bodies)));
  });

  test('a part that is sent again takes the place of the first', async () => {
    const upload = await create(subject(), 'multi/again');
    await uploadPart(subject(), upload, 1, Buffer.from('first'));
    const part = await uploadPart(subject(), upload, 1, Buffer.from('second'));
    await complete(upload, [part]);
    expect((await subject().readBack(upload))?.bytes.toString()).toBe('second');
  });

  test('only the parts that are named become the object', async () => {
    const upload = await create(subject(), 'multi/some');
    await uploadPart(subject(), upload, 1, Buffer.from('left out'));
    const part = await uploadPart(subject(), upload, 2, Buffer.from('named'));
    await complete(upload, [part]);
    expect((await subject().readBack(upload))?.bytes.toString()).toBe('named');
  });

  test('completing again, after an answer that was lost, succeeds', async () => {
    const upload = await create(subject(), 'multi/lost-answer');
    const part = await uploadPart(subject(), upload, 1, Buffer.from('once'));
    const first = await complete(upload, [part]);
    expect((await complete(upload, [part])).etag).toBe(first.etag);
    expect((await subject().readBack(upload))?.bytes.toString()).toBe('once');
  });

  test('two that complete at once do no harm', async () => {
    const bytes = bytesOf('twice', 5 * mib);
    const upload = await create(subject(), 'multi/twice');
    const parts = [
      await uploadPart(subject(), upload, 1, bytes),
      await uploadPart(subject(), upload, 2, Buffer.from('x')),
    ];
    const answers = await Promise.all([complete(upload, parts), complete(upload, parts)]);
    expect(answers.map(({ etag }) => etag)).toEqual(Array(2).fill(multipartEtag([bytes, Buffer.from('x')])));
    expect((await subject().readBack(upload))?.bytes.byteLength).toBe(bytes.byteLength + 1);
  });

  test('conditions hold when it is completed', async () => {
    await put(subject(), 'multi/conditional', Buffer.from('old'));
    const upload = await create(subject(), 'multi/conditional');
    const part = await uploadPart(subject(), upload, 1, Buffer.from('new'));
    const refused = complete(upload, [part], [['if-none-match', '*']]);
    await expect(refused).rejects.toMatchObject({ code: 'PreconditionFailed' });
    expect((await subject().readBack(upload))?.bytes.toString()).toBe('old');
    await abort(upload);
  });

  test('an aborted upload is gone, with its parts', async () => {
    const upload = await create(subject(), 'multi/aborted');
    const part = await uploadPart(subject(), upload, 1, Buffer.from('gone'));
    await abort(upload);
    await expect(complete(upload, [part])).rejects.toMatchObject({ code: 'NoSuchUpload', status: 404 });
    expect(await subject().readBack(upload)).toBeUndefined();
  });

  test('a part whose body fails is not there', async () => {
    const upload = await create(subject(), 'multi/failing-part');
    const failure = new Error('the client left');
    const body = createCountedBody(bytesOf('failing', mib), { stop: { afterBytes: 500_000, failure } });
    await expect(subject().storage.uploadPart(upload, 1, new Map(), body, never)).rejects.toBe(failure);
    await expectAllReleased(body);
    const { parts } = await subject().storage.listParts(
      upload,
      { maxParts: 10, partNumberMarker: 0 },
      new Map(),
      never,
    );
    expect(parts).toEqual([]);
    await abort(upload);
  });

  test('parts are listed page by page', async () => {
    const upload = await create(subject(), 'multi/listed');
    const sent = [];
    for (const partNumber of [1, 2, 3, 10, 10_000]) {
      sent.push(await uploadPart(subject(), upload, partNumber, Buffer.from(`part ${partNumber}`)));
    }
    const list = (maxParts: number, partNumberMarker: number) =>
      subject().storage.listParts(upload, { maxParts, partNumberMarker }, new Map(), never);
    const first = await list(2, 0);
    expect(first).toMatchObject({ isTruncated: true, nextPartNumberMarker: 2 });
    const second = await list(2, first.nextPartNumberMarker ?? 0);
    expect(second).toMatchObject({ isTruncated: true, nextPartNumberMarker: 10 });
    const third = await list(2, second.nextPartNumberMarker ?? 0);
    expect(third.isTruncated).toBe(false);
    const listed = [...first.parts, ...second.parts, ...third.parts];
    expect(listed.map(({ partNumber, etag }) => ({ partNumber, etag }))).toEqual(sent);
    expect(listed.map(({ size }) => size)).toEqual([6, 6, 6, 7, 10]);
    expect(listed.every(({ lastModified }) => Math.abs(Date.now() - lastModified.getTime()) < 3_600_000)).toBe(true);
    await abort(upload);
  });
}

export function describeMultipartRefusals(subject: () => StorageUnderTest): void {
  const complete = (upload: UploadAddress, parts: { partNumber: number; etag: string }[]) =>
    subject().storage.completeMultipartUpload(upload, parts, new Map(), never);
  const abort = (upload: UploadAddress) => subject().storage.abortMultipartUpload(upload, never);

  test('a wrong ETag, a part that is not there, and a wrong order are refused; the upload stays', async () => {
    const upload = await create(subject(), 'refused/parts');
    const one = await uploadPart(subject(), upload, 1, bytesOf('one', 5 * mib));
    const two = await uploadPart(subject(), upload, 2, Buffer.from('two'));
    const wrongEtag = { ...two, etag: etagOf(Buffer.from('else')) };
    await expect(complete(upload, [one, wrongEtag])).rejects.toMatchObject({ code: 'InvalidPart', status: 400 });
    await expect(complete(upload, [one, { ...two, partNumber: 3 }])).rejects.toMatchObject({ code: 'InvalidPart' });
    await expect(complete(upload, [two, one])).rejects.toMatchObject({ code: 'InvalidPartOrder', status: 400 });
    expect(await subject().readBack(upload)).toBeUndefined();
    await complete(upload, [one, two]);
    expect((await subject().readBack(upload))?.bytes.byteLength).toBe(5 * mib + 3);
  });

  test('a part under 5 MiB that is not the last is refused', async () => {
    const upload = await create(subject(), 'refused/small');
    const one = await uploadPart(subject(), upload, 1, Buffer.from('small'));
    const two = await uploadPart(subject(), upload, 2, Buffer.from('last'));
    await expect(complete(upload, [one, two])).rejects.toMatchObject({ code: 'EntityTooSmall', status: 400 });
    expect(await subject().readBack(upload)).toBeUndefined();
    await abort(upload);
  });

  test('an upload that is not open is NoSuchUpload to everybody', async () => {
    const upload = await create(subject(), 'refused/unknown');
    await abort(upload);
    const body = createCountedBody(Buffer.from('x'));
    const page = { maxParts: 10, partNumberMarker: 0 };
    const outcomes = await Promise.allSettled([
      subject().storage.uploadPart(upload, 1, new Map(), body, never),
      complete(upload, [{ partNumber: 1, etag: etagOf(Buffer.from('x')) }]),
      subject().storage.listParts(upload, page, new Map(), never),
    ]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'NoSuchUpload', status: 404 } });
    }
    await expectAllReleased(body);
  });

  test("another object's upload id is no upload of this one", async () => {
    const upload = await create(subject(), 'refused/mine');
    const part = await uploadPart(subject(), upload, 1, Buffer.from('mine'));
    const other = { ...upload, key: 'refused/theirs' };
    await expect(complete(other, [part])).rejects.toMatchObject({ code: 'NoSuchUpload' });
    await complete(upload, [part]);
  });
}
