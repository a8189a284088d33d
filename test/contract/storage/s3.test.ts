// The storage contract, kept by the S3 backend on two real servers, seen through the official SDK.
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createS3Storage } from '../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import type { S3Server } from '../../servers/start-s3-server.ts';
import { startMinio } from '../../servers/start-minio.ts';
import { startVersitygw } from '../../servers/start-versitygw.ts';
import { createBucket, type BucketView } from '../../support/s3-client.ts';
import { createCountedBody } from './counted-body.ts';
import { everyKey } from './keys.ts';
import { describeStorageContract } from './storage-contract.ts';
import type { ReadObject, StorageUnderTest } from './storage-under-test.ts';

const bucket = 'contract';
const never = new AbortController().signal;

function createStorage(server: S3Server, changes: { region?: string; secretAccessKey?: string } = {}): Storage {
  const { endpoint, accessKey: accessKeyId, secretKey, region } = server;
  return createS3Storage({
    region: changes.region ?? region,
    endpoint,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials: { accessKeyId, secretAccessKey: changes.secretAccessKey ?? secretKey },
    timeouts: { connectMs: 5000, idleMs: 30_000, totalMs: 0 },
  });
}

async function makeStorage(
  start: () => Promise<S3Server>,
  refusesKey: (key: string) => boolean,
): Promise<StorageUnderTest> {
  const server = await start();
  const view = await createBucket(server, bucket);
  const storage = createStorage(server);
  return {
    storage,
    bucket,
    readBack: ({ key }) => readObject(view, key),
    async listOpenUploads() {
      const page = await view.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return (page.Uploads ?? []).map(({ UploadId }) => UploadId ?? '');
    },
    refusesKey,
    async close() {
      await storage.close();
      view.client.destroy();
      await server.stop();
    },
  };
}

