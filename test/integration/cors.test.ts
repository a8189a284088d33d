// Pages of other origins: preflights without credentials, and answers that they may read, refusals and early ones too.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { sendRequest, type Answer, type RequestOptions } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const app = 'https://app.example.com';
const elsewhere = 'https://evil.example';
const auth = { jwt: { secret: jwtSecret } };
const byCookie = {
  jwt: { secret: jwtSecret, token_sources: [{ type: 'cookie', name: 'session' }, { type: 'bearer' }] },
};
const preview = 'https://pr-1.preview.example.com';
const onDisk = (name: string, settings: object): object => ({
  name,
  filesystem: { root: './objects' },
  auth,
  ...settings,
});

function start(server: object = {}): Promise<RunningProxy> {
  return startProxy({
    config: {
      server,
      buckets: [
        onDisk('uploads', { cors: { allowed_origins: [app, 'https://*.preview.example.com'], max_age_seconds: 300 } }),
        onDisk('narrow', { cors: { allowed_origins: [app], allowed_headers: ['authorization', 'x-amz-*'] } }),
        onDisk('anywhere', { cors: { allowed_origins: ['*'] } }),
        onDisk('cookies', { cors: { allowed_origins: [app], allow_credentials: true } }),
        onDisk('sessions', { auth: byCookie, cors: { allowed_origins: [app], allow_credentials: true } }),
        onDisk('bearers', { auth: byCookie, cors: { allowed_origins: [app] } }),
        onDisk('own', { auth: byCookie }),
        onDisk('fenced', { cors: { allowed_origins: [app] }, access: { allow_ips: ['192.0.2.1'] } }),
        onDisk('closed', {}),
        // A prefix of more than one segment: paths are taken apart further than their first.
        onDisk('deep', { path_prefix: '/uploads/deep' }),
        // Would take /health for a bucket, if that were asked.
        onDisk('*', { cors: { allowed_origins: ['*'] } }),
      ],
    },
  });
}

let proxy: RunningProxy;
let token: string;
beforeAll(async () => {
  token = await createToken();
  proxy = await start();
});
afterAll(() => proxy.stop());

