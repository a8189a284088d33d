// The log of a running proxy: a line for each request with all that the README promises, levels that change while it runs, and
// lines that stay lines whatever clients send.
import { mkdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startOpa, type OpaServer } from '../servers/start-opa.ts';
import { startProcess } from '../servers/start-process.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { fieldsOf, parseLines, readPromisedFields, requestLines, type LogLine } from '../support/log-lines.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { startRecorder, type Recorder } from '../support/recorder.ts';
import { createBucket } from '../support/s3-client.ts';
import { encodeKey, sendRequest, type Answer, type RequestOptions } from '../support/send-request.ts';
import { sendTo } from '../support/send-to.ts';
import { signS3Request } from '../support/sign-s3-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const auth = { jwt: { secret: jwtSecret } };
const files = (name: string, more: object = {}) => ({ name, filesystem: { root: './data' }, auth, ...more });

/** The line of an answer. */
async function lineOf(proxy: RunningProxy, answer: Answer): Promise<LogLine> {
  const id = answer.headers['x-amz-request-id'];
  const find = () => requestLines(proxy.logs()).find(({ requestId }) => requestId === id);
  await waitFor(async () => find() !== undefined);
  return find() ?? {};
}

describe('what a line says', () => {
  let server: S3Server;
  let opa: OpaServer;
  let slow: Recorder;
  /** Takes no more than what its kernel takes. */
  let stuck: Recorder;
  let proxy: RunningProxy;
  beforeAll(async () => {
    server = await startMinio();
    await createBucket(server, 'store');
    opa = await startOpa({ policy: 'package mizuchi\n\nallow := input.resource.key != "forbidden"\n' });
    slow = await startRecorder((request, response) => {
      request.resume();
      request.on('end', () => setTimeout(() => response.writeHead(200, { etag: '"slow"' }).end(), 1500));
    });
    stuck = await startRecorder(() => undefined);
    const s3 = {
      endpoint: server.endpoint,
      access_key: server.accessKey,
      secret_key: server.secretKey,
      bucket: 'store',
    };
    const { bucket: _, ...ofAny } = s3;
    const upload = { multipart_threshold: 5 * MiB, part_size: 5 * MiB, retry: { max_attempts: 2, base_delay_ms: 1 } };
    const sigv4 = { access_key: 'AKIDALICE', secret_key: 'a-secret-of-alice-for-tests' };
    proxy = await startProxy({
      config: {
        server: { limits: { idle_timeout_seconds: 2.5 } },
        buckets: [
          { name: 'uploads', s3, auth, upload, cors: { allowed_origins: ['https://app.example.com'] } },
          { name: 'signed', s3, auth: { sigv4 } },
          { name: 'open', s3, auth: { enabled: false } },
          { name: 'asked', s3, auth, authz: { opa: { url: opa.url, policy_path: '/v1/data/mizuchi/allow' } } },
          { name: 'down-*', s3: { ...ofAny, endpoint: `http://127.0.0.1:${await freePort()}` }, auth, upload },
          { name: 'slow-*', s3: { ...ofAny, endpoint: slow.endpoint }, auth, upload },
          {
            name: 'stuck-*',
            s3: { ...ofAny, endpoint: stuck.endpoint, timeouts: { idle_seconds: 1.5 } },
            auth,
            upload: { multipart_threshold: 64 * MiB, retry: { max_attempts: 1 } },
          },
        ],
        tracing: { enabled: true, otlp: { endpoint: `http://127.0.0.1:${await freePort()}` } },
        logging: { level: 'info', format: 'json', slow_upload_seconds: 1 },
      },
    });
  });
  afterAll(async () => {
    await proxy.stop();
    await slow.stop();
    await stuck.stop();
    await opa.stop();
    await server.stop();
  });
  const send = (options: Partial<RequestOptions>) => sendTo(proxy, options);
  const time = expect.any(Number);

  test('of an upload that went well', async () => {
    const line = await lineOf(proxy, await send({ path: '/uploads/a%20file', body: 'x'.repeat(1000) }));
    expect(line).toEqual({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/u),
      msg: 'request',
      requestId: expect.stringMatching(/^[0-9A-F]{16}$/u),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/u),
      operation: 'PutObject',
      bucket: 'uploads',
      backendBucket: 'store',
      key: 'a file',
      credential: 'jwt',
      subject: expect.stringMatching(/^[0-9a-f]{16}$/u),
      clientIp: expect.stringMatching(/^[0-9a-f]{16}$/u),
      status: 200,
      receivedBytes: 1000,
      sentBytes: 1000,
      plan: 'put',
      retries: 0,
      durationMs: time,
      authenticateMs: time,
      queueMs: time,
      firstByteMs: time,
      clientWaitMs: time,
      backendWaitMs: time,
      memoryWaitMs: time,
    });
    for (const [name, value] of Object.entries(line)) {
      if (name.endsWith('Ms')) expect(Math.round(Number(value) * 10) / 10).toBe(value);
    }
  });

  test('of one in parts', async () => {
    const line = await lineOf(proxy, await send({ path: '/uploads/large', body: Buffer.alloc(12 * MiB) }));
    expect(line).toMatchObject({
      plan: 'multipart',
      parts: 3,
      retries: 0,
      sentBytes: 12 * MiB,
      receivedBytes: 12 * MiB,
    });
  });

  test('of a multipart upload of the client, each call', async () => {
    const created = await send({ method: 'POST', path: '/uploads/theirs?uploads' });
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    const part = await send({ path: `/uploads/theirs?uploadId=${uploadId}&partNumber=1`, body: 'part' });
    const listed = await send({ method: 'GET', path: `/uploads/theirs?uploadId=${uploadId}` });
    const aborted = await send({ method: 'DELETE', path: `/uploads/theirs?uploadId=${uploadId}` });
    const lines = await Promise.all([created, part, listed, aborted].map((answer) => lineOf(proxy, answer)));
    const seen = lines.map(({ operation, status, key, sentBytes, plan }) => ({
      operation,
      status,
      key,
      sentBytes,
      plan,
    }));
    const rest = { key: 'theirs', plan: undefined };
    expect(seen).toEqual([
      { operation: 'CreateMultipartUpload', status: 200, sentBytes: 0, ...rest },
      { operation: 'UploadPart', status: 200, sentBytes: 4, ...rest },
      { operation: 'ListParts', status: 200, sentBytes: 0, ...rest },
      { operation: 'AbortMultipartUpload', status: 204, sentBytes: 0, ...rest },
    ]);
    for (const line of lines) expect(JSON.stringify(line)).not.toContain(uploadId);
  });

  test('of what the client did wrong: info, and its code', async () => {
    const cases: [Partial<RequestOptions>, object][] = [
      [
        { path: '/uploads/a', headers: { authorization: 'Bearer nonsense' } },
        { status: 401, code: 'Unauthorized' },
      ],
      [{ path: '/nowhere/a' }, { status: 404, code: 'NoSuchBucket', method: 'PUT' }],
      [
        { path: '/uploads/a', method: 'DELETE' },
        { status: 405, code: 'MethodNotAllowed', method: 'DELETE', bucket: 'uploads' },
      ],
      [
        { path: '/uploads/a', headers: { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, body: 'x' },
        { code: 'BadDigest' },
      ],
      [{ path: '/uploads/a', headers: { 'x-amz-copy-source': 'b' } }, { status: 501 }],
    ];
    for (const [options, expected] of cases)
      expect(await lineOf(proxy, await send(options))).toMatchObject({ level: 30, msg: 'request', ...expected });
  });

  test('of a preflight, a bearer of keys, and of nobody in particular', async () => {
    const origin = { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' };
    expect(await lineOf(proxy, await send({ method: 'OPTIONS', path: '/uploads/a', headers: origin }))).toMatchObject({
      method: 'OPTIONS',
      status: 204,
    });
    const credential = { accessKey: 'AKIDALICE', secretKey: 'a-secret-of-alice-for-tests', region: 'us-east-1' };
    const { host } = new URL(proxy.url);
    const signed = signS3Request({
      credential,
      method: 'PUT',
      host,
      path: '/signed/a',
      body: Buffer.from('x'),
      mode: 'sha256',
    });
    const bySigner = await sendRequest({ url: proxy.url, method: 'PUT', path: '/signed/a', ...signed });
    expect(await lineOf(proxy, bySigner)).toMatchObject({ credential: 'sigv4', status: 200 });
    const byAnybody = await sendRequest({ url: proxy.url, method: 'PUT', path: '/open/a', body: 'x' });
    const line = await lineOf(proxy, byAnybody);
    expect(line).toMatchObject({ credential: 'anonymous', status: 200 });
    expect(line).not.toHaveProperty('subject');
  });

  test('of decisions', async () => {
    const allowed = await lineOf(proxy, await send({ path: '/asked/a', body: 'x' }));
    expect(allowed).toMatchObject({ status: 200, authorizeMs: time, decision: { engine: 'opa', allow: true } });
    const refused = await lineOf(proxy, await send({ path: '/asked/forbidden', body: 'x' }));
    expect(refused).toMatchObject({ level: 30, status: 403, code: 'AccessDenied', decision: { allow: false } });
  });

  test('of a backend that is away: error, with the cause, and how often it was tried', async () => {
    const line = await lineOf(proxy, await send({ path: '/down-a/a', body: 'x' }));
    expect(line).toMatchObject({
      level: 50,
      msg: 'request failed',
      retries: 1,
      receivedBytes: 1,
      sentBytes: 0,
      err: { message: expect.any(String), stack: expect.stringContaining('at ') },
    });
    expect(line).not.toHaveProperty('firstByteMs');
    expect(Number(line['status'])).toBeGreaterThanOrEqual(500);
  });

  test('of a client that left', async () => {
    const connection = await openRawConnection(proxy.url);
    const head = ['PUT /open/left HTTP/1.1', 'Host: a', 'Content-Length: 1000', '', 'some'];
    await connection.write(head.join('\r\n'));
    await delay(100);
    connection.destroy(true);
    const find = () => parseLines(proxy.logs()).find(({ key }) => key === 'left');
    await waitFor(async () => find() !== undefined);
    expect(find()).toMatchObject({ level: 30, code: 'ClientGone', clientIp: expect.stringMatching(/^[0-9a-f]{16}$/u) });
    // It was sent none.
    expect(find()).not.toHaveProperty('status');
  });

  test.each([
    ['is silent in the middle of its body', 1000, 4],
    ['sends nothing of its body', 1000, 0],
    ['sends nothing of one that goes in parts', 12 * MiB, 0],
    ['is silent between two parts', 12 * MiB, 5 * MiB],
  ])('of a client that %s: it was waited for', async (what, length, sentBytes) => {
    const key = what.replaceAll(' ', '-');
    const connection = await openRawConnection(proxy.url);
    await connection.write(`PUT /open/${key} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);
    await connection.write(Buffer.alloc(sentBytes));
    expect(await connection.readAnswer()).toMatchObject({ status: 400 });
    const find = () => requestLines(proxy.logs()).find((line) => line['key'] === key);
    await waitFor(async () => find() !== undefined);
    expect(find()).toMatchObject({ level: 40, code: 'RequestTimeout', waitedFor: 'client' });
  });

  test('of a slow upload: warn, and what it waited for', async () => {
    async function* dawdle(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first');
      await delay(1500);
      yield Buffer.from('last');
    }
    const body = { headers: { 'content-length': '9' }, body: dawdle() };
    const slowClient = await lineOf(proxy, await send({ path: '/uploads/dawdled', ...body }));
    expect(slowClient).toMatchObject({ level: 40, msg: 'slow upload', status: 200, waitedFor: 'client' });
    expect(Number(slowClient['clientWaitMs'])).toBeGreaterThan(1000);
    const slowBackend = await lineOf(proxy, await send({ path: '/slow-a/a', body: 'x' }));
    expect(slowBackend).toMatchObject({ level: 40, msg: 'slow upload', status: 200, waitedFor: 'backend' });
    const stuckBackend = await lineOf(proxy, await send({ path: '/stuck-a/a', body: Buffer.alloc(32 * MiB) }));
    expect(stuckBackend).toMatchObject({ level: 50, code: 'ServiceUnavailable', waitedFor: 'backend' });
    expect(Number(stuckBackend['backendWaitMs'])).toBeGreaterThan(1000);
  });

  test('of an upload that has waited until memory was set aside for it', async () => {
    const s3 = {
      endpoint: server.endpoint,
      access_key: server.accessKey,
      secret_key: server.secretKey,
      bucket: 'store',
    };
    const small = await startProxy({
      config: {
        server: { limits: { memory_budget: '16MiB', queue_timeout_seconds: 30 } },
        buckets: [{ name: 'uploads', s3, auth: { enabled: false }, upload: { part_size: 8 * MiB } }],
        logging: { level: 'info', format: 'json', slow_upload_seconds: 1 },
      },
    });
    const head = (key: string) => `PUT /uploads/${key} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const chunk = `${MiB.toString(16)}\r\n${'x'.repeat(MiB)}\r\n`;
    const find = (key: string) => requestLines(small.logs()).find((line) => line['key'] === key);
    try {
      // It has what may be set aside, and does not go on.
      const first = await openRawConnection(small.url);
      await first.write(head('first') + chunk);
      await waitFor(async () => (await small.health()).lentBytes >= MiB);
      const second = await openRawConnection(small.url);
      await second.write(`${head('second')}${chunk}0\r\n\r\n`);
      await delay(1500);
      await first.write('0\r\n\r\n');
      expect([(await first.readAnswer()).status, (await second.readAnswer()).status]).toEqual([200, 200]);
      await waitFor(async () => find('first') !== undefined && find('second') !== undefined);
      expect(find('first')).toMatchObject({ msg: 'slow upload', waitedFor: 'client' });
      expect(find('second')).toMatchObject({ msg: 'slow upload', waitedFor: 'memory' });
      expect(Number(find('second')?.['memoryWaitMs'])).toBeGreaterThan(1000);
    } finally {
      await small.stop();
    }
  });

  test('leads to the answer and to the trace of the client, and from them to it', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const answer = await send({
      path: '/uploads/traced',
      body: 'x',
      headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
    });
    expect(answer.headers['x-mizuchi-trace-id']).toBe(traceId);
    expect(await lineOf(proxy, answer)).toMatchObject({ traceId, requestId: answer.headers['x-amz-request-id'] });
  });

  test('is what the README promises, no more and no less', async () => {
    expect(fieldsOf(requestLines(proxy.logs()))).toEqual(await readPromisedFields('log-fields'));
  });

  test('health checks have no line', async () => {
    await sendRequest({ url: proxy.url, method: 'GET', path: '/health' });
    const line = await lineOf(proxy, await send({ path: '/uploads/after', body: 'x' }));
    expect(line).toMatchObject({ key: 'after' });
    expect(
      requestLines(proxy.logs()).filter(({ operation, method }) => operation === undefined && method === 'GET'),
    ).toEqual([]);
  });
});

