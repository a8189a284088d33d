// Backends that do not keep the checksum of an object in parts, and refuse to be asked: the object is stored without it.
import type { RequestListener } from 'node:http';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { answeredCode } from '../support/answered-code.ts';
import { bucketConfig, prefix, s3Config } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { passOnTo, startRecorder, type Recorder } from '../support/recorder.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken, startProxy, type RunningProxy } from '../support/start-proxy.ts';

const partBytes = 5 * 1024 * 1024;
const body = createRandomBody('large', 2 * partBytes + 12_345).bytes();
const checksum = Buffer.alloc(4);
checksum.writeUInt32BE(crc32(body));
const withCrc32 = { 'x-amz-checksum-crc32': checksum.toString('base64') };

let server: S3Server;
let stored: BucketView;
let token: string;
beforeAll(async () => {
  server = await startMinio();
  stored = await createBucket(server, 'backend-bucket');
  token = await createToken();
});
afterAll(() => server.stop());

let recorder: Recorder;
let proxy: RunningProxy;
beforeEach(async () => {
  recorder = await startRecorder(passOnTo(server));
  const upload = { multipart_threshold: partBytes, part_size: partBytes };
  const s3 = s3Config(server, recorder.endpoint);
  const wanting = {
    ...bucketConfig({ s3: { ...s3, request_checksum_calculation: 'when_supported' }, upload }),
    name: 'wanting',
    path_prefix: '/wanting',
  };
  proxy = await startProxy({ config: { buckets: [bucketConfig({ s3, upload }), wanting] } });
});
afterEach(async () => {
  await proxy.stop();
  await recorder.stop();
});

function refuse(field: string, status: number, code: string): void {
  const passOn = passOnTo(server);
  const answer: RequestListener = (request, response) => {
    if (request.headers[field] === undefined || request.method !== 'POST') return passOn(request, response);
    request.resume();
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<Error><Code>${code}</Code><Message>Header ${field} is not implemented</Message></Error>`);
  };
  recorder.setAnswer(answer);
}

const put = (key: string, headers: Record<string, string>, under = prefix): Promise<Answer> =>
  sendRequest({
    url: proxy.url,
    method: 'PUT',
    path: `${under}/${key}`,
    headers: { authorization: `Bearer ${token}`, ...headers },
    body,
  });
const headsOf = (method: string, target: string): string[] =>
  recorder.seen.filter((one) => one.method === method && one.target.includes(target)).map(({ head }) => head);

test.each([
  ['x-amz-checksum-type', 400, 'InvalidRequest'],
  ['x-amz-checksum-algorithm', 400, 'InvalidArgument'],
  ['x-amz-checksum-algorithm', 501, 'NotImplemented'],
])('%s is refused with %i %s: stored without, and not asked for again', async (field, status, code) => {
  refuse(field, status, code);
  for (const [key, creates] of [
    ['first', 2],
    ['second', 1],
  ] as const) {
    expect(await put(key, withCrc32)).toMatchObject({ status: 200, body: '' });
    expect((await stored.readBytes(key)).equals(body)).toBe(true);
    expect(headsOf('POST', `${key}?uploads`)).toHaveLength(creates);
    const heads = [...headsOf('PUT', key), ...headsOf('POST', `${key}?uploadId`)];
    expect(heads.filter((head) => /checksum|trailer/iu.test(head))).toEqual([]);
  }
});

test('where a checksum is wanted, the parts have theirs all the same', async () => {
  refuse('x-amz-checksum-type', 400, 'InvalidRequest');
  for (const key of ['wanted', 'again']) {
    expect(await put(key, {}, '/wanting')).toMatchObject({ status: 200, body: '' });
    expect((await stored.readBytes(key)).equals(body)).toBe(true);
    expect(await stored.head(key)).toMatchObject({ ChecksumType: 'COMPOSITE' });
    expect(headsOf('PUT', key).map((head) => head.includes('x-amz-sdk-checksum-algorithm: CRC32'))).toEqual([
      true,
      true,
      true,
    ]);
  }
  expect(headsOf('POST', 'again?uploads')).toHaveLength(1);
});

test('what is refused for something else stays refused, and nothing is remembered of it', async () => {
  refuse('x-amz-storage-class', 400, 'InvalidArgument');
  const refused = await put('classed', { ...withCrc32, 'x-amz-storage-class': 'STANDARD' });
  expect([refused.status, answeredCode(refused)]).toEqual([400, 'InvalidArgument']);
  expect(await put('plain', withCrc32)).toMatchObject({ status: 200 });
  expect((await stored.head('plain')).ChecksumCRC32).toBe(withCrc32['x-amz-checksum-crc32']);
});

test('a fault that may pass is not taken for a refusal', async () => {
  refuse('x-amz-checksum-type', 500, 'InternalError');
  expect((await put('failing', withCrc32)).status).toBe(503);
  expect(headsOf('POST', 'failing?uploads').every((head) => head.includes('x-amz-checksum-type'))).toBe(true);
});
