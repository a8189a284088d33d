// What an upload-only proxy refuses, and how: an S3 error, before anything is touched.
import { createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { openRawConnection, type RawAnswer } from '../support/raw-connection.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken } from '../support/start-proxy.ts';

let bucket: ProxiedBucket;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    upload: { max_object_size: 6 * 1024 * 1024, multipart_threshold: 5 * 1024 * 1024, part_size: 5 * 1024 * 1024 },
  });
});
afterAll(() => bucket.stop());

afterEach(async () => {
  expect(await bucket.stored.listKeys()).toEqual([]);
  expect(await bucket.stored.listOpenUploads()).toEqual([]);
  await bucket.proxy.waitUntilIdle();
});

const codeOf = (answer: Answer): string | undefined => /<Code>(?<code>\w+)/u.exec(answer.body)?.groups?.['code'];

/** Every refusal: status, code, XML with resource and request id, and nothing of the backend. */
function expectRefusal(answer: Answer, status: number, code: string): void {
  expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  expect(answer.headers['content-type']).toMatch(/^application\/xml/u);
  const requestId = answer.headers['x-amz-request-id'];
  expect(requestId).toBeTruthy();
  expect(answer.body).toMatch(
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\s*<Error><Code>\w+<\/Code><Message>[^<]+<\/Message>/u,
  );
  expect(answer.body).toContain(`<RequestId>${String(requestId)}</RequestId>`);
  expect(answer.body).toContain('<Resource>/');
  expect(answer.body).not.toContain(bucket.stored.bucket);
  expect(answer.body).not.toContain(String(bucket.server.port));
  expect(answer.body).not.toMatch(/\bat .*\.(ts|js):\d/u);
}

describe('operations that are not there', () => {
  const object = `${prefix}/key`;
  test.each([
    ['GetObject', 'GET', object, 'PUT'],
    ['GetObject with a range of its parts', 'GET', `${object}?partNumber=1`, 'PUT'],
    ['HeadObject', 'HEAD', object, 'PUT'],
    ['DeleteObject', 'DELETE', object, 'PUT'],
    ['ListObjects', 'GET', '/uploads', 'HEAD'],
    ['ListObjectsV2', 'GET', '/uploads?list-type=2', 'HEAD'],
    ['ListMultipartUploads', 'GET', '/uploads?uploads', 'HEAD'],
    ['CreateBucket', 'PUT', '/uploads', 'HEAD'],
    ['DeleteBucket', 'DELETE', '/uploads', 'HEAD'],
    ['DeleteObjects', 'POST', '/uploads?delete', 'HEAD'],
    ['a method that S3 has not', 'PATCH', object, 'PUT'],
  ])('%s: 405 with Allow', async (_, method, path, allowed) => {
    const answer = await bucket.send({ method, path });
    expect(answer.headers.allow?.split(/,\s*/u)).toContain(allowed);
    expect(answer.headers.allow?.split(/,\s*/u)).not.toContain(method);
    if (method === 'HEAD') expect([answer.status, answer.body]).toEqual([405, '']);
    else expectRefusal(answer, 405, 'MethodNotAllowed');
  });

  test.each(['acl', 'tagging', 'retention', 'legal-hold', 'torrent', 'restore', 'select', 'attributes'])(
    'PUT ?%s: 501, and the body is never stored as an object',
    async (resource) => {
      const answer = await bucket.send({ method: 'PUT', path: `${object}?${resource}`, body: '<x/>' });
      expectRefusal(answer, 501, 'NotImplemented');
    },
  );

  test.each([
    ['CopyObject', object],
    ['UploadPartCopy', `${object}?partNumber=1&uploadId=x`],
  ])('%s: 501', async (_, path) => {
    const headers = { 'x-amz-copy-source': '/uploads/other' };
    expectRefusal(await bucket.send({ method: 'PUT', path, headers }), 501, 'NotImplemented');
  });

  test('an unknown bucket: 404', async () => {
    expectRefusal(await bucket.send({ method: 'PUT', path: '/nowhere/key', body: 'x' }), 404, 'NoSuchBucket');
    expectRefusal(await bucket.send({ method: 'PUT', path: '/uploadsandmore/key', body: 'x' }), 404, 'NoSuchBucket');
  });
});

