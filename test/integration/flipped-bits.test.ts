// One flipped bit anywhere in a signed request, head or body: it is refused, and nothing is stored in the real store.
import { DeleteObjectCommand, ListObjectVersionsCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody, createRandomNumbers } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import {
  payloadModes,
  presignS3Url,
  signS3Request,
  type ClientCredential,
  type PayloadMode,
} from '../support/sign-s3-request.ts';

const credential: ClientCredential = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-key-of-alice-1234',
  region: 'us-east-1',
};
const seed = process.env['MIZUCHI_TEST_SEED'] ?? String(Date.now());
const flipsOfEach = 250;
const key = 'folder/signed object';
const path = '/uploads/folder/signed%20object';

let bucket: ProxiedBucket;
let host: string;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    server: { limits: { idle_timeout_seconds: 1 } },
    auth: { sigv4: { access_key: credential.accessKey, secret_key: credential.secretKey } },
  });
  host = new URL(bucket.proxy.url).host;
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await bucket.stored.client.send(
    new PutBucketVersioningCommand({ Bucket: bucket.stored.bucket, VersioningConfiguration }),
  );
});
afterAll(() => bucket.stop());

const body = createRandomBody('flipped', 20_000).bytes();
const md5 = (bytes: string | Uint8Array): string => hash('md5', bytes);

function serialise(target: string, headers: Readonly<Record<string, string>>, content: Uint8Array): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`PUT ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), content]);
}

function createRequest(mode: PayloadMode | 'presigned'): Buffer {
  if (mode === 'presigned') {
    const target = presignS3Url({ credential, host, method: 'PUT', path, headers: { 'x-amz-meta-a': 'meta value' } });
    return serialise(target, { host, 'x-amz-meta-a': 'meta value', 'content-length': '0' }, Buffer.alloc(0));
  }
  const headers = {
    'content-type': 'text/plain',
    'x-amz-meta-a': 'meta value',
    'x-amz-storage-class': 'STANDARD',
    // Nothing else says how long a body is that is not signed.
    ...(mode === 'UNSIGNED-PAYLOAD' && { 'content-length': String(body.length) }),
  };
  const signed = signS3Request({ credential, host, method: 'PUT', path, headers, body, mode, chunkBytes: 8192 });
  return serialise(path, signed.headers, signed.body);
}

/**
 * Sends the bytes and then nothing more.
 * @returns the status of the first answer; undefined when there is none, for example because the head has lost its end.
 */
async function statusOf(request: Buffer): Promise<number | undefined> {
  const connection = await openRawConnection(bucket.proxy.url);
  await connection.write(request);
  const answer = connection.readAnswer().catch(() => undefined);
  const { status } = (await Promise.race([answer, delay(2000, undefined, { ref: false })])) ?? {};
  connection.destroy();
  return status;
}

/**
 * What a request says; what is changed without changing this may be accepted: the other case of a letter in the name of a field
 * or in a hex digit, what stands at either end of a field's value and is no visible character, and the empty lines at the end of
 * aws-chunked framing, which nothing needs.
 */
function meaningOf(request: Buffer): string {
  const headEnd = request.indexOf('\r\n\r\n');
  const [line = '', ...lines] = request.subarray(0, Math.max(0, headEnd)).toString('latin1').split('\r\n');
  const fields = lines.map((text): [string, string] => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).replaceAll(/^[^!-~]+|[^!-~]+$/gu, '')];
  });
  const length = Number(fields.find(([name]) => name === 'content-length')?.[1]);
  let content = request.subarray(headEnd + 4, headEnd + 4 + length).toString('latin1');
  if (request.includes('STREAMING-')) {
    content = content
      .replaceAll(/(?:^|\r\n)[0-9a-f]+(?=;chunk-signature=|\r\n)|\r\nx-amz-[a-z0-9-]+(?=:)/giu, (text) =>
        text.toLowerCase(),
      )
      .replace(/[\r\n]*$/u, '');
  }
  const target = line.replaceAll(/%[0-9a-f]{2}/giu, (escape) => escape.toLowerCase());
  return JSON.stringify([target, fields.filter(([name]) => name !== 'content-length'), content]);
}

/** Where framing stands in a request: the size lines of its chunks, the line ends behind them, and the trailer. */
function framingPlaces(request: Buffer, headBytes: number): number[] {
  const places: number[] = [];
  let at = headBytes;
  let size: number;
  do {
    // Not the line end behind the chunk before.
    const lineEnd = request.indexOf('\r\n', at + 2) + 2;
    size = Number.parseInt(request.toString('latin1', at, lineEnd).trimStart(), 16);
    const end = size === 0 ? request.length : lineEnd;
    for (; at < end; at++) places.push(at);
    at += size;
  } while (size > 0);
  return places;
}

/** Takes all that was ever stored, overwritten objects too, out of the store. @returns key and ETag of each. */
async function takeStored(): Promise<(readonly [key: string | undefined, etag: string | undefined])[]> {
  const { client, bucket: Bucket } = bucket.stored;
  const {
    Versions = [],
    DeleteMarkers = [],
    IsTruncated,
  } = await client.send(new ListObjectVersionsCommand({ Bucket }));
  expect([DeleteMarkers, IsTruncated]).toEqual([[], false]);
  for (const { Key, VersionId } of Versions) await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
  return Versions.map(({ Key, ETag }) => [Key, ETag]);
}

test.each([...payloadModes, 'presigned'] as const)(`%s (seed ${seed})`, async (mode) => {
  const request = createRequest(mode);
  const meaning = meaningOf(request);
  const stored = [key, `"${md5(mode === 'presigned' ? '' : body)}"`];
  expect(await statusOf(request)).toBe(200);
  expect(await takeStored()).toEqual([stored]);

  const headBytes = request.indexOf('\r\n\r\n') + 4;
  const randomBelow = createRandomNumbers(`${seed} ${mode}`);
  const isBodySigned = mode !== 'UNSIGNED-PAYLOAD' && mode !== 'presigned';
  const framing = mode.startsWith('STREAMING-') ? framingPlaces(request, headBytes) : [];
  // As many in the head as behind it, and there as many in the framing as anywhere, however long the body is.
  const places = Array.from({ length: flipsOfEach }, (_, i) => {
    if (i % 2 === 0 || !isBodySigned) return randomBelow(headBytes);
    if (i % 4 === 1 && framing.length > 0) return framing[randomBelow(framing.length)] ?? 0;
    return headBytes + randomBelow(request.length - headBytes);
  });
  let accepted = 0;
  const wrong: string[] = [];
  const flip = async (at: number, bit: number): Promise<void> => {
    const spoilt = Buffer.from(request);
    spoilt[at] = (spoilt[at] ?? 0) ^ (1 << bit);
    if ((await statusOf(spoilt)) !== 200) return;
    accepted++;
    if (meaningOf(spoilt) === meaning) return;
    const line = spoilt.subarray(Math.max(0, at - 30), at + 30).toString('latin1');
    wrong.push(`bit ${bit} of byte ${at} was accepted: ${JSON.stringify(line)}`);
  };
  for (let i = 0; i < places.length; i += 32) {
    await Promise.all(places.slice(i, i + 32).map((at) => flip(at, randomBelow(8))));
  }
  expect(wrong).toEqual([]);
  await bucket.proxy.waitUntilIdle();
  // Each that was answered 200, and none that was refused.
  expect(await takeStored()).toEqual(Array.from({ length: accepted }, () => stored));
  expect(await bucket.stored.listOpenUploads()).toEqual([]);
});