describe('keys and persons', () => {
  async function logOne(logging: object): Promise<readonly [LogLine, string]> {
    const proxy = await startProxy({
      config: { buckets: [files('uploads')], logging: { level: 'info', format: 'json', ...logging } },
    });
    const answer = await sendTo(proxy, { path: '/uploads/a/planted-key', body: 'x' });
    const line = await lineOf(proxy, answer);
    await proxy.stop();
    return [line, proxy.logs()];
  }

  test('plain', async () => {
    const [line] = await logOne({ keys: 'plain', subjects: 'plain' });
    expect(line).toMatchObject({ key: 'a/planted-key', subject: 'tester', clientIp: '127.0.0.1' });
  });

  test('hashed', async () => {
    const [line, all] = await logOne({ keys: 'hashed', subjects: 'hashed' });
    for (const name of ['key', 'subject', 'clientIp']) expect(line[name]).toMatch(/^[0-9a-f]{16}$/u);
    expect(all).not.toMatch(/planted-key|tester/u);
  });

  test('off', async () => {
    const [line, all] = await logOne({ keys: 'off', subjects: 'off' });
    for (const name of ['key', 'subject', 'clientIp']) expect(line).not.toHaveProperty(name);
    expect(all).not.toMatch(/planted-key|tester/u);
  });
});

