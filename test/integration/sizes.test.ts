// Objects of every size that changes the way they take go into real S3 servers and come back byte for byte.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';

const MiB = 1024 * 1024;
const sizes: readonly (readonly [name: string, sizeBytes: number])[] = [
  ['0 B', 0],
  ['1 B', 1],
  ['5 MiB - 1', 5 * MiB - 1],
  ['5 MiB', 5 * MiB],
  ['5 MiB + 1', 5 * MiB + 1],
  ['50 MiB - 1', 50 * MiB - 1],
  ['50 MiB', 50 * MiB],
  ['50 MiB + 1', 50 * MiB + 1],
  ['300 MiB', 300 * MiB],
  ['2 GiB', 2048 * MiB],
];
const unknownSizes: readonly (readonly [name: string, sizeBytes: number])[] = [
  ['0 B', 0],
  ['100 KiB', 100 * 1024],
  ['exactly one part', 16 * MiB],
  ['one part + 1', 16 * MiB + 1],
  ['several parts', 40 * MiB + 7],
];
const headers = {
  'content-type': 'image/x-test; q="a b"',
  'content-disposition': 'attachment; filename="a.bin"',
  'cache-control': 'max-age=60',
  'content-language': 'de',
  'content-encoding': 'x-custom',
  'x-amz-meta-plain': 'one',
  'x-amz-meta-two-words': 'a  b',
};

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  let bucket: ProxiedBucket;
  beforeAll(async () => {
    bucket = await startProxiedBucket({ start });
  });
  afterAll(() => bucket.stop());

  const expectStored = async (key: string, body: ReturnType<typeof createRandomBody>): Promise<void> => {
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
    const head = await bucket.stored.head(key);
    expect(head.ContentType).toBe(headers['content-type']);
    expect(head.ContentDisposition).toBe(headers['content-disposition']);
    expect(head.CacheControl).toBe(headers['cache-control']);
    expect(head.ContentLanguage).toBe(headers['content-language']);
    expect(head.ContentEncoding).toBe(headers['content-encoding']);
    expect(head.Metadata).toEqual({ plain: 'one', 'two-words': 'a  b' });
  };

  test.each(sizes)('a body of %s with its length', async (name, sizeBytes) => {
    const body = createRandomBody(`known ${name}`, sizeBytes);
    const key = `known/${sizeBytes}`;
    const answer = await bucket.put(key, body.chunks(), { ...headers, 'content-length': String(sizeBytes) });
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect(answer.headers.etag).toBe((await bucket.stored.head(key)).ETag);
    await expectStored(key, body);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listOpenUploads()).toEqual([]);
  });

  test.each(unknownSizes)('a body of %s in chunked transfer coding, without its length', async (name, sizeBytes) => {
    const body = createRandomBody(`unknown ${name}`, sizeBytes, 100_001);
    const key = `unknown/${sizeBytes}`;
    const answer = await bucket.put(key, body.chunks(), headers);
    expect(answer).toMatchObject({ status: 200, body: '' });
    await expectStored(key, body);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listOpenUploads()).toEqual([]);
  });

  test('a second upload to a key replaces the first', async () => {
    const second = createRandomBody('second', 1000);
    await bucket.put('same', 'the first, which is longer than nothing');
    expect((await bucket.put('same', second.bytes())).status).toBe(200);
    expect((await bucket.stored.readBytes('same')).equals(second.bytes())).toBe(true);
  });

  test('If-None-Match: * refuses to replace, also above the multipart threshold', async () => {
    const body = createRandomBody('conditional', 51 * MiB);
    const conditional = { 'if-none-match': '*', 'content-length': String(body.sizeBytes) };
    expect((await bucket.put('once', body.chunks(), conditional)).status).toBe(200);
    const again = createRandomBody('other', 51 * MiB);
    const answer = await bucket.put('once', again.chunks(), conditional);
    expect(answer.status).toBe(412);
    expect(answer.body).toContain('<Code>PreconditionFailed</Code>');
    expect((await bucket.stored.readHash('once')).sha256).toBe(body.sha256());
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listOpenUploads()).toEqual([]);
  });
});