const authorized = (): Record<string, string> => ({ authorization: `Bearer ${token}` });
const send = (request: Omit<RequestOptions, 'url'>): Promise<Answer> => sendRequest({ url: proxy.url, ...request });
const preflight = (target: string, fields: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  send({
    method: 'OPTIONS',
    path: target,
    headers: { origin: app, 'access-control-request-method': 'PUT', ...fields },
  });
const put = (target: string, headers: Readonly<Record<string, string>>): Promise<Answer> =>
  send({ method: 'PUT', path: target, headers: { ...authorized(), origin: app, ...headers }, body: 'hello' });

const corsFields = (answer: Answer): string[] =>
  Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
const codeOf = ({ body }: { body: string }): string | undefined => /<Code>(?<code>\w+)/u.exec(body)?.groups?.['code'];

/** A page may read the answer: its status, its document and the fields that are named. */
function expectReadable({ headers }: Answer): void {
  expect(headers['access-control-allow-origin']).toBe(app);
  expect(headers['access-control-expose-headers']?.split(', ')).toEqual(
    expect.arrayContaining(['ETag', 'x-amz-request-id', 'x-amz-version-id', 'x-amz-checksum-sha256', 'Retry-After']),
  );
  expect(headers.vary).toBe('Origin');
  expect(headers['x-amz-request-id']).toBeTruthy();
}

describe('preflights', () => {
  const varied = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';

  test('204 without credentials', async () => {
    const headers = { 'access-control-request-headers': 'authorization,content-type,x-amz-meta-a' };
    const answer = await preflight('/uploads/a%20key', headers);
    expect([answer.status, answer.body]).toEqual([204, '']);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': app,
      'access-control-allow-methods': 'PUT, POST, GET, DELETE, HEAD',
      'access-control-allow-headers': 'authorization, content-type, x-amz-meta-a',
      'access-control-max-age': '300',
      vary: varied,
    });
    expect(answer.headers['x-amz-request-id']).toBeTruthy();
  });

  test.each([
    '/uploads',
    '/uploads/',
    '/uploads/key?uploads',
    '/uploads/key?partNumber=1&uploadId=x',
    '/uploads/k?acl',
  ])('%s: 204 too', async (target) => {
    expect((await preflight(target)).status).toBe(204);
  });

  test('leave the connection open, as a page sends one before each part', async () => {
    const { origin, host } = new URL(proxy.url);
    const connection = await openRawConnection(origin);
    const asked = ['Origin: https://app.example.com', 'Access-Control-Request-Method: PUT'];
    for (let part = 1; part <= 3; part++) {
      const target = `/uploads/a?partNumber=${part}&uploadId=b`;
      await connection.write(`OPTIONS ${target} HTTP/1.1\r\n${[`Host: ${host}`, ...asked].join('\r\n')}\r\n\r\n`);
      expect(await connection.readAnswer()).toMatchObject({ status: 204 });
    }
    connection.destroy();
  });

  // A browser sends the request, and shows its refusal, only when the preflight was answered with 2xx.
  test.each([
    [`/uploads/${'k'.repeat(1025)}`, 'KeyTooLongError'],
    ['/uploads/a/%', 'InvalidURI'],
    ['/uploads/%ff', 'InvalidURI'],
    ['/uploads/a%00b', 'InvalidURI'],
    ['/uploads/a/../b', 'InvalidURI'],
    ['/fenced/k', 'AccessDenied'],
  ])('%s: 204, and its PUT says %s', async (target, code) => {
    expect((await preflight(target)).status).toBe(204);
    const answer = await put(target, {});
    expect(codeOf(answer)).toBe(code);
    expectReadable(answer);
  });

  test('a pattern, any origin, credentials', async () => {
    const answer = await preflight('/uploads/k', { origin: preview });
    expect(answer.headers['access-control-allow-origin']).toBe(preview);
    const any = await preflight('/anywhere/k', { origin: 'null' });
    expect(any.headers['access-control-allow-origin']).toBe('*');
    expect(any.headers).not.toHaveProperty('access-control-allow-credentials');
    expect((await preflight('/cookies/k')).headers['access-control-allow-credentials']).toBe('true');
  });

  test.each([
    ['an origin', '/uploads/k', { origin: elsewhere }],
    ['an origin that only looks right', '/uploads/k', { origin: 'https://evil.example/.preview.example.com' }],
    ['no origin', '/uploads/k', { origin: 'null' }],
    ['a method', '/uploads/k', { 'access-control-request-method': 'PATCH' }],
    ['a header', '/narrow/k', { 'access-control-request-headers': 'authorization, content-type' }],
  ])('%s that is not allowed: 403', async (_, target, fields) => {
    const answer = await preflight(target, fields);
    expect([answer.status, codeOf(answer)]).toEqual([403, 'AccessForbidden']);
    expect(answer.headers.vary).toBe(varied);
    expect(answer.headers).not.toHaveProperty('access-control-allow-methods');
  });

  test('a bucket without CORS: 403, and nothing else', async () => {
    const answer = await preflight('/closed/key');
    expect([answer.status, codeOf(answer)]).toEqual([403, 'AccessForbidden']);
    expect(answer.body).toContain('CORS is not enabled for this bucket');
    expect(corsFields(answer)).toEqual([]);
  });

  test('no bucket: 404', async () => {
    const answer = await preflight('/no_bucket/key');
    expect([answer.status, codeOf(answer), corsFields(answer)]).toEqual([404, 'NoSuchBucket', []]);
  });

  test('OPTIONS that is no preflight: 405 with Allow', async () => {
    const bare = await send({ method: 'OPTIONS', path: '/uploads/key' });
    expect([bare.status, bare.headers.allow, corsFields(bare)]).toEqual([405, 'PUT', []]);
    const withOrigin = await send({ method: 'OPTIONS', path: '/uploads/key', headers: { origin: app } });
    expect(withOrigin.status).toBe(405);
    expectReadable(withOrigin);
  });
});