test.each(['plain', 'hashed', 'off'])(
  'of what the file system refuses, paths are told only with keys: %s',
  async (keys) => {
    const proxy = await startProxy({
      config: { buckets: [files('uploads')], logging: { level: 'info', format: 'json', keys } },
    });
    const folder = path.join(proxy.folder, 'data/uploads');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'planted-folder+'), '');
    const answer = await sendTo(proxy, { path: '/uploads/planted-folder/planted-key', body: 'x' });
    const { err } = await lineOf(proxy, answer);
    expect(err).toMatchObject({ code: expect.stringMatching(/^E[A-Z]+$/u), stack: expect.stringContaining('at ') });
    await proxy.stop();
    expect(proxy.logs().includes('planted')).toBe(keys === 'plain');
  },
);

test.each(['plain', 'hashed', 'off'])(
  'a folder in the place of an object is told of, and which one only with keys: %s',
  async (keys) => {
    const proxy = await startProxy({
      config: { buckets: [files('uploads')], logging: { level: 'info', format: 'json', keys } },
    });
    const key = '/uploads/planted-key';
    const created = await sendTo(proxy, { method: 'POST', path: `${key}?uploads` });
    const uploadId = /<UploadId>([^<]+)</u.exec(created.body)?.[1] ?? '';
    const part = await sendTo(proxy, { path: `${key}?partNumber=1&uploadId=${uploadId}`, body: 'x' });
    await mkdir(path.join(proxy.folder, 'data', key), { recursive: true });
    const complete = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const answers = [
      await sendTo(proxy, { path: key, body: 'x' }),
      await sendTo(proxy, { method: 'POST', path: `${key}?uploadId=${uploadId}`, body: complete }),
    ];
    for (const answer of answers) {
      const { status, err } = await lineOf(proxy, answer);
      expect(status).toBe(500);
      expect(err).toMatchObject({ message: 'not a file', stack: expect.stringContaining('at ') });
    }
    await proxy.stop();
    expect(proxy.logs().includes('planted')).toBe(keys === 'plain');
  },
);

