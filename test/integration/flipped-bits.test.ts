// One flipped bit anywhere in a signed request, head or body: it is refused, and nothing is stored in the real store.
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
});
afterAll(() => bucket.stop());

const body = createRandomBody('flipped', 20_000).bytes();

function serialise(target: string, headers: Readonly<Record<string, string>>, content: Uint8Array): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`PUT ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), content]);
}

function createRequest(mode: PayloadMode | 'presigned'): Buffer {
  if (mode === 'presigned') {
    const target = presignS3Url({ credential, host, method: 'PUT', path, headers: { 'x-amz-meta-a': 'meta value' } });
    return serialise(target, { host, 'x-amz-meta-a': 'meta value', 'content-length': '0' }, Buffer.alloc(0));
  }
  const headers = { 'content-type': 'text/plain', 'x-amz-meta-a': 'meta value', 'x-amz-storage-class': 'STANDARD' };
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
 * Where nothing that is signed has changed: the other case of a letter in the name of a field, in a scheme or in a hex digit;
 * and the space behind a field's colon, which is not part of its value. What is stored must then be what was signed.
 */
function meansTheSame(request: Buffer, spoilt: Buffer, at: number): boolean {
  const lower = (bytes: Buffer) => bytes.toString('latin1').toLowerCase();
  return lower(request) === lower(spoilt) || request.subarray(at - 1, at + 1).toString() === ': ';
}

test.each([...payloadModes, 'presigned'] as const)(`%s (seed ${seed})`, async (mode) => {
  const request = createRequest(mode);
  expect(await statusOf(request)).toBe(200);
  expect(await bucket.stored.listKeys()).toEqual([key]);
  await bucket.stored.deleteObjects([key]);

  const headBytes = request.indexOf('\r\n\r\n') + 4;
  const randomBelow = createRandomNumbers(`${seed} ${mode}`);
  const isBodySigned = mode !== 'UNSIGNED-PAYLOAD' && mode !== 'presigned';
  // Half of the flips in the head, however long the body is.
  const places = Array.from({ length: flipsOfEach }, (_, i) =>
    i % 2 === 0 || !isBodySigned ? randomBelow(headBytes) : headBytes + randomBelow(request.length - headBytes),
  );
  const wrong: string[] = [];
  const flip = async (at: number, bit: number): Promise<void> => {
    const spoilt = Buffer.from(request);
    spoilt[at] = (spoilt[at] ?? 0) ^ (1 << bit);
    const status = await statusOf(spoilt);
    if (status === 200 && !meansTheSame(request, spoilt, at)) {
      const line = spoilt.subarray(Math.max(0, at - 30), at + 30).toString('latin1');
      wrong.push(`bit ${bit} of byte ${at} was accepted: ${JSON.stringify(line)}`);
    }
  };
  for (let i = 0; i < places.length; i += 32) {
    await Promise.all(places.slice(i, i + 32).map((at) => flip(at, randomBelow(8))));
  }
  expect(wrong).toEqual([]);
  const keys = await bucket.stored.listKeys();
  expect(keys.filter((one) => one !== key)).toEqual([]);
  if (keys.length > 0 && mode !== 'presigned') expect((await bucket.stored.readBytes(key)).equals(body)).toBe(true);
  await bucket.stored.deleteObjects(keys);
  expect(await bucket.stored.listOpenUploads()).toEqual([]);
});