describe('credentials', () => {
  const put = (headers: Record<string, string>, path = `${prefix}/key`): Promise<Answer> =>
    sendRequest({ url: bucket.proxy.url, method: 'PUT', path, headers, body: 'x' });
  const unsigned = (claims: object): string =>
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`;

  test.each<readonly [string, () => Promise<Record<string, string>>]>([
    ['no token', async () => ({})],
    ['an empty token', async () => ({ authorization: 'Bearer ' })],
    ['another scheme', async () => ({ authorization: `Basic ${await createToken()}` })],
    ['no JWT', async () => ({ authorization: 'Bearer abc.def.ghi' })],
    ['another secret', async () => ({ authorization: `Bearer ${await createToken({}, 'x'.repeat(40))}` })],
    ['expired', async () => ({ authorization: `Bearer ${await createToken({ exp: 1_600_000_000 })}` })],
    ['not yet valid', async () => ({ authorization: `Bearer ${await createToken({ nbf: 4_000_000_000 })}` })],
    ['algorithm none', async () => ({ authorization: `Bearer ${unsigned({ sub: 'a', exp: 4_000_000_000 })}` })],
    ['cut short', async () => ({ authorization: `Bearer ${(await createToken()).slice(0, -4)}` })],
    ['another algorithm of the family', async () => ({ authorization: `Bearer ${hs512Token()}` })],
  ])('%s: 401, the same message for all', async (_, headers) => {
    const answer = await put(await headers());
    expectRefusal(answer, 401, 'Unauthorized');
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/u);
    const without = await put({});
    expect(/<Message>[^<]*/u.exec(answer.body)?.[0]).toBe(/<Message>[^<]*/u.exec(without.body)?.[0]);
  });

  test('every operation of a multipart upload asks for them', async () => {
    const asked = [
      ['POST', '?uploads'],
      ['PUT', '?partNumber=1&uploadId=x'],
      ['POST', '?uploadId=x'],
      ['DELETE', '?uploadId=x'],
      ['GET', '?uploadId=x'],
    ] as const;
    const answers = await Promise.all(
      asked.map(([method, query]) => sendRequest({ url: bucket.proxy.url, method, path: `${prefix}/key${query}` })),
    );
    for (const answer of answers) expectRefusal(answer, 401, 'Unauthorized');
  });
});

describe('sizes and lengths', () => {
  test('a declared length over the maximum: 413 at once', async () => {
    const headers = { 'content-length': String(6 * 1024 * 1024 + 1) };
    expectRefusal(await bucket.put('key', [Buffer.alloc(10)], headers), 413, 'EntityTooLarge');
  });

  test('a body of unknown length that grows over the maximum: 413 while it streams', async () => {
    const chunks = Array.from({ length: 8 }, () => Buffer.alloc(1024 * 1024, 1));
    expectRefusal(await bucket.put('key', chunks), 413, 'EntityTooLarge');
  });

  test('neither a length nor chunked transfer coding: 411', async () => {
    const answer = await sendRaw([], '');
    expect(answer.status).toBe(411);
    expect(answer.body).toContain('<Code>MissingContentLength</Code>');
  });

  test.each(['abc', '-1', '1e3', '0x10'])('content-length %j: 400', async (length) => {
    expect((await sendRaw([`Content-Length: ${length}`], 'abc')).status).toBe(400);
  });
});

function hs512Token(): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS512' })}.${encode({ sub: 'a', exp: 4_000_000_000 })}`;
  return `${signed}.${createHmac('sha512', 'a-secret-for-tests-of-more-than-32-bytes').update(signed).digest('base64url')}`;
}

/** By hand, because Node's client never leaves the length out and never sends a wrong one. */
async function sendRaw(fields: readonly string[], body: string): Promise<RawAnswer> {
  const connection = await openRawConnection(bucket.proxy.url);
  const head = [`PUT ${prefix}/key HTTP/1.1`, 'Host: a', `Authorization: Bearer ${bucket.token}`, ...fields];
  await connection.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  const answer = await connection.readAnswer();
  connection.destroy();
  return answer;
}