test.each(['plain', 'hashed', 'off'])('a backend’s own words are told only with keys: %s', async (keys) => {
  const say = (code: string, message: string): string =>
    `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const key = 'planted-a"planted-b';
  // It takes parts, but neither puts them together nor gives the upload up, and names the object each time.
  const fail: RequestListener = (request, response) => {
    request.resume();
    request.on('end', () => {
      const isCreate = request.url?.includes('uploads') === true;
      const isAbort = request.method === 'DELETE';
      response.writeHead(isCreate ? 200 : isAbort ? 403 : 503, { 'x-amz-request-id': 'OF-THE-BACKEND' });
      if (isCreate)
        response.end('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
      else if (isAbort) response.end(say('AccessDenied', `no s3:AbortMultipartUpload on "arn:aws:s3:::store/${key}"`));
      else response.end(say('InternalError', `failed for /store/${key}`));
    });
  };
  const backend = await startRecorder((_, response) => void response.end());
  const s3 = { endpoint: backend.endpoint, access_key: 'a', secret_key: 'a-secret', bucket: 'store' };
  const upload = { multipart_threshold: 5 * MiB, part_size: 5 * MiB, retry: { max_attempts: 1 } };
  const proxy = await startProxy({
    config: { buckets: [{ name: 'uploads', s3, auth, upload }], logging: { level: 'info', format: 'json', keys } },
  });
  backend.setAnswer(fail);
  for (const body of ['x', [Buffer.alloc(6 * MiB)]]) {
    const { err } = await lineOf(proxy, await sendTo(proxy, { path: `/uploads/${encodeKey(key)}`, body }));
    expect(err).toMatchObject({
      type: 'BackendRefusal',
      message: 'the backend answered 503',
      code: 'InternalError',
      status: 503,
      requestId: 'OF-THE-BACKEND',
      ...(keys === 'plain' && { detail: `failed for /store/${key}` }),
    });
  }
  const isWarned = () => parseLines(proxy.logs()).some(({ msg }) => String(msg).startsWith('abort of a multipart'));
  await waitFor(async () => isWarned());
  proxy.terminate();
  await proxy.ended;
  await backend.stop();
  expect(proxy.logs().includes('AccessDenied')).toBe(true);
  for (const words of ['planted-a', 'planted-b', 'arn:aws'])
    expect(proxy.logs().includes(words)).toBe(keys === 'plain');
});

test('an embedder’s own logger is told the same, and what it throws is nobody’s fault', async () => {
  const script = path.resolve(import.meta.dirname, '../support/embed-own-log.ts');
  const embedder = startProcess({ command: process.execPath, args: [script], env: {} });
  expect(await embedder.ended).toEqual({ code: 0, signal: null });
  const [notice, stored, failed, ...rest] = embedder.output().split('\n');
  expect(JSON.parse(notice ?? '')).toMatchObject({ level: 40, msg: expect.stringContaining('auth.enabled is false') });
  const common = { program: 'embedder', operation: 'PutObject', key: expect.stringMatching(/^[0-9a-f]{16}$/u) };
  expect(JSON.parse(stored ?? '')).toMatchObject({ ...common, level: 30, msg: 'request', status: 200 });
  const err = { type: 'Error', message: expect.stringMatching(/^E[A-Z]+: [a-z]+$/u), stack: expect.any(String) };
  expect(JSON.parse(failed ?? '')).toMatchObject({ ...common, level: 50, msg: 'request failed', err });
  expect(failed).not.toContain('planted');
  expect(rest).toEqual(['with a broken log: 200', '']);
});

test.each(['json', 'pretty'])('lines stay lines, whatever a key or a subject holds: %s', async (format) => {
  const proxy = await startProxy({
    config: { buckets: [files('uploads')], logging: { level: 'info', format, subjects: 'plain' } },
  });
  const forged = 'x\n{"level":30,"msg":"forged"}\r\n12:00:00 ERROR forged';
  const keys = [
    forged,
    '\u001b[2J\u001b]0;title\u0007',
    '\u009b31m',
    '\u2028\u202eabc',
    'é'.repeat(500),
    '"\\',
    '=',
    '\u007f',
  ];
  for (const key of keys) {
    const authorization = `Bearer ${await createToken({ sub: key })}`;
    await sendTo(proxy, { path: `/uploads/${encodeKey(key)}`, body: 'x', headers: { authorization } });
    const invalid = { path: `/uploads/%ff%0a${encodeKey(key)}`, headers: { 'x-amz-meta-a': encodeURI(key) } };
    await sendTo(proxy, invalid);
  }
  await proxy.stop();
  const text = proxy.logs();
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u2028-\u202e]/u);
  expect(
    text.split('\n').filter((line) => /^(?:\{"level":30,"msg":"forged"|12:00:00 ERROR forged)/u.test(line)),
  ).toEqual([]);
  const count = text.split('\n').filter((line) => /"msg":"request"|INFO {2}request /u.test(line)).length;
  expect(count).toBe(2 * keys.length);
  if (format === 'json') {
    const told = requestLines(text).filter(({ status }) => status === 200);
    const expected = keys.filter((_, index) => told.some(({ key }) => key === keys[index]));
    expect(told.map(({ key }) => key)).toEqual(expected);
    expect(told.map(({ subject }) => subject)).toEqual(expected);
    expect(expected).toContain(forged);
  }
});

test.each([1, 2])('SIGUSR2 changes the level and changes it back, in all of %i workers', async (workers) => {
  const proxy = await startProxy({
    config: { server: { workers }, buckets: [files('uploads')], logging: { level: 'warn', format: 'json' } },
  });
  const said = () => parseLines(proxy.logs()).filter(({ msg }) => msg === 'log level changed');
  // With several, their supervisor has a log too.
  const processes = workers === 1 ? 1 : workers + 1;
  await sendTo(proxy, { path: '/uploads/unseen', body: 'x' });
  process.kill(proxy.pid, 'SIGUSR2');
  await waitFor(async () => said().length === processes);
  expect(said()).toEqual(
    Array.from({ length: processes }, () => expect.objectContaining({ from: 'warn', to: 'debug' })),
  );
  await lineOf(proxy, await sendTo(proxy, { path: '/uploads/seen', body: 'x' }));
  process.kill(proxy.pid, 'SIGUSR2');
  await waitFor(async () => said().length === 2 * processes);
  await sendTo(proxy, { path: '/uploads/unseen', body: 'x' });
  await proxy.stop();
  expect(requestLines(proxy.logs()).map(({ key }) => key)).toEqual(['seen']);
});

test('nothing is lost when it is stopped under load', async () => {
  const proxy = await startProxy({ config: { buckets: [files('uploads')] } });
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => sendTo(proxy, { path: `/uploads/${index}`, body: 'x' })),
  );
  await proxy.stop();
  const ids = new Set(requestLines(proxy.logs()).map(({ requestId }) => requestId));
  expect(answers.filter(({ headers }) => !ids.has(headers['x-amz-request-id']))).toEqual([]);
});