async function readObject(view: BucketView, key: string): Promise<ReadObject | undefined> {
  const command = new GetObjectCommand({ Bucket: bucket, Key: key });
  const found = await view.client.send(command).catch((error: unknown) => {
    if (error instanceof S3ServiceException && error.$fault === 'client') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  const fields: [string, string | undefined][] = [
    ['content-type', found.ContentType],
    ['content-encoding', found.ContentEncoding],
    ['content-disposition', found.ContentDisposition],
    ['content-language', found.ContentLanguage],
    ['cache-control', found.CacheControl],
    ['expires', found.ExpiresString],
  ];
  const metadata = Object.entries(found.Metadata ?? {}).map(([name, value]) => [`x-amz-meta-${name}`, value] as const);
  const present = fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return {
    bytes: Buffer.from((await found.Body?.transformToByteArray()) ?? []),
    etag: found.ETag ?? '',
    headers: new Map([...present, ...metadata]),
  };
}

const hasEmptySegment = (key: string): boolean => key.startsWith('/') || key.includes('//');
/** Both servers keep an object's name in names of files. */
const hasLongSegment = (key: string): boolean => key.split('/').some((segment) => Buffer.byteLength(segment) > 255);
const isBelowAnother = (key: string): boolean => everyKey.some((other) => key.startsWith(`${other}/`));

const servers = [
  {
    name: 'MinIO',
    start: startMinio,
    refusesKey: (key: string) => hasEmptySegment(key) || hasLongSegment(key),
  },
  {
    name: 'versitygw',
    start: startVersitygw,
    refusesKey: (key: string) =>
      hasEmptySegment(key) || hasLongSegment(key) || isBelowAnother(key) || key.endsWith('/'),
  },
];

for (const { name, start, refusesKey } of servers) {
  describeStorageContract(`S3 on ${name}`, () => makeStorage(start, refusesKey));
}

describe.each(servers)('S3 on $name', ({ start }) => {
  let server: S3Server;
  let view: BucketView;
  let storage: Storage;
  const others: Storage[] = [];
  beforeAll(async () => {
    server = await start();
    view = await createBucket(server, bucket);
    storage = createStorage(server);
  });
  afterAll(async () => {
    await Promise.all([storage, ...others].map((each) => each.close()));
    view.client.destroy();
    await server.stop();
  });

  const changed = (changes: { region?: string; secretAccessKey?: string }): Storage => {
    const other = createStorage(server, changes);
    others.push(other);
    return other;
  };
  const put = (target: Storage, headers: Record<string, string> = {}, address = { bucket, key: 'object' }) =>
    target.putObject(address, new Map(Object.entries(headers)), createCountedBody(Buffer.from('hello')), never);

  test.each(['a b+c', 'percent%2Fslash', 'caf\u00e9 🦑', "'!()*~?#&=;:@,$", 'back\\slash', ' lead and trail '])(
    'the calls of a multipart upload mean the same key as a PUT: %j',
    async (key) => {
      const headers = new Map([['x-amz-meta-words', 'grün  🦑']]);
      const { uploadId } = await storage.createMultipartUpload({ bucket, key }, headers, never);
      const upload = { bucket, key, uploadId };
      const part = await storage.uploadPart(upload, 1, new Map(), createCountedBody(Buffer.from(key)), never);
      const page = await storage.listParts(upload, { maxParts: 5, partNumberMarker: 0 }, new Map(), never);
      expect(page.parts.map(({ etag }) => etag)).toEqual([part.etag]);
      await storage.completeMultipartUpload(upload, [{ partNumber: 1, etag: part.etag }], new Map(), never);
      const viaMultipart = await view.client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      await storage.putObject({ bucket, key }, headers, createCountedBody(Buffer.from(key)), never);
      const viaPut = await view.client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      expect(await view.readBytes(key)).toEqual(Buffer.from(key));
      expect(await view.listKeys(key)).toEqual([key]);
      expect(viaMultipart.Metadata).toEqual(viaPut.Metadata);
      expect(Object.keys(viaPut.Metadata ?? {})).toEqual(['words']);
    },
  );

  test('checksums of an object and of its parts go through and come back', async () => {
    const key = 'checksums';
    const crc = 'NhCmhg==';
    const create = new Map([['x-amz-checksum-algorithm', 'CRC32']]);
    const { uploadId } = await storage.createMultipartUpload({ bucket, key }, create, never);
    const upload = { bucket, key, uploadId };
    const body = createCountedBody(Buffer.from('hello'));
    const part = await storage.uploadPart(upload, 1, new Map([['x-amz-checksum-crc32', crc]]), body, never);
    expect(part.headers.get('x-amz-checksum-crc32')).toBe(crc);
    const { parts } = await storage.listParts(upload, { maxParts: 5, partNumberMarker: 0 }, new Map(), never);
    expect(parts[0]?.checksums).toEqual([['crc32', crc]]);
    const completed = [{ partNumber: 1, etag: part.etag, checksums: [['crc32', crc] as const] }];
    const whole = await storage.completeMultipartUpload(upload, completed, new Map(), never);
    expect(whole.headers.get('x-amz-checksum-crc32')).toMatch(/^[\w+/]{6}==-1$/);
  });

  test.each<[string, Record<string, string>, object]>([
    ['a wrong MD5', { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' }, { code: 'BadDigest', status: 400 }],
    ['an MD5 that is none', { 'content-md5': 'zz' }, { code: 'InvalidDigest', status: 400 }],
    ['a wrong checksum', { 'x-amz-checksum-crc32': 'AAAAAA==' }, { code: 'BadDigest', status: 400 }],
    [
      'object lock where there is none',
      { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': '2099-01-01T00:00:00Z' },
      { code: 'InvalidRequest', status: 400 },
    ],
  ])('%s is refused as S3 would', async (_, headers, refusal) => {
    const putting = put(storage, headers, { bucket, key: 'refused' });
    await expect(putting).rejects.toMatchObject({ name: 'S3Error', retryable: false, ...refusal });
  });

  test('what is wrong with our own configuration is no matter of the client', async () => {
    const wrongSecret = changed({ secretAccessKey: 'wrong' });
    const wrongRegion = changed({ region: 'eu-nowhere-1' });
    const noBucket = { bucket: 'no-such-bucket', key: 'object' };
    const outcomes = await Promise.allSettled([
      put(wrongSecret),
      wrongSecret.createMultipartUpload({ bucket, key: 'x' }, new Map(), never),
      put(wrongRegion),
      put(storage, {}, noBucket),
      storage.createMultipartUpload(noBucket, new Map(), never),
    ]);
    const causes = [];
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') throw new Error('it was not refused');
      expect(outcome.reason).toMatchObject({ code: 'InternalError', status: 500, retryable: false });
      expect(outcome.reason.message).toBe('An internal error occurred. Try again.');
      causes.push(outcome.reason.cause.code);
    }
    const wrong = ['SignatureDoesNotMatch', 'SignatureDoesNotMatch', 'AuthorizationHeaderMalformed'];
    expect(causes).toEqual([...wrong, 'NoSuchBucket', 'NoSuchBucket']);
  });

  test('it is not ready with a wrong secret or without the bucket', async () => {
    await expect(changed({ secretAccessKey: 'wrong' }).checkReady(bucket, never)).rejects.toMatchObject({
      name: 'S3Error',
    });
    await expect(storage.checkReady('no-such-bucket', never)).rejects.toMatchObject({ name: 'S3Error' });
  });
});