describe('requests', () => {
  test('an upload: stored, and its ETag may be read', async () => {
    const answer = await put('/uploads/readable', {});
    expect(answer.status).toBe(200);
    expect(answer.headers.etag).toBeTruthy();
    expectReadable(answer);
    expect(await readFile(path.join(proxy.folder, 'objects/uploads/readable'), 'utf8')).toBe('hello');
  });

  test('from an origin that is not allowed: stored, and the page is told nothing', async () => {
    const answer = await put('/uploads/unreadable', { origin: elsewhere });
    expect([answer.status, answer.headers.vary, corsFields(answer)]).toEqual([200, 'Origin', []]);
  });

  test('without an origin: no fields but Vary; without CORS not even that', async () => {
    const answers = await Promise.all(
      ['uploads', 'closed'].map((bucket) =>
        send({ method: 'PUT', path: `/${bucket}/plain`, headers: authorized(), body: 'x' }),
      ),
    );
    expect(answers.map((answer) => [answer.status, answer.headers.vary, corsFields(answer)])).toEqual([
      [200, 'Origin', []],
      [200, undefined, []],
    ]);
  });

  test('any origin, and credentials', async () => {
    const any = await put('/anywhere/k', { origin: elsewhere });
    expect([any.status, any.headers['access-control-allow-origin']]).toEqual([200, '*']);
    const cookies = await put('/cookies/k', {});
    expectReadable(cookies);
    expect(cookies.headers['access-control-allow-credentials']).toBe('true');
    expect(corsFields(await put('/cookies/k', { origin: elsewhere }))).toEqual([]);
  });

  test('a multipart upload from start to end', async () => {
    const headers = { ...authorized(), origin: app };
    const created = await send({ method: 'POST', path: '/uploads/parts?uploads', headers });
    expectReadable(created);
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    const part = await put(`/uploads/parts?partNumber=1&uploadId=${uploadId}`, {});
    expectReadable(part);
    const listed = await send({ method: 'GET', path: `/uploads/parts?uploadId=${uploadId}`, headers });
    expect(listed.status).toBe(200);
    expectReadable(listed);
    const aborted = await send({ method: 'DELETE', path: `/uploads/parts?uploadId=${uploadId}`, headers });
    expect(aborted.status).toBe(204);
    expectReadable(aborted);
  });

  test('HEAD of the bucket', async () => {
    const answer = await send({ method: 'HEAD', path: '/uploads', headers: { ...authorized(), origin: app } });
    expect(answer.status).toBe(200);
    expectReadable(answer);
  });

  test.each(['/health', '/ready', '/'])('%s is nobody’s bucket', async (target) => {
    const answer = await send({ method: 'GET', path: target, headers: { origin: app } });
    expect([answer.status, answer.headers.vary, corsFields(answer)]).toEqual([200, undefined, []]);
  });
});

describe('a cookie', () => {
  const open = (bucket: string, fields: Readonly<Record<string, string>>): Promise<Answer> =>
    send({ method: 'POST', path: `/${bucket}/by-cookie?uploads`, headers: fields });
  const own = (): string => new URL(proxy.url).origin;
  const cookie = (): Record<string, string> => ({ cookie: `session=${token}` });

  // What a browser sends of any page without a preflight, with the visitor's cookies.
  test.each<readonly [string, string, () => string]>([
    ['of no origin that is allowed', 'sessions', () => elsewhere],
    ['of none at all', 'sessions', () => 'null'],
    ['of one without credentials', 'bearers', () => app],
    ['of two', 'sessions', () => `${app}, ${app}`],
    ['of another port', 'own', () => own().replace(/\d+$/u, '1')],
    ['of another bucket’s', 'own', () => app],
  ])('lets no page in that is %s', async (_, bucket, origin) => {
    const answer = await open(bucket, { ...cookie(), origin: origin() });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'AccessForbidden']);
    const stored = await send({
      method: 'PUT',
      path: `/${bucket}/refused`,
      headers: { ...cookie(), origin: origin() },
      body: 'x',
    });
    expect([stored.status, codeOf(stored)]).toEqual([403, 'AccessForbidden']);
    await expect(readFile(path.join(proxy.folder, `objects/${bucket}/refused`))).rejects.toThrow('ENOENT');
  });

  test('lets in pages of an origin that may send it, of the proxy’s own host, and what is no page', async () => {
    for (const bucket of ['sessions', 'own']) {
      expect((await open(bucket, cookie())).status).toBe(200);
      expect((await open(bucket, { ...cookie(), origin: own() })).status).toBe(200);
    }
    expect((await open('sessions', { ...cookie(), origin: app })).status).toBe(200);
  });

  test('is not asked about where the token is a bearer, nor told apart from a wrong one', async () => {
    expect((await open('sessions', { ...authorized(), origin: elsewhere })).status).toBe(200);
    expect((await open('sessions', { cookie: 'session=wrong', origin: elsewhere })).status).toBe(401);
  });
});

