// What every storage must do, whatever lies behind it. Each backend runs this with its own way to look behind the port.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { S3Error } from '../../../src/errors.ts';
import { createCountedBody, failureOf } from './counted-body.ts';
import { everyKey } from './keys.ts';
import { describeMultipart, describeMultipartRefusals } from './multipart-contract.ts';
import {
  at,
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

export function describeStorageContract(name: string, makeStorage: () => Promise<StorageUnderTest>): void {
  describe(`storage contract: ${name}`, () => {
    let subject: StorageUnderTest;
    beforeAll(async () => {
      subject = await makeStorage();
    });
    afterAll(() => subject.close());
    afterEach(async () => {
      expect(await subject.listOpenUploads()).toEqual([]);
      expect((await subject.listLeftovers?.()) ?? []).toEqual([]);
    });
    describeObjects(() => subject);
    describeFailures(() => subject);
    describeConditions(() => subject);
    describeKeys(() => subject);
    describeMultipart(() => subject);
    describeMultipartRefusals(() => subject);
  });
}

function describeObjects(subject: () => StorageUnderTest): void {
  const cuts = [1, 7, 65_536, 3, 262_144, 100_003, 1, 524_288, 17];

  test.each([0, 1, 65_536, 5 * mib + 1])(
    'an object of %i bytes comes back as it was sent, with its ETag',
    async (sizeBytes) => {
      const bytes = bytesOf('size', sizeBytes);
      const { etag } = await put(subject(), `size/${sizeBytes}`, bytes, {}, { cuts });
      expect(etag).toBe(etagOf(bytes));
      const read = await subject().readBack(at(subject(), `size/${sizeBytes}`));
      expect(fingerprint(read?.bytes)).toBe(fingerprint(bytes));
      expect(read?.etag).toBe(etag);
    },
  );

  test('a body of unknown length is stored, where the backend streams any length', async () => {
    const bytes = bytesOf('unknown', 3 * mib + 5);
    const putting = put(subject(), 'unknown', bytes, {}, { cuts, length: undefined });
    const { streamsAnyLength } = subject().storage.limits;
    expect((await failureOf(putting)) === undefined).toBe(streamsAnyLength);
    const read = await subject().readBack(at(subject(), 'unknown'));
    expect(fingerprint(read?.bytes)).toBe(streamsAnyLength ? fingerprint(bytes) : undefined);
  });

  test('an object is replaced, with its metadata', async () => {
    await put(subject(), 'replaced', Buffer.from('first'), { 'content-type': 'text/plain', 'x-amz-meta-a': '1' });
    await put(subject(), 'replaced', Buffer.from('other'), { 'content-type': 'text/html', 'x-amz-meta-b': '2' });
    const read = await subject().readBack(at(subject(), 'replaced'));
    expect(read?.bytes.toString()).toBe('other');
    expect(read?.headers.get('content-type')).toBe('text/html');
    expect(read?.headers.get('x-amz-meta-b')).toBe('2');
    expect(read?.headers.has('x-amz-meta-a')).toBe(false);
  });

  test('header fields and metadata are kept', async () => {
    const headers = {
      'content-type': 'image/png; a="b"',
      'content-encoding': 'gzip',
      'content-disposition': 'attachment; filename="a b.png"',
      'content-language': 'de, en',
      'cache-control': 'max-age=60, private',
      expires: 'Wed, 21 Oct 2026 07:28:00 GMT',
      'x-amz-meta-plain': 'value',
      'x-amz-meta-with-dash': 'a, b; c="d"',
    };
    await put(subject(), 'metadata', Buffer.from('x'), headers);
    const read = await subject().readBack(at(subject(), 'metadata'));
    expect(Object.fromEntries(read?.headers ?? [])).toMatchObject(headers);
  });

  test('a checksum is kept and told', async () => {
    const bytes = Buffer.from('checked');
    const crc = crc32Of(bytes);
    const md5 = createHash('md5').update(bytes).digest('base64');
    const { headers } = await put(subject(), 'checked', bytes, { 'x-amz-checksum-crc32': crc, 'content-md5': md5 });
    expect(headers.get('x-amz-checksum-crc32')).toBe(crc);
  });

  test.each([0, 1, 70_000, 8 * mib, 20 * mib + 3])(
    'a checksum that comes behind %i bytes is kept and told, and the object is what it was',
    async (sizeBytes) => {
      const bytes = bytesOf('trailed', sizeBytes);
      const checksum = { algorithm: 'crc32', base64: crc32Of(bytes) } as const;
      const fields = { 'content-encoding': 'gzip', 'x-amz-meta-a': 'b' };
      const { headers } = await put(subject(), 'trailed', bytes, fields, { cuts, checksum });
      expect(headers.get('x-amz-checksum-crc32')).toBe(checksum.base64);
      const read = await subject().readBack(at(subject(), 'trailed'));
      expect(fingerprint(read?.bytes)).toBe(fingerprint(bytes));
      expect(Object.fromEntries(read?.headers ?? [])).toMatchObject(fields);
    },
  );

  // Check values of the catalogue of parametrised CRC algorithms, and of FIPS 180-4.
  test.each([
    ['crc32c', '4waSgw=='],
    ['crc64nvme', 'rosUhgp5mIg='],
    ['sha1', '98O8HYCOBHMq32eZZczDTKeuNEE='],
    ['sha256', 'FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU='],
  ] as const)('so is one of %s', async (algorithm, base64) => {
    const bytes = Buffer.from('123456789');
    const { headers } = await put(subject(), algorithm, bytes, {}, { cuts: [2], checksum: { algorithm, base64 } });
    expect(headers.get(`x-amz-checksum-${algorithm}`)).toBe(base64);
    expect((await subject().readBack(at(subject(), algorithm)))?.bytes.toString()).toBe('123456789');
  });

  test('of many that write one object at once, one is there whole, with its own metadata', async () => {
    const bodies = Array.from({ length: 8 }, (_, i) => bytesOf(`writer ${i}`, 200_000));
    await Promise.all(bodies.map((bytes) => put(subject(), 'contended', bytes, { 'x-amz-meta-etag': etagOf(bytes) })));
    const read = await subject().readBack(at(subject(), 'contended'));
    expect(bodies.map(fingerprint)).toContain(fingerprint(read?.bytes));
    expect(read?.headers.get('x-amz-meta-etag')).toBe(etagOf(read?.bytes ?? Buffer.alloc(0)));
  });

  test('the backend says that it is ready', async () => {
    await expect(subject().storage.checkReady(subject().bucket, never)).resolves.toBeUndefined();
  });
}

function describeFailures(subject: () => StorageUnderTest): void {
  test('a body that fails midway leaves nothing, and its own failure is told', async () => {
    const failure = new Error('the client left');
    const body = createCountedBody(bytesOf('failing', 3 * mib), { stop: { afterBytes: 2 * mib, failure } });
    await expect(subject().storage.putObject(at(subject(), 'failing'), new Map(), body, never)).rejects.toBe(failure);
    await expectAllReleased(body);
    expect(body.chunksReleased).toBe(8);
    expect(await subject().readBack(at(subject(), 'failing'))).toBeUndefined();
  });

  test('a failing body leaves the object that was there', async () => {
    await put(subject(), 'kept', Buffer.from('old'), { 'x-amz-meta-a': '1' });
    const body = createCountedBody(bytesOf('kept', mib), {
      stop: { afterBytes: 1000, failure: new Error('the client left') },
    });
    await expect(subject().storage.putObject(at(subject(), 'kept'), new Map(), body, never)).rejects.toThrow('left');
    const read = await subject().readBack(at(subject(), 'kept'));
    expect([read?.bytes.toString(), read?.headers.get('x-amz-meta-a')]).toEqual(['old', '1']);
  });

  test('an abort ends a body that waits, with the reason', async () => {
    const stop = new AbortController();
    const reason = new Error('out of time');
    const body = createCountedBody(bytesOf('aborted', 2 * mib), { stop: { afterBytes: mib } });
    const putting = subject().storage.putObject(at(subject(), 'aborted'), new Map(), body, stop.signal);
    const failure = failureOf(putting);
    while (body.bytesRead < mib) await new Promise(setImmediate);
    stop.abort(reason);
    expect(await failure).toBe(reason);
    await expectAllReleased(body);
    expect(await subject().readBack(at(subject(), 'aborted'))).toBeUndefined();
  });

  test('nothing is begun when the signal is aborted already', async () => {
    const reason = new Error('too late');
    const body = createCountedBody(Buffer.from('late'));
    const putting = subject().storage.putObject(at(subject(), 'late'), new Map(), body, AbortSignal.abort(reason));
    await expect(putting).rejects.toBe(reason);
    await expectAllReleased(body);
    expect(await subject().readBack(at(subject(), 'late'))).toBeUndefined();
  });

  test('no call does anything once its signal is aborted', async () => {
    const upload = await create(subject(), 'late/multipart');
    const reason = new Error('too late');
    const late = AbortSignal.abort(reason);
    const { storage, bucket } = subject();
    const body = createCountedBody(Buffer.from('late'));
    const failures = await Promise.all(
      [
        storage.createMultipartUpload(upload, new Map(), late),
        storage.uploadPart(upload, 1, new Map(), body, late),
        storage.completeMultipartUpload(
          upload,
          [{ partNumber: 1, etag: etagOf(Buffer.from('late')) }],
          new Map(),
          late,
        ),
        storage.abortMultipartUpload(upload, late),
        storage.listParts(upload, { maxParts: 1, partNumberMarker: 0 }, new Map(), late),
        storage.checkReady(bucket, late),
      ].map(failureOf),
    );
    expect(failures.filter((failure) => failure === reason)).toHaveLength(6);
    await expectAllReleased(body);
    expect(await subject().listOpenUploads()).toEqual([upload.uploadId]);
    await storage.abortMultipartUpload(upload, never);
  });

  test.each([-1, 1])('a body that is not as long as announced (%i) is not stored', async (difference) => {
    const bytes = bytesOf('short', 300_000);
    const body = createCountedBody(bytes, { length: bytes.byteLength + difference });
    const putting = subject().storage.putObject(at(subject(), 'wrong-length'), new Map(), body, never);
    expect(await failureOf(putting)).toBeInstanceOf(Error);
    await expectAllReleased(body);
    expect(await subject().readBack(at(subject(), 'wrong-length'))).toBeUndefined();
  });
}

function describeConditions(subject: () => StorageUnderTest): void {
  const bytes = Buffer.from('conditional');

  test('If-None-Match: * stores what is new, and refuses to replace', async () => {
    await put(subject(), 'once', bytes, { 'if-none-match': '*', 'x-amz-meta-a': '1' });
    await expect(put(subject(), 'once', Buffer.from('again'), { 'if-none-match': '*' })).rejects.toMatchObject({
      code: 'PreconditionFailed',
      status: 412,
    });
    const read = await subject().readBack(at(subject(), 'once'));
    expect([read?.bytes.toString(), read?.headers.get('x-amz-meta-a')]).toEqual(['conditional', '1']);
  });

  test('of many that create one object at once, one succeeds', async () => {
    const bodies = Array.from({ length: 8 }, (_, i) => Buffer.from(`creator ${i}`));
    const failures = await Promise.all(
      bodies.map((body) => failureOf(put(subject(), 'race', body, { 'if-none-match': '*' }))),
    );
    const winners = failures.flatMap((failure, i) => (failure === undefined ? [i] : []));
    expect(winners).toHaveLength(1);
    // S3 may also answer that another is under way (API reference of PutObject, If-None-Match).
    const codes = failures
      .filter((failure) => failure !== undefined)
      .map((failure) => (failure instanceof S3Error ? failure.code : failure));
    expect(codes.filter((code) => code !== 'PreconditionFailed' && code !== 'ConditionalRequestConflict')).toEqual([]);
    const read = await subject().readBack(at(subject(), 'race'));
    expect(read?.bytes.toString()).toBe(`creator ${winners[0]}`);
  });

  test('If-Match replaces the object that is meant, and no other', async () => {
    const { etag } = await put(subject(), 'matched', bytes);
    const wrong = put(subject(), 'matched', Buffer.from('wrong'), { 'if-match': etagOf(Buffer.from('other')) });
    await expect(wrong).rejects.toMatchObject({ code: 'PreconditionFailed' });
    expect((await subject().readBack(at(subject(), 'matched')))?.bytes.toString()).toBe('conditional');
    await put(subject(), 'matched', Buffer.from('right'), { 'if-match': etag });
    expect((await subject().readBack(at(subject(), 'matched')))?.bytes.toString()).toBe('right');
  });

  test('If-Match does not create an object', async () => {
    await expect(put(subject(), 'unmatched', bytes, { 'if-match': etagOf(bytes) })).rejects.toMatchObject({
      name: 'S3Error',
    });
    expect(await subject().readBack(at(subject(), 'unmatched'))).toBeUndefined();
  });
}

function describeKeys(subject: () => StorageUnderTest): void {
  test('all legal keys are kept exactly and apart, or refused', async () => {
    const refused: string[] = [];
    for (const key of everyKey) {
      const failure = await failureOf(
        put(subject(), key, Buffer.from(key), { 'x-amz-meta-length': String(key.length) }),
      );
      if (failure === undefined) continue;
      if (!(failure instanceof S3Error)) throw failure;
      refused.push(key);
    }
    expect(refused).toEqual(everyKey.filter((key) => subject().refusesKey?.(key) === true));
    // Only now, so that a key that took another's place is found.
    const read = new Map<string, string | undefined>();
    for (const key of everyKey) read.set(key, (await subject().readBack(at(subject(), key)))?.bytes.toString());
    expect(read).toEqual(new Map(everyKey.map((key) => [key, refused.includes(key) ? undefined : key])));
  });

  test('a key over 1,024 bytes is refused', async () => {
    const putting = put(subject(), `${'é'.repeat(512)}x`, Buffer.from('x'));
    await expect(putting).rejects.toMatchObject({ code: 'KeyTooLongError', status: 400 });
  });
}
