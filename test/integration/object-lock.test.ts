// Objects that are locked as they are put. S3 demands a checksum of each of their bodies, which MinIO does not: what went to it is read.
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { bucketConfig, prefix, s3Config } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { passOnTo, startRecorder, type Recorder } from '../support/recorder.ts';
import { createS3Client } from '../support/s3-client.ts';
import { sendRequest, type Answer, type RequestOptions } from '../support/send-request.ts';
import { createToken, startProxy, type RunningProxy } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
const partBytes = 5 * MiB;
const bucket = 'backend-bucket';
const retainUntil = new Date(Math.floor(Date.now() / 1000 + 24 * 3600) * 1000);
const lock = {
  'x-amz-object-lock-mode': 'GOVERNANCE',
  'x-amz-object-lock-retain-until-date': retainUntil.toISOString(),
};
const small = createRandomBody('small', 100_000).bytes();
const large = createRandomBody('large', 2 * partBytes + 12_345).bytes();

function crcOf(bytes: Uint8Array): Buffer {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value;
}

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  let server: S3Server;
  let recorder: Recorder;
  let proxy: RunningProxy;
  let token: string;
  let client: ReturnType<typeof createS3Client>;

  beforeAll(async () => {
    server = await start();
    client = createS3Client(server);
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
    recorder = await startRecorder(passOnTo(server));
    const upload = { multipart_threshold: partBytes, part_size: partBytes };
    const s3 = s3Config(server, recorder.endpoint);
    const checked = {
      ...bucketConfig({ s3: { ...s3, request_checksum_calculation: 'when_supported' }, upload }),
      name: 'checked',
      path_prefix: '/checked',
    };
    proxy = await startProxy({ config: { buckets: [bucketConfig({ s3, upload }), checked] } });
    token = await createToken();
  });
  beforeEach(() => void recorder.seen.splice(0));
  afterAll(async () => {
    await proxy.stop();
    await recorder.stop();
    client.destroy();
    await server.stop();
  });

  const put = (
    key: string,
    body: RequestOptions['body'],
    headers: Record<string, string>,
    under = prefix,
  ): Promise<Answer> =>
    sendRequest({
      url: proxy.url,
      method: 'PUT',
      path: `${under}/${key}`,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    });

  const expectLocked = async (key: string, body: Buffer): Promise<void> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
    const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket: bucket, Key: key }));
    expect(Retention).toEqual({ Mode: 'GOVERNANCE', RetainUntilDate: retainUntil });
  };

  const checksumOf = async (key: string): Promise<string | undefined> => {
    const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }));
    return head.ChecksumCRC32;
  };

  const headsOf = (method: string, target: string): string[] =>
    recorder.seen.filter((one) => one.method === method && one.target.includes(target)).map(({ head }) => head);
  const trailer = 'x-amz-trailer: x-amz-checksum-crc32\n';
  const isEach = (heads: readonly string[], text: string): boolean[] => heads.map((head) => head.includes(text));

  /** Behind what still arrives when the part is begun; of what is there by then, it is known. */
  const expectOnEachPart = (): void => {
    const heads = headsOf('PUT', 'partNumber=');
    expect(heads.filter((head) => head.includes(trailer)).length).toBeGreaterThanOrEqual(2);
    expect(heads.map((head) => /^x-amz-(?:trailer|checksum-crc32): /mu.test(head))).toEqual([true, true, true]);
  };

  test('a small body: its checksum comes with it', async () => {
    expect(await put('small', small, lock)).toMatchObject({ status: 200 });
    await expectLocked('small', small);
    expect(headsOf('PUT', '/small')[0]).toMatch(/^x-amz-(?:trailer: x-amz-checksum-crc32|checksum-crc32: \S+)$/mu);
    expect(await checksumOf('small')).toBe(crcOf(small).toString('base64'));
  });

  test('a body that goes as one while it still arrives: its checksum comes behind it', async () => {
    const body = large.subarray(0, 3 * MiB);
    expect(await put('streamed', body, lock)).toMatchObject({ status: 200 });
    await expectLocked('streamed', body);
    expect(isEach(headsOf('PUT', '/streamed'), trailer)).toEqual([true]);
    expect(await checksumOf('streamed')).toBe(crcOf(body).toString('base64'));
  });

  test("a small body with the client's own checksum gets no other", async () => {
    const md5 = createHash('md5').update(small).digest('base64');
    expect(await put('own', small, { ...lock, 'content-md5': md5 })).toMatchObject({ status: 200 });
    await expectLocked('own', small);
    expect(headsOf('PUT', '/own')[0]).toContain(`content-md5: ${md5}\n`);
    expect(headsOf('PUT', '/own')[0]).not.toContain('crc32');
  });

  test('nothing, and a small body of unknown length', async () => {
    expect(await put('nothing', Buffer.alloc(0), lock)).toMatchObject({ status: 200 });
    await expectLocked('nothing', Buffer.alloc(0));
    expect(await put('chunked', [small], lock)).toMatchObject({ status: 200 });
    await expectLocked('chunked', small);
    const heads = [...headsOf('PUT', '/nothing'), ...headsOf('PUT', '/chunked')];
    expect(isEach(heads, 'x-amz-checksum-crc32: ')).toEqual([true, true]);
  });

  test('a large body of known length: each part comes with a checksum behind it', async () => {
    expect(await put('large', large, lock)).toMatchObject({ status: 200 });
    await expectLocked('large', large);
    expect(isEach(headsOf('POST', '/large?uploads'), 'x-amz-checksum-algorithm: CRC32\n')).toEqual([true]);
    expect(isEach(headsOf('POST', '/large?uploads'), 'x-amz-checksum-type: FULL_OBJECT\n')).toEqual([true]);
    expectOnEachPart();
    expect(await checksumOf('large')).toBe(crcOf(large).toString('base64'));
  });

  test("a large body with the client's own checksum, which is of no part", async () => {
    const checksum = createHash('sha256').update(large).digest('base64');
    expect(await put('digest', large, { ...lock, 'x-amz-checksum-sha256': checksum })).toMatchObject({ status: 200 });
    await expectLocked('digest', large);
    expectOnEachPart();
  });

  test('a large body of unknown length: its parts, whole before they are sent, have their checksums in the head', async () => {
    expect(await put('unknown', [large], lock)).toMatchObject({ status: 200 });
    await expectLocked('unknown', large);
    const heads = headsOf('PUT', 'partNumber=');
    expect(isEach(heads, 'x-amz-checksum-crc32: ')).toEqual([true, true, true]);
    expect(await checksumOf('unknown')).toBe(crcOf(large).toString('base64'));
  });

  test.each([
    ['small', small],
    ['streamed', large.subarray(0, 3 * MiB)],
    ['large', large],
  ])('a bucket that wants checksums gets one without a lock too: %s', async (name, body) => {
    for (const [key, sent] of Object.entries({ [`checked-${name}`]: body, [`checked-unknown-${name}`]: [body] })) {
      expect(await put(key, sent, {}, '/checked')).toMatchObject({ status: 200 });
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
      expect(await checksumOf(key)).toBe(crcOf(body).toString('base64'));
    }
  });

  test('without a lock, parts go as they came', async () => {
    expect(await put('free', large, {})).toMatchObject({ status: 200 });
    const heads = [...headsOf('POST', '/free'), ...headsOf('PUT', 'partNumber=')];
    expect(heads.length).toBeGreaterThanOrEqual(5);
    expect(heads.filter((head) => /trailer|checksum/iu.test(head))).toEqual([]);
  });
});
