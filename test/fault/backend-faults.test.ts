// A backend that fails in every way it can: tried again where that is safe, else one clear error and nothing left.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { BackendOperation, Fault, FaultyBackend, SeenRequest } from '../support/faulty-backend.ts';
import { startFaultyBucket } from '../support/faulty-bucket.ts';
import { prefix, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody, type RandomBody } from '../support/random-body.ts';
import { waitUntilOpened } from '../support/scrape.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const small = createRandomBody('small', 1_000_000);
const large = createRandomBody('large', 17 * MiB);
const bodyFor = (operation: BackendOperation): RandomBody => (operation === 'PutObject' ? small : large);

let backend: FaultyBackend;
let bucket: ProxiedBucket;
let keyCount = 0;
let key: string;
beforeAll(async () => {
  ({ backend, bucket } = await startFaultyBucket({
    timeouts: { connect_seconds: 2, idle_seconds: 1 },
    upload: {
      multipart_threshold: 5 * MiB,
      part_size: 5 * MiB,
      // Retry-After is obeyed up to ten times max_delay_ms.
      retry: { max_attempts: 4, base_delay_ms: 10, max_delay_ms: 200 },
    },
  }));
});
afterAll(() => bucket.stop());
beforeEach(() => {
  keyCount += 1;
  key = `object-${keyCount}`;
});
afterEach(async () => {
  backend.setFault(() => undefined);
  await bucket.proxy.waitUntilIdle();
  // What could not be aborted at once is aborted in the background.
  await waitFor(async () => (await bucket.stored.listOpenUploads()).length === 0);
});

const upload = (body: RandomBody, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  bucket.put(key, body.chunks(), { 'content-length': String(body.sizeBytes), ...headers });

async function expectStored(body: RandomBody, headers?: Readonly<Record<string, string>>): Promise<void> {
  expect(await upload(body, headers)).toMatchObject({ status: 200, body: '' });
  expect(await bucket.stored.readHash(key)).toEqual({ sha256: body.sha256(), size: body.sizeBytes });
}

function crc32Of(body: RandomBody): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(body.bytes()));
  return value.toString('base64');
}

async function expectFailed(body: RandomBody, code: RegExp): Promise<Answer> {
  const answer = await upload(body);
  expect(answer.body).toMatch(code);
  expect(answer.body).toMatch(/^<\?xml [^>]*>\s*<Error><Code>\w+<\/Code>/u);
  expect(answer.body).not.toContain('secret words');
  expect(answer.body).not.toContain(bucket.stored.bucket);
  expect(answer.body).not.toContain('127.0.0.1');
  expect(await bucket.stored.listKeys(key)).toEqual([]);
  return answer;
}

const is = (request: SeenRequest, operation: BackendOperation, partNumber = 2): boolean =>
  request.operation === operation && (operation !== 'UploadPart' || request.partNumber === partNumber);

const answerLost = 'does it, but the answer is lost';
const operations = ['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'] as const;
const faults: Readonly<Record<string, Fault>> = {
  'answers 500': { kind: 'answer', status: 500, code: 'InternalError' },
  'answers 500 before it has read the body': { kind: 'answer', status: 500, code: 'InternalError', afterBodyBytes: 0 },
  'answers 503 SlowDown': { kind: 'answer', status: 503, code: 'SlowDown' },
  'answers 502 without an S3 code': { kind: 'answer', status: 502, code: '' },
  'resets at once': { kind: 'reset', afterBodyBytes: 0 },
  'resets in the middle of the body': { kind: 'reset', afterBodyBytes: 70_000 },
  [answerLost]: { kind: 'lose-answer' },
  stalls: { kind: 'stall', afterBodyBytes: 0 },
  'stalls in the middle of the body': { kind: 'stall', afterBodyBytes: 70_000 },
  'closes half-way through its answer': { kind: 'cut-answer' },
  'answers something that is not HTTP': { kind: 'garbage' },
};

/** Create and Complete have no body to fail in the middle of. */
function casesOf(names: readonly string[]): (readonly [operation: BackendOperation, fault: string])[] {
  return operations.flatMap((operation) =>
    names
      .filter((name) => !name.includes('middle') || operation === 'PutObject' || operation === 'UploadPart')
      .map((name) => [operation, name] as const),
  );
}