describe('refusals may be read', () => {
  test('a wrong token: 401', async () => {
    const answer = await put('/uploads/k', { authorization: 'Bearer wrong' });
    expect([answer.status, codeOf(answer)]).toEqual([401, 'Unauthorized']);
    expectReadable(answer);
  });

  test.each([
    ['an upload that is not there', 'PUT', '/uploads/k?partNumber=1&uploadId=AAAA', 404, 'NoSuchUpload'],
    ['a sub-resource', 'PUT', '/uploads/k?acl', 501, 'NotImplemented'],
    ['a method', 'PATCH', '/uploads/k', 405, 'MethodNotAllowed'],
    ['a key with NUL', 'PUT', '/uploads/a%00b', 400, undefined],
    ['a key that is no UTF-8', 'PUT', '/uploads/%ff', 400, 'InvalidURI'],
    ['a key that is cut short', 'PUT', '/uploads/a/%', 400, 'InvalidURI'],
    ['a key that is too long', 'PUT', `/uploads/${'k'.repeat(1025)}`, 400, 'KeyTooLongError'],
    ['a query that is no UTF-8', 'PUT', '/uploads/k?%ff', 400, 'InvalidURI'],
  ])('%s', async (_, method, target, status, code) => {
    const headers = { ...authorized(), origin: app };
    const answer = await send({ method, path: target, headers, body: 'x' });
    expect(answer.status).toBe(status);
    if (code !== undefined) expect(codeOf(answer)).toBe(code);
    expectReadable(answer);
  });

  test('a wrong digest, found when the body is whole: 400', async () => {
    const answer = await put('/uploads/digest', { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BadDigest']);
    expectReadable(answer);
  });

  test('no bucket: 404, of which a page learns nothing', async () => {
    const answer = await put('/no_bucket/k', {});
    expect([answer.status, corsFields(answer)]).toEqual([404, []]);
  });
});

describe('early refusals may be read', () => {
  const head = (target: string, fields: readonly string[]): string =>
    [`PUT ${target} HTTP/1.1`, 'Host: proxy', `Authorization: Bearer ${token}`, ...fields, '', ''].join('\r\n');
  const fromApp = `Origin: ${app}`;

  async function expectRawRefusal(connection: RawConnection, status: number, code: string): Promise<void> {
    const answer = await connection.readAnswer();
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expectReadable({ ...answer, headers: Object.fromEntries(answer.headers) });
  }

  test('413 by Content-Length, while the body is still being sent', async () => {
    const connection = await openRawConnection(proxy.url);
    await connection.write(head('/uploads/huge', [fromApp, `Content-Length: ${6 * 1024 ** 4}`]));
    connection.setReading(false);
    const block = Buffer.alloc(256 * 1024, 1);
    for (let sent = 0; sent < 4 * 1024 * 1024; sent += block.length) await connection.write(block);
    connection.setReading(true);
    await expectRawRefusal(connection, 413, 'EntityTooLarge');
    connection.destroy();
  });

  test.each([
    ['two lengths', '/uploads/k', ['Content-Length: 5', 'Content-Length: 5']],
    ['two Host fields', '/uploads/k', ['Content-Length: 5', 'Host: other']],
    ['two lengths, and a key that is no UTF-8', '/uploads/%ff', ['Content-Length: 5', 'Content-Length: 5']],
  ])('a head with %s: 400, and the connection is closed', async (_, target, fields) => {
    const connection = await openRawConnection(proxy.url);
    await connection.write(`${head(target, [fromApp, ...fields])}hello`);
    await expectRawRefusal(connection, 400, 'InvalidRequest');
    await connection.closed;
    const other = await openRawConnection(proxy.url);
    await other.write(`${head('/closed/k', [fromApp, ...fields])}hello`);
    expect([...(await other.readAnswer()).headers.keys()].join(' ')).not.toMatch(/access-control|vary/u);
    other.destroy();
  });

  test('two origins are none', async () => {
    const connection = await openRawConnection(proxy.url);
    await connection.write(`${head('/uploads/k', [fromApp, `Origin: ${app}`, 'Content-Length: 1'])}x`);
    const answer = await connection.readAnswer();
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, undefined]);
    connection.destroy();
  });

  test('no slot for an upload, and a stop while uploads are under way: 503 both', async () => {
    const small = await start({ limits: { max_concurrent_uploads: 1, queue_timeout_seconds: 0 } });
    const [first, second, third] = await Promise.all([
      openRawConnection(small.url),
      openRawConnection(small.url),
      openRawConnection(small.url),
    ]);
    await first.write(head('/uploads/first', [fromApp, 'Content-Length: 10']));
    await waitFor(async () => (await small.health()).uploads === 1);
    await second.write(`${head('/uploads/second', [fromApp, 'Content-Length: 1'])}x`);
    await expectRawRefusal(second, 503, 'SlowDown');
    small.terminate();
    await waitFor(() =>
      openRawConnection(small.url).then(
        (late) => (late.destroy(), false),
        () => true,
      ),
    );
    await third.write(`${head('/uploads/third', [fromApp, 'Content-Length: 1'])}x`);
    await expectRawRefusal(third, 503, 'ServiceUnavailable');
    await first.write('0123456789');
    expect((await first.readAnswer()).status).toBe(200);
    await small.stop();
  });
});
