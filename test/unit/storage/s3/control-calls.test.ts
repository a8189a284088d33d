// The calls that the SDK makes for us: what is sent, what is made of the answers, and completing when an answer is lost.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createS3Storage, type S3StorageOptions } from '../../../../src/storage/s3/s3-storage.ts';
import type { CompletedPart, Storage } from '../../../../src/storage/storage.ts';

const never = new AbortController().signal;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Answer = (response: ServerResponse) => unknown;

/** @param answers used in turn, the last one for all that follow. */
async function setUp(
  answers: readonly Answer[],
  options: Partial<S3StorageOptions> = {},
): Promise<{ storage: Storage; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body });
      (answers[seen.length - 1] ?? answers.at(-1))?.(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const storage = createS3Storage({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs: 5000, idleMs: 5000, totalMs: 0 },
    keepsEmptySegments: true,
    ...options,
  });
  cleanups.push(
    () => {
      server.closeAllConnections();
      server.close();
    },
    () => storage.close(),
  );
  return { storage, seen };
}

const reply =
  (status: number, body: string, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
const refuse = (status: number, code: string, headers: Record<string, string> = {}): Answer =>
  reply(
    status,
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words of the backend</Message></Error>`,
    headers,
  );
const cut: Answer = (response) => response.socket?.resetAndDestroy();

describe('createMultipartUpload', () => {
  const created = reply(
    200,
    '<InitiateMultipartUploadResult><UploadId>id/1</UploadId></InitiateMultipartUploadResult>',
    {
      'x-amz-server-side-encryption': 'AES256',
      'x-amz-abort-date': 'Fri, 01 Jan 2027 00:00:00 GMT',
      'x-amz-request-id': 'R1',
    },
  );

  test.each([
    ['a//b', '/bucket/a//b'],
    ['/x', '/bucket//x'],
    ['a/../b', '/bucket/a/../b'],
    ['..', '/bucket/..'],
    ['./a/', '/bucket/./a/'],
    ['%2F%25', '/bucket/%252F%2525'],
    ["a b+c!'()*?#", '/bucket/a%20b%2Bc%21%27%28%29%2A%3F%23'],
    ['\u0001🦑', '/bucket/%01%F0%9F%A6%91'],
  ])('sends the key %j as it is', async (key, path) => {
    const { storage, seen } = await setUp([created]);
    await storage.createMultipartUpload({ bucket: 'bucket', key }, new Map(), never);
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([`POST ${path}?uploads=`]);
  });

  test('sends and signs all header fields, and tells those of the answer', async () => {
    const { storage, seen } = await setUp([created]);
    const headers = new Map([
      ['content-type', 'text/x-odd'],
      ['expires', 'whenever'],
      ['x-amz-meta-words', 'grün  🦑'],
      ['x-amz-checksum-algorithm', 'CRC64NVME'],
      ['x-amz-server-side-encryption-customer-key', 'AAAA'],
    ]);
    const answer = await storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, headers, never);
    expect(answer.uploadId).toBe('id/1');
    expect(Object.fromEntries(answer.headers)).toEqual({
      'x-amz-server-side-encryption': 'AES256',
      'x-amz-abort-date': 'Fri, 01 Jan 2027 00:00:00 GMT',
    });
    const sent = seen[0]?.headers ?? {};
    for (const [name, value] of headers) {
      expect(Buffer.from(String(sent[name]), 'latin1').toString()).toBe(value);
      expect(sent.authorization).toMatch(new RegExp(`SignedHeaders=[^,]*\\b${name}\\b`));
    }
    expect(sent).not.toHaveProperty('expect');
  });

  test.each<[Answer, object]>([
    [refuse(503, 'SlowDown', { 'retry-after': '4' }), { code: 'SlowDown', retryable: true, retryAfterMs: 4000 }],
    [refuse(400, 'KMS.NotFoundException'), { code: 'KMS.NotFoundException', status: 400, retryable: false }],
    [refuse(403, 'SignatureDoesNotMatch'), { code: 'InternalError', retryable: false }],
    [
      refuse(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' }),
      { code: 'InternalError', cause: { bucketRegion: 'eu-west-1' } },
    ],
    [reply(200, 'no XML'), { name: 'S3Error', status: 503 }],
    [reply(200, '<InitiateMultipartUploadResult/>'), { code: 'ServiceUnavailable', retryable: true }],
    [cut, { code: 'ServiceUnavailable', retryable: true }],
  ])('what is refused is an S3Error, after one attempt (%#)', async (answer, expected) => {
    const { storage, seen } = await setUp([answer]);
    const creating = storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, new Map(), never);
    await expect(creating).rejects.toMatchObject({ name: 'S3Error', ...expected });
    await expect(creating).rejects.not.toThrow('backend');
    expect(seen).toHaveLength(1);
  });

  test('a field that would break the head is refused as on the other path', async () => {
    const { storage, seen } = await setUp([created]);
    const headers = new Map([['x-amz-meta-a', 'a\r\nx-amz-acl: public-read']]);
    const creating = storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, headers, never);
    await expect(creating).rejects.toMatchObject({ code: 'InvalidArgument', status: 400 });
    expect(seen).toHaveLength(0);
  });

  test('no call is made on a connection that has served another', async () => {
    const sockets = new Set<unknown>();
    const { storage } = await setUp([
      (response) => {
        sockets.add(response.socket);
        return created(response);
      },
    ]);
    for (let i = 0; i < 3; i++) await storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, new Map(), never);
    expect(sockets.size).toBe(3);
  });

  test('a backend that is silent is given up', async () => {
    const { storage } = await setUp([() => undefined], { timeouts: { connectMs: 5000, idleMs: 50, totalMs: 0 } });
    await expect(storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, new Map(), never)).rejects.toMatchObject(
      {
        code: 'ServiceUnavailable',
        retryable: true,
      },
    );
  });

  test('an abort ends it with the reason', async () => {
    const stop = new AbortController();
    const { storage } = await setUp([() => stop.abort(new Error('the client left'))]);
    const creating = storage.createMultipartUpload({ bucket: 'bucket', key: 'k' }, new Map(), stop.signal);
    await expect(creating).rejects.toThrow('the client left');
  });
});

const partEtags = ['0cc175b9c0f1b6a831c399e269772661', '92eb5ffee6ae2fec3ad71c777531578f'];
const parts: CompletedPart[] = partEtags.map((md5, i) => ({ partNumber: i + 1, etag: `"${md5}"` }));
/** MD5 of the two digests above, of "a" and "b". */
const wholeEtag = '"96e024ba2074fe77e8e965ba43a704be-2"';
const upload = { bucket: 'bucket', key: 'k', uploadId: 'u' };
const agoMs = (ms: number): Record<string, string> => ({ 'last-modified': new Date(Date.now() - ms).toUTCString() });
const minuteMs = 60_000;
/** Of an object that was made a minute ago. */
const head = (etag: string, headers: Record<string, string> = {}): Answer =>
  reply(200, '', { etag, ...agoMs(minuteMs), ...headers });
const isGone = refuse(404, 'NoSuchUpload');
const opaqueEtag = '"00000000000000000000000000000000-2"';
/** Answers to a HEAD that leave open what is there. */
const blindLooks: [string, Answer][] = [
  ['may not be asked for', reply(403, '')],
  ['cannot be asked for', cut],
  ['is not told of', reply(503, '')],
  ['has an ETag that says nothing', head(opaqueEtag, { 'x-amz-server-side-encryption': 'aws:kms' })],
];

describe('completeMultipartUpload', () => {
  test('sends the parts and their checksums, and tells what the document says', async () => {
    const result = `<CompleteMultipartUploadResult><ETag>${wholeEtag}</ETag><ChecksumCRC32>AAAA-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></CompleteMultipartUploadResult>`;
    const { storage, seen } = await setUp([reply(200, result, { 'x-amz-version-id': 'v1' })]);
    const [first, second] = parts;
    if (first === undefined || second === undefined) throw new Error('two parts');
    const withChecksum = { ...second, checksums: [['crc32', 'BBBB'] as const] };
    const headers = new Map([['x-amz-mp-object-size', '2']]);
    const stored = await storage.completeMultipartUpload(upload, [first, withChecksum], headers, never);
    expect(stored.etag).toBe(wholeEtag);
    expect(Object.fromEntries(stored.headers)).toEqual({
      'x-amz-version-id': 'v1',
      'x-amz-checksum-crc32': 'AAAA-2',
      'x-amz-checksum-type': 'COMPOSITE',
    });
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/bucket/k?uploadId=u' });
    expect(seen[0]?.headers['x-amz-mp-object-size']).toBe('2');
    expect(seen[0]?.body).toMatch(/<PartNumber>1<\/PartNumber>.*<ChecksumCRC32>BBBB<\/ChecksumCRC32>.*<PartNumber>2/s);
  });

  test('an error in a 200 is that error', async () => {
    const { storage } = await setUp([refuse(200, 'InvalidPart')]);
    const completing = storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(completing).rejects.toMatchObject({ code: 'InvalidPart', status: 400, retryable: false });
  });

  test('parts out of order are refused', async () => {
    const { storage, seen } = await setUp([cut]);
    for (const wrong of [parts.toReversed(), [...parts, ...parts]]) {
      await expect(storage.completeMultipartUpload(upload, wrong, new Map(), never)).rejects.toMatchObject({
        code: 'InvalidPartOrder',
      });
    }
    expect(seen).toHaveLength(0);
  });

  test.each<[string, Answer]>([
    ['is lost', cut],
    ['is an internal error in a 200', refuse(200, 'InternalError')],
    ['is empty', reply(200, '')],
    ['is a gateway’s', reply(504, '<html>')],
    ['is that the upload is gone', isGone],
  ])('where the answer %s, the object that is there is the answer', async (_, answer) => {
    const { storage, seen } = await setUp([answer, head(wholeEtag, { 'x-amz-version-id': 'v1' })]);
    const headers = new Map([
      ['if-none-match', '*'],
      ['x-amz-server-side-encryption-customer-algorithm', 'AES256'],
      ['x-amz-expected-bucket-owner', '1'],
    ]);
    const stored = await storage.completeMultipartUpload(upload, parts, headers, never);
    expect(stored.etag).toBe(wholeEtag);
    expect(Object.fromEntries(stored.headers)).toEqual({ 'x-amz-version-id': 'v1' });
    expect(seen[1]).toMatchObject({ method: 'HEAD', url: '/bucket/k' });
    expect(seen[1]?.headers).toMatchObject({
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-expected-bucket-owner': '1',
    });
    expect(seen[1]?.headers).not.toHaveProperty('if-none-match');
  });

  test.each<[string, Answer]>([
    ['is not there', reply(404, '')],
    ['is another', head('"96e024ba2074fe77e8e965ba43a704be"')],
    ['may not be asked for', reply(403, '')],
  ])('where the object %s, the first error stays', async (_, answer) => {
    const { storage } = await setUp([isGone, answer, cut, answer]);
    const complete = () => storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(complete()).rejects.toMatchObject({ code: 'NoSuchUpload', status: 404 });
    await expect(complete()).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
  });

  test.each([
    { 'x-amz-server-side-encryption': 'aws:kms' },
    { 'x-amz-server-side-encryption-customer-algorithm': 'AES256' },
  ])('where an ETag says nothing, nobody can tell: %j', async (headers) => {
    const { storage } = await setUp([isGone, head(opaqueEtag, headers)]);
    const completing = storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(completing).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: false });
  });

  const refusals: [string, Answer][] = [
    ['NoSuchUpload', isGone],
    ['PreconditionFailed', refuse(412, 'PreconditionFailed')],
    ['ConditionalRequestConflict', refuse(409, 'ConditionalRequestConflict')],
  ];

  test.each(refusals.flatMap(([code, refusal]) => blindLooks.map(([look, seen]) => ({ code, refusal, look, seen }))))(
    'after a lost answer, $code is no failure while the object $look; once it can be seen it is known',
    async ({ refusal, seen }) => {
      const { storage } = await setUp([cut, seen, refusal, seen, refusal, seen, refusal, head(wholeEtag)]);
      const complete = () => storage.completeMultipartUpload(upload, parts, new Map([['if-none-match', '*']]), never);
      await expect(complete()).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
      for (let i = 0; i < 2; i++)
        await expect(complete()).rejects.toMatchObject({ code: 'ServiceUnavailable', status: 503, retryable: false });
      await expect(complete()).resolves.toMatchObject({ etag: wholeEtag });
    },
  );

  test.each(refusals)(
    'after a lost answer, %s counts where nothing is there, or another object',
    async (code, refusal) => {
      for (const seen of [reply(404, ''), head('"96e024ba2074fe77e8e965ba43a704be"')]) {
        const { storage } = await setUp([cut, seen, refusal, seen]);
        const complete = () => storage.completeMultipartUpload(upload, parts, new Map([['if-none-match', '*']]), never);
        await expect(complete()).rejects.toMatchObject({ retryable: true });
        await expect(complete()).rejects.toMatchObject({ code });
      }
    },
  );

  test('an answer is lost also to a client that leaves before it', async () => {
    const stop = new AbortController();
    const { storage } = await setUp([() => stop.abort(new Error('the client left')), isGone, reply(403, '')]);
    const complete = (signal: AbortSignal) => storage.completeMultipartUpload(upload, parts, new Map(), signal);
    await expect(complete(stop.signal)).rejects.toThrow('the client left');
    await expect(complete(never)).rejects.toMatchObject({ code: 'ServiceUnavailable', status: 503 });
  });

  test.each<[string, Record<string, string>, string]>([
    ['is old', agoMs(61 * minuteMs), wholeEtag],
    ['has no date', { 'last-modified': '' }, wholeEtag],
    [
      'is old and has an ETag that says nothing',
      { ...agoMs(61 * minuteMs), 'x-amz-server-side-encryption': 'aws:kms' },
      opaqueEtag,
    ],
  ])('an upload of which nothing is known is gone, whatever object of its parts %s', async (_, headers, etag) => {
    const { storage } = await setUp([isGone, head(etag, { 'x-amz-version-id': 'OLD', ...headers })]);
    const completing = storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(completing).rejects.toMatchObject({ code: 'NoSuchUpload', status: 404 });
  });

  test("an object's age is told by the backend's clock", async () => {
    const [date, modified] = ['Thu, 01 Jan 2026 01:00:00 GMT', 'Thu, 01 Jan 2026 00:00:01 GMT'];
    const { storage } = await setUp([isGone, head(wholeEtag, { date, 'last-modified': modified })]);
    const stored = await storage.completeMultipartUpload(upload, parts, new Map(), never);
    expect(stored.etag).toBe(wholeEtag);
  });

  test('an old object of the same parts is not taken for that of a lost answer while the upload may be open', async () => {
    const old = head(wholeEtag, { 'x-amz-version-id': 'OLD', ...agoMs(61 * minuteMs) });
    const { storage } = await setUp([
      cut,
      old,
      reply(200, `<CompleteMultipartUploadResult><ETag>${wholeEtag}</ETag></CompleteMultipartUploadResult>`, {
        'x-amz-version-id': 'NEW',
      }),
    ]);
    const complete = () => storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(complete()).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    const stored = await complete();
    expect(stored.headers.get('x-amz-version-id')).toBe('NEW');
  });

  test('after a lost answer an object counts however old it is, once the upload is gone', async () => {
    const { storage } = await setUp([cut, reply(403, ''), isGone, head(wholeEtag, agoMs(61 * minuteMs))]);
    const complete = () => storage.completeMultipartUpload(upload, parts, new Map(), never);
    await expect(complete()).rejects.toMatchObject({ retryable: true });
    await expect(complete()).resolves.toMatchObject({ etag: wholeEtag });
  });

  test('a condition that fails on the object of an earlier attempt does not count', async () => {
    const failed = refuse(412, 'PreconditionFailed');
    const { storage } = await setUp([cut, reply(404, ''), failed, head(wholeEtag)]);
    const complete = () => storage.completeMultipartUpload(upload, parts, new Map([['if-none-match', '*']]), never);
    await expect(complete()).rejects.toMatchObject({ retryable: true });
    await expect(complete()).resolves.toMatchObject({ etag: wholeEtag });
  });

  test('a condition that fails at the first attempt counts', async () => {
    const { storage, seen } = await setUp([refuse(412, 'PreconditionFailed'), head(wholeEtag)]);
    const completing = storage.completeMultipartUpload(upload, parts, new Map([['if-none-match', '*']]), never);
    await expect(completing).rejects.toMatchObject({ code: 'PreconditionFailed', status: 412 });
    expect(seen).toHaveLength(1);
  });
});

test.each([
  ['is silent', { idleMs: 200, totalMs: 0 }],
  ['takes too long altogether', { idleMs: 0, totalMs: 200 }],
])('a backend that %s is given up', { timeout: 5000 }, async (_, timeouts) => {
  const { storage } = await setUp([() => undefined], { timeouts: { connectMs: 5000, ...timeouts } });
  const calls = [
    storage.createMultipartUpload(upload, new Map(), never),
    storage.abortMultipartUpload(upload, never),
    storage.listParts(upload, { maxParts: 1, partNumberMarker: 0 }, new Map(), never),
    storage.completeMultipartUpload(upload, parts, new Map(), never),
  ];
  for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
    expect(reason).toMatchObject({ code: 'ServiceUnavailable', retryable: true });
});

test.each([200, 400])(
  'an answer of status %i that never ends is given up while little of it is held',
  async (status) => {
    let sentBytes = 0;
    const piece = `<Key>${'x'.repeat(64 * 1024)}</Key>`;
    const { storage } = await setUp([
      (response) => {
        response.writeHead(status).write('<ListPartsResult>');
        const send = (): void => {
          while (!response.destroyed && sentBytes < 256 * 1024 * 1024) {
            sentBytes += piece.length;
            if (!response.write(piece)) return void response.once('drain', send);
          }
          response.end();
        };
        send();
      },
    ]);
    const listing = storage.listParts(upload, { maxParts: 1, partNumberMarker: 0 }, new Map(), never);
    await expect(listing).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    expect(sentBytes).toBeLessThan(16 * 1024 * 1024);
  },
);

describe('credentials of a chain', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('are asked for anew once a call was refused for them, and the others then use what it found', async () => {
    const list = reply(200, '<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>');
    const { storage, seen } = await setUp([list, refuse(400, 'ExpiredToken'), list], { credentials: undefined });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'first');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    // The SDK keeps credentials of its own accord as long as this allows.
    vi.stubEnv('AWS_CREDENTIAL_EXPIRATION', new Date(Date.now() + 60 * minuteMs).toISOString());
    const listParts = () => storage.listParts(upload, { maxParts: 2, partNumberMarker: 0 }, new Map(), never);
    await listParts();
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'second');
    await expect(listParts()).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    await listParts();
    await listParts();
    const ids = seen.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? '')?.[1]);
    expect(ids).toEqual(['first', 'first', 'second', 'second']);
  });
});

describe('listParts', () => {
  test('tells a page', async () => {
    const part = (n: number) =>
      `<Part><PartNumber>${n}</PartNumber><ETag>"e${n}"</ETag><Size>5</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified><ChecksumSHA256>c${n}</ChecksumSHA256></Part>`;
    const page = `<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>8</NextPartNumberMarker><StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>${part(7)}${part(8)}</ListPartsResult>`;
    const { storage, seen } = await setUp([reply(200, page)]);
    const found = await storage.listParts(upload, { maxParts: 2, partNumberMarker: 6 }, new Map(), never);
    const lastModified = new Date('2026-01-02T03:04:05.000Z');
    expect(found).toEqual({
      parts: [7, 8].map((n) => ({
        partNumber: n,
        etag: `"e${n}"`,
        size: 5,
        lastModified,
        checksums: [['sha256', `c${n}`]],
      })),
      isTruncated: true,
      nextPartNumberMarker: 8,
      storageClass: 'STANDARD',
      checksumAlgorithm: 'SHA256',
      checksumType: 'COMPOSITE',
    });
    expect(seen[0]?.url).toMatch(/^\/bucket\/k\?max-parts=2&part-number-marker=6&uploadId=u(?:&x-id=ListParts)?$/);
  });

  test('the last page has no marker', async () => {
    const { storage } = await setUp([
      reply(200, '<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>'),
    ]);
    const page = await storage.listParts(upload, { maxParts: 2, partNumberMarker: 0 }, new Map(), never);
    expect(page).toMatchObject({ parts: [], isTruncated: false, nextPartNumberMarker: undefined });
  });

  test.each(['', '<NextPartNumberMarker>next</NextPartNumberMarker>'])(
    'a page that does not say where the next begins is none (%s)',
    async (marker) => {
      const page = `<ListPartsResult><IsTruncated>true</IsTruncated>${marker}</ListPartsResult>`;
      const { storage } = await setUp([reply(200, page)]);
      const listed = storage.listParts(upload, { maxParts: 2, partNumberMarker: 0 }, new Map(), never);
      await expect(listed).rejects.toMatchObject({ code: 'ServiceUnavailable', retryable: true });
    },
  );
});

test('abortMultipartUpload', async () => {
  const { storage, seen } = await setUp([reply(204, ''), isGone]);
  await storage.abortMultipartUpload(upload, never);
  expect(`${seen[0]?.method} ${seen[0]?.url}`).toMatch(/^DELETE \/bucket\/k\?uploadId=u(?:&|$)/);
  await expect(storage.abortMultipartUpload(upload, never)).rejects.toMatchObject({ code: 'NoSuchUpload' });
});

describe('checkReady', () => {
  test('asks for the bucket', async () => {
    const { storage, seen } = await setUp([reply(200, '')]);
    await storage.checkReady('bucket', never);
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['HEAD /bucket/']);
  });

  test.each([404, 301, 500])('a status of %i is not ready', async (status) => {
    const { storage } = await setUp([reply(status, '')]);
    await expect(storage.checkReady('bucket', never)).rejects.toMatchObject({ name: 'S3Error' });
  });

  test('credentials that may upload and not list are ready', async () => {
    const { storage, seen } = await setUp([reply(403, ''), isGone]);
    await storage.checkReady('bucket', never);
    expect(seen[1]?.method).toBe('DELETE');
  });

  test('credentials that may do neither, or are wrong, are not', async () => {
    for (const code of ['AccessDenied', 'InvalidAccessKeyId']) {
      const { storage } = await setUp([reply(403, ''), refuse(403, code)]);
      await expect(storage.checkReady('bucket', never)).rejects.toMatchObject({ name: 'S3Error' });
    }
  });
});