describe('tried again', () => {
  const cases = casesOf(Object.keys(faults)).filter(
    ([operation, name]) => !(operation === 'CreateMultipartUpload' && name === answerLost),
  );
  test.each(cases)('%s %s once', async (operation, name) => {
    const fault = faults[name];
    backend.setFault((request) => (is(request, operation) && request.attempt === 1 ? fault : undefined));
    await expectStored(bodyFor(operation));
  });

  test.each(cases.filter(([operation]) => operation !== 'PutObject'))(
    '%s %s once, of an object with a checksum',
    async (operation, name) => {
      const fault = faults[name];
      const checksum = crc32Of(large);
      backend.setFault((request) => (is(request, operation) && request.attempt === 1 ? fault : undefined));
      await expectStored(large, { 'x-amz-checksum-crc32': checksum });
      expect(await bucket.stored.head(key)).toMatchObject({ ChecksumCRC32: checksum, ChecksumType: 'FULL_OBJECT' });
    },
  );

  test.each(operations)('%s answers 500 three times of four', async (operation) => {
    const fault = faults['answers 500'];
    backend.setFault((request) => (is(request, operation) && request.attempt <= 3 ? fault : undefined));
    await expectStored(bodyFor(operation));
  });

  test.each(operations)('%s: Retry-After is obeyed', async (operation) => {
    const fault: Fault = { kind: 'answer', status: 503, code: 'SlowDown', headers: { 'retry-after': '1' } };
    const before = backend.seen.length;
    backend.setFault((request) => (is(request, operation) && request.attempt === 1 ? fault : undefined));
    await expectStored(bodyFor(operation));
    const [first, second] = backend.seen.slice(before).filter((request) => is(request, operation));
    // The lower bound is what the backend asked for; timers may be early by a millisecond or so.
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('UploadPart answers 503 while its client still sends, in crumbs: none of them is lost', async () => {
    const { promise: secondAttempt, resolve } = Promise.withResolvers<void>();
    backend.setFault((request) => {
      if (!is(request, 'UploadPart', 1)) return undefined;
      if (request.attempt === 2) resolve();
      return request.attempt === 1
        ? { kind: 'answer', status: 503, code: 'SlowDown', afterBodyBytes: 4 * MiB - 100_000 }
        : undefined;
    });
    const bytes = createRandomBody('crumbs', 6 * MiB).bytes();
    const send = async function* (): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 4 * MiB);
      // The next come while the part is sent for the second time, before it has caught up.
      await secondAttempt;
      for (let at = 4 * MiB; at < bytes.length; at += 4096) {
        yield bytes.subarray(at, at + 4096);
        await delay(1);
      }
    };
    expect(await bucket.put(key, send(), { 'content-length': String(bytes.length) })).toMatchObject({ status: 200 });
    expect((await bucket.stored.readBytes(key)).equals(bytes)).toBe(true);
  });

  test("CreateMultipartUpload is done, but the answer is lost: the upload of the lost id is nobody's", async () => {
    backend.setFault((request) =>
      is(request, 'CreateMultipartUpload') && request.attempt === 1 ? { kind: 'lose-answer' } : undefined,
    );
    await expectStored(large);
    // Its id was in the lost answer alone, and other uploads of the same key may be somebody's: only the bucket's
    // own lifecycle rule can take it away.
    expect(await bucket.stored.listOpenUploads()).toEqual([key]);
    await bucket.stored.abortOpenUploads();
  });

  test('Complete answers 200 with an error inside', async () => {
    backend.setFault((request) =>
      is(request, 'CompleteMultipartUpload') && request.attempt === 1
        ? { kind: 'error-in-200', code: 'InternalError' }
        : undefined,
    );
    await expectStored(large);
  });

  test('every part fails once', async () => {
    backend.setFault((request) =>
      request.operation === 'UploadPart' && request.attempt === 1 ? faults['answers 500'] : undefined,
    );
    await expectStored(large);
  });

  test("every call of a client's own multipart upload fails once", async () => {
    const down = faults['answers 500'];
    backend.setFault((request) => (request.attempt === 1 ? down : undefined));
    const send = async (method: string, query: string, body?: string): Promise<Answer> => {
      const answer = await bucket.send({ method, path: `${prefix}/${key}?${query}`, ...(body && { body }) });
      expect(answer.status).toBe(method === 'DELETE' ? 204 : 200);
      return answer;
    };
    const create = async (): Promise<string> => {
      const { body } = await send('POST', 'uploads');
      return `uploadId=${encodeURIComponent(/<UploadId>(?<id>[^<]+)/u.exec(body)?.groups?.['id'] ?? '')}`;
    };
    const upload = await create();
    const part = await send('PUT', `partNumber=1&${upload}`, 'part');
    expect((await send('GET', upload)).body).toContain('<PartNumber>1</PartNumber>');
    const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag ?? ''}</ETag></Part>`;
    await send('POST', upload, `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`);
    expect((await bucket.stored.readBytes(key)).toString()).toBe('part');
    await send('DELETE', await create());
  });

  test('idle keep-alive connections are closed without a warning', async () => {
    backend.setKeepAlive(30);
    for (let index = 0; index < 30; index++) {
      key = `idle/${index}`;
      await expectStored(small);
      // Around the time of the close, so that some meet it.
      await delay(20 + (index % 10) * 2);
    }
    backend.setKeepAlive(60_000);
  });

  test('a connection that has served once is reset when it is used again', async () => {
    await expectStored(small);
    backend.setFault((request) => (request.indexOnConnection > 1 ? faults['resets at once'] : undefined));
    await expectStored(small);
    await expectStored(large);
  });
});

describe('one clear error, nothing left', () => {
  test.each(casesOf(Object.keys(faults).filter((name) => name !== answerLost)))(
    '%s always %s',
    async (operation, name) => {
      backend.setFault((request) => (is(request, operation) ? faults[name] : undefined));
      const answer = await expectFailed(
        bodyFor(operation),
        /<Code>(InternalError|ServiceUnavailable|SlowDown)<\/Code>/u,
      );
      expect([500, 503]).toContain(answer.status);
      expect(backend.seen.filter((request) => is(request, operation)).length).toBeGreaterThan(1);
    },
  );

  test.each(operations)('%s is forbidden: not tried again', async (operation) => {
    const before = backend.seen.length;
    const fault: Fault = { kind: 'answer', status: 403, code: 'AccessDenied' };
    backend.setFault((request) => (is(request, operation) ? fault : undefined));
    await expectFailed(bodyFor(operation), /<Code>\w+<\/Code>/u);
    expect(backend.seen.slice(before).filter((request) => is(request, operation))).toHaveLength(1);
  });

  test('Complete always answers 200 with an error inside', async () => {
    backend.setFault((request) =>
      is(request, 'CompleteMultipartUpload') ? { kind: 'error-in-200', code: 'InternalError' } : undefined,
    );
    await expectFailed(large, /<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
  });

  test.each([1, 2, 3, 4])('part %i fails for good', async (partNumber) => {
    backend.setFault((request) =>
      is(request, 'UploadPart', partNumber) ? { kind: 'answer', status: 500, code: 'InternalError' } : undefined,
    );
    await expectFailed(large, /<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
  });

  test('the client is told when the upload has been aborted, not before', async () => {
    const before = backend.seen.length;
    backend.setFault((request) => {
      if (is(request, 'UploadPart')) return { kind: 'answer', status: 403, code: 'AccessDenied' };
      return request.operation === 'AbortMultipartUpload' ? { kind: 'late-answer', ms: 500 } : undefined;
    });
    await upload(large);
    const aborting = backend.seen.slice(before).find(({ operation }) => operation === 'AbortMultipartUpload');
    // Timers may be early by a millisecond or so.
    expect(Date.now() - (aborting?.atMs ?? Infinity)).toBeGreaterThanOrEqual(490);
  });

  test('the abort fails too, for a while: it is tried until it is done', async () => {
    const down: Fault = { kind: 'answer', status: 503, code: 'SlowDown' };
    backend.setFault((request) =>
      is(request, 'UploadPart') || (request.operation === 'AbortMultipartUpload' && request.attempt < 4)
        ? down
        : undefined,
    );
    await expectFailed(large, /<Code>(InternalError|ServiceUnavailable|SlowDown)<\/Code>/u);
    await waitFor(async () => (await bucket.stored.listOpenUploads()).length === 0, 60_000);
  });
});

describe('a PUT that goes in parts', () => {
  test.each([
    ['UploadPart', 404, 'NoSuchUpload'],
    ['CompleteMultipartUpload', 404, 'NoSuchUpload'],
    ['CompleteMultipartUpload', 400, 'InvalidPart'],
    ['CompleteMultipartUpload', 400, 'EntityTooSmall'],
  ] as const)('is not answered with what the backend says of them: %s %i %s', async (operation, status, code) => {
    backend.setFault((request) => (is(request, operation) ? { kind: 'answer', status, code } : undefined));
    expect((await expectFailed(large, /<Code>ServiceUnavailable<\/Code>/u)).status).toBe(503);
  });
});

describe('a backend that is gone for good', () => {
  test('uploads under way and new ones fail, the proxy lives and is not ready', async () => {
    const dying = upload(createRandomBody('dying', 40 * MiB));
    await waitUntilOpened(bucket.proxy.metricsUrl, 1);
    backend.setFault(() => ({ kind: 'reset', afterBodyBytes: 0 }));
    expect((await dying).body).toMatch(/<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
    expect((await upload(small)).body).toMatch(/<Code>(InternalError|ServiceUnavailable)<\/Code>/u);
    await bucket.proxy.waitUntilIdle();
    const get = (path: string): Promise<Answer> => sendRequest({ url: bucket.proxy.url, method: 'GET', path });
    expect((await get('/health')).status).toBe(200);
    await waitFor(async () => (await get('/ready')).status === 503);
    expect(await bucket.stored.listKeys(key)).toEqual([]);
    backend.setFault(() => undefined);
    await waitFor(async () => (await get('/ready')).status === 200);
  });
});
