// The audit log: a line for every change that was granted or may have been made and for nothing else, before its answer, whole, and
// told true by what the backend has.
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { execFile } from 'node:child_process';
import { readFile, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { startFaultyBackend, type FaultyBackend, type Fault } from '../support/faulty-backend.ts';
import { fieldsOf, parseLines, readPromisedFields, type LogLine } from '../support/log-lines.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { scrape } from '../support/scrape.ts';
import { encodeKey, sendRequest, type Answer, type RequestOptions } from '../support/send-request.ts';
import { sendTo } from '../support/send-to.ts';
import { crc32Base64, signS3Request } from '../support/sign-s3-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const auth = { jwt: { secret: jwtSecret } };
const toFolder = { buckets: [{ name: 'uploads', filesystem: { root: './data' }, auth }] };
const credential = { accessKey: 'AKIDALICE', secretKey: 'a-secret-of-alice-for-tests', region: 'us-east-1' };

const startAudited = (destination: string, config: object = {}): Promise<RunningProxy> =>
  startProxy({
    config: {
      ...toFolder,
      logging: { level: 'info', format: 'json', subjects: 'plain', audit: { enabled: true, destination } },
      ...config,
    },
  });

const auditFile = (proxy: RunningProxy, name = 'audit.log'): string => path.join(proxy.folder, name);
const readAudit = async (proxy: RunningProxy, name?: string): Promise<LogLine[]> =>
  parseLines(await readFile(auditFile(proxy, name), 'utf8'));

describe('what was changed', () => {
  let server: S3Server;
  let stored: BucketView;
  let backend: FaultyBackend;
  let proxy: RunningProxy;
  beforeAll(async () => {
    server = await startMinio();
    backend = await startFaultyBackend(server);
    stored = await createBucket(server, 'store');
    await stored.client.send(
      new PutBucketVersioningCommand({ Bucket: 'store', VersioningConfiguration: { Status: 'Enabled' } }),
    );
    const s3 = {
      endpoint: server.endpoint,
      access_key: server.accessKey,
      secret_key: server.secretKey,
      bucket: 'store',
    };
    const retry = { max_attempts: 2, base_delay_ms: 5, max_delay_ms: 20 };
    const upload = { multipart_threshold: 5 * MiB, part_size: 5 * MiB, retry };
    proxy = await startAudited('./audit.log', {
      buckets: [
        { name: 'uploads', s3, auth, upload },
        { name: 'shaky', s3: { ...s3, endpoint: backend.endpoint }, auth, upload },
        {
          name: 'signed',
          s3,
          auth: {
            sigv4: {
              credentials: [{ access_key: credential.accessKey, secret_key: credential.secretKey, subject: 'alice' }],
            },
          },
        },
      ],
      tracing: { enabled: true, sampling: { strategy: 'always' } },
    });
  });
  afterAll(async () => {
    await proxy.stop();
    await backend.stop();
    await server.stop();
  });
  const send = (options: Partial<RequestOptions>) => sendTo(proxy, options);
  const lineOf = async ({ headers }: Answer): Promise<LogLine | undefined> =>
    (await readAudit(proxy)).find(({ requestId }) => requestId === headers['x-amz-request-id']);

  /** As the backend has it. */
  async function storedAs(key: string): Promise<object> {
    const { ContentLength: size, ETag: etag, VersionId: version } = await stored.head(key);
    return { size, etag: etag?.replaceAll('"', ''), version };
  }

  test('an object: who, what, where, and what the backend made of it', async () => {
    const body = Buffer.from('a small object');
    const headers = { 'x-amz-checksum-crc32': crc32Base64(body) };
    const answer = await send({ path: '/uploads/some/file.txt', body, headers });
    expect(await lineOf(answer)).toEqual({
      stream: 'audit',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/u),
      requestId: answer.headers['x-amz-request-id'],
      traceId: answer.headers['x-mizuchi-trace-id'],
      credential: 'jwt',
      subject: 'tester',
      clientIp: '127.0.0.1',
      operation: 'PutObject',
      bucket: 'uploads',
      backendBucket: 'store',
      key: 'some/file.txt',
      checksums: { crc32: headers['x-amz-checksum-crc32'] },
      ...(await storedAs('some/file.txt')),
    });
  });

  test('one that the proxy sent in parts: one line, of the whole', async () => {
    const answer = await send({ path: '/uploads/large', body: Buffer.alloc(12 * MiB) });
    const line = await lineOf(answer);
    expect(line).toMatchObject({ operation: 'PutObject', ...(await storedAs('large')) });
    expect((await readAudit(proxy)).filter(({ key }) => key === 'large')).toEqual([line]);
  });

  test('by an access key', async () => {
    const { host } = new URL(proxy.url);
    const signed = signS3Request({
      credential,
      method: 'PUT',
      host,
      path: '/signed/by-key',
      body: Buffer.from('x'),
      mode: 'sha256',
    });
    const answer = await sendRequest({ url: proxy.url, method: 'PUT', path: '/signed/by-key', ...signed });
    expect(await lineOf(answer)).toMatchObject({
      credential: 'sigv4',
      subject: 'alice',
      accessKey: credential.accessKey,
    });
  });

  test('a multipart upload of the client: each step, held together by the hash of its id', async () => {
    const created = await send({ method: 'POST', path: '/uploads/theirs?uploads' });
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    const target = `/uploads/theirs?uploadId=${uploadId}`;
    const part = await send({ path: `${target}&partNumber=1`, body: 'part' });
    const listed = await send({ method: 'GET', path: target });
    const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const completed = await send({ method: 'POST', path: target, body: xml });
    expect(completed.status).toBe(200);
    const other = await send({ method: 'POST', path: '/uploads/other?uploads' });
    const otherId = /<UploadId>(?<id>[^<]+)/u.exec(other.body)?.groups?.['id'] ?? '';
    const aborted = await send({ method: 'DELETE', path: `/uploads/other?uploadId=${otherId}` });
    expect(await lineOf(listed)).toBeUndefined();
    const lines = await Promise.all([created, part, completed, aborted].map(lineOf));
    const etag = part.headers.etag?.replaceAll('"', '');
    const { size: _, ...whole } = { size: 0, ...(await storedAs('theirs')) };
    expect(lines).toMatchObject([
      { operation: 'CreateMultipartUpload', key: 'theirs' },
      { operation: 'UploadPart', key: 'theirs', partNumber: 1, size: 4, etag },
      { operation: 'CompleteMultipartUpload', key: 'theirs', ...whole },
      { operation: 'AbortMultipartUpload', key: 'other' },
    ]);
    const uploads = lines.map((line) => line?.['upload']);
    expect(uploads[0]).toMatch(/^[0-9a-f]{16}$/u);
    expect(uploads.slice(0, 3)).toEqual([uploads[0], uploads[0], uploads[0]]);
    expect(uploads[3]).not.toBe(uploads[0]);
    const text = await readFile(auditFile(proxy), 'utf8');
    for (const id of [uploadId, otherId]) expect(text).not.toContain(id);
  });

  /** Has sent its head and `body`, of which `length` was announced. */
  async function startToSend(key: string, body: string, length = body.length): Promise<RawConnection> {
    const connection = await openRawConnection(proxy.url);
    const authorization = `Authorization: Bearer ${await createToken()}`;
    const head = [`PUT /shaky/${key} HTTP/1.1`, 'Host: a', authorization, `Content-Length: ${length}`, '', body];
    await connection.write(head.join('\r\n'));
    return connection;
  }
  const failingAt = (operation: string, fault: Fault): void =>
    backend.setFault((request) => (request.operation === operation ? fault : undefined));
  /** The backend has taken all of it, and nobody knows what it has done. */
  const lostAnswer: Fault = { kind: 'reset', afterBodyBytes: Infinity };

  test('of a client that leaves when all was sent: that its object may be there', async () => {
    failingAt('PutObject', { kind: 'late-answer', ms: 60_000 });
    const connection = await startToSend('left', 'all of it');
    await waitFor(async () => (await stored.listKeys()).includes('left'));
    connection.destroy(true);
    const find = async () => (await readAudit(proxy)).filter(({ key }) => key === 'left');
    await waitFor(async () => (await find()).length > 0);
    expect(await find()).toEqual([
      {
        stream: 'audit',
        time: expect.any(String),
        requestId: expect.any(String),
        traceId: expect.any(String),
        credential: 'jwt',
        subject: 'tester',
        clientIp: '127.0.0.1',
        operation: 'PutObject',
        result: 'unknown',
        bucket: 'shaky',
        backendBucket: 'store',
        key: 'left',
      },
    ]);
  });

  test('of a client that leaves before: nothing', async () => {
    const isLogged = () => parseLines(proxy.logs()).some(({ key, code }) => key === 'half' && code === 'ClientGone');
    const connection = await startToSend('half', 'half of it', 20);
    await waitFor(async () => (await proxy.health()).uploads > 0);
    connection.destroy(true);
    await waitFor(async () => isLogged());
    expect((await readAudit(proxy)).filter(({ key }) => key === 'half')).toEqual([]);
  });

  test.each([
    ['PutObject', 'PutObject', { path: '/shaky/lost', body: 'x' }, {}],
    ['a PutObject in parts', 'CompleteMultipartUpload', { path: '/shaky/lost', body: Buffer.alloc(6 * MiB) }, {}],
    ['CreateMultipartUpload', 'CreateMultipartUpload', { method: 'POST', path: '/shaky/lost?uploads' }, {}],
    ['UploadPart', 'UploadPart', { path: '/shaky/lost?partNumber=1&uploadId=ID', body: 'x' }, { partNumber: 1 }],
    ['AbortMultipartUpload', 'AbortMultipartUpload', { method: 'DELETE', path: '/shaky/lost?uploadId=ID' }, {}],
  ])('%s without an answer: that it may be done', async (_, failing, request, fields) => {
    const created = await send({ method: 'POST', path: '/shaky/lost?uploads' });
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    failingAt(failing, lostAnswer);
    const answer = await send({ ...request, path: request.path.replace('ID', uploadId) });
    backend.setFault(() => undefined);
    expect(answer.status).toBe(503);
    const line = await lineOf(answer);
    expect(line).toMatchObject({ result: 'unknown', key: 'lost', ...fields });
    for (const name of ['size', 'etag', 'version', 'checksums']) expect(line).not.toHaveProperty(name);
  });

  test('a completion without an answer: likewise, with the upload that it is of', async () => {
    const created = await send({ method: 'POST', path: '/shaky/unanswered?uploads' });
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    const target = `/shaky/unanswered?uploadId=${uploadId}`;
    const part = await send({ path: `${target}&partNumber=1`, body: 'part' });
    failingAt('CompleteMultipartUpload', lostAnswer);
    const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const answer = await send({ method: 'POST', path: target, body: xml });
    backend.setFault(() => undefined);
    expect(answer.status).toBe(503);
    const { upload } = (await lineOf(created)) ?? {};
    expect(await lineOf(answer)).toMatchObject({ operation: 'CompleteMultipartUpload', result: 'unknown', upload });
  });

  test.each<[string, string, Fault]>([
    ['what the backend refuses', 'PutObject', { kind: 'answer', status: 403, code: 'AccessDenied' }],
    ['what it has no time for', 'PutObject', { kind: 'answer', status: 503, code: 'SlowDown' }],
    ['an upload in parts of which one is lost', 'UploadPart', lostAnswer],
  ])('nothing of %s', async (_, failing, fault) => {
    failingAt(failing, fault);
    const body = failing === 'UploadPart' ? Buffer.alloc(6 * MiB) : 'x';
    const answer = await send({ path: '/shaky/refused', body });
    backend.setFault(() => undefined);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await lineOf(answer)).toBeUndefined();
  });

  test('nothing that was refused, and nothing that changes nothing', async () => {
    const before = await readAudit(proxy);
    const refused = [
      await send({ path: '/uploads/a', body: 'x', headers: { authorization: 'Bearer nonsense' } }),
      await send({ path: '/uploads/a', body: 'x', headers: { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' } }),
      await send({ path: '/uploads/a?uploadId=none&partNumber=1', body: 'x' }),
      await send({ method: 'GET', path: '/uploads/a' }),
    ];
    for (const { status } of refused) expect(status).toBeGreaterThanOrEqual(400);
    expect((await send({ method: 'HEAD', path: '/uploads' })).status).toBe(200);
    expect(await readAudit(proxy)).toEqual(before);
  });

  test('in the fields that the README promises, no more and no less', async () => {
    expect(fieldsOf(await readAudit(proxy))).toEqual(await readPromisedFields('audit-fields'));
  });

  test('for its owner alone', async () => {
    expect((await stat(auditFile(proxy))).mode & 0o777).toBe(0o600);
  });

  test('nothing of what a backend that is away was not given', async () => {
    backend.die();
    const answer = await send({ path: '/shaky/away', body: 'x' });
    expect(answer.status).toBe(503);
    expect(await lineOf(answer)).toBeUndefined();
  });
});

test('every line is there when its answer is, also after kill -9, and also of several workers whole', async () => {
  const proxy = await startAudited('./audit.log', { server: { workers: 2 } });
  // Lines longer than what a pipe takes at once.
  const keys = Array.from({ length: 100 }, (_, index) => `${'"é\n'.repeat(200)}${index}`);
  const answers = await Promise.all(
    keys.map((key) => sendTo(proxy, { path: `/uploads/${encodeKey(key)}`, body: key })),
  );
  await proxy.kill9();
  expect(answers.map(({ status }) => status)).toEqual(keys.map(() => 200));
  const lines = await readAudit(proxy);
  expect(lines.map(({ key }) => String(key)).toSorted()).toEqual(keys.toSorted());
  expect(new Set(lines.map(({ requestId }) => requestId)).size).toBe(keys.length);
});

test.each([1, 2])(
  'SIGHUP goes on in a new file after the old one was renamed, in all of %i workers',
  async (workers) => {
    const proxy = await startAudited('./audit.log', { server: { workers } });
    const send = (name: string) => sendTo(proxy, { path: `/uploads/${name}`, body: 'x' });
    await Promise.all(Array.from({ length: 10 }, (_, index) => send(`before-${index}`)));
    await rename(auditFile(proxy), auditFile(proxy, 'audit.log.1'));
    process.kill(proxy.pid, 'SIGHUP');
    const reopened = () => parseLines(proxy.logs()).filter(({ msg }) => msg === 'audit log reopened');
    await waitFor(async () => reopened().length === workers);
    await Promise.all(Array.from({ length: 10 }, (_, index) => send(`after-${index}`)));
    const keysIn = async (name: string) => (await readAudit(proxy, name)).map(({ key }) => String(key).split('-')[0]);
    expect(await keysIn('audit.log.1')).toEqual(Array.from({ length: 10 }, () => 'before'));
    expect(await keysIn('audit.log')).toEqual(Array.from({ length: 10 }, () => 'after'));
    await proxy.stop();
  },
);

test('on standard output the lines stand among the others, whatever the level', async () => {
  const logging = { level: 'silent', audit: { enabled: true } };
  const proxy = await startAudited('', { logging });
  await sendTo(proxy, { path: '/uploads/a', body: 'x' });
  await waitFor(async () => proxy.logs().includes('\n'));
  await proxy.stop();
  expect(parseLines(proxy.logs())).toMatchObject([{ stream: 'audit', operation: 'PutObject', key: 'a', size: 1 }]);
});

const toldLost = (proxy: RunningProxy): LogLine[] =>
  parseLines(proxy.logs()).filter(({ msg }) => msg === 'audit lines could not be written');
const countLost = (proxy: RunningProxy): number => toldLost(proxy).reduce((sum, { lines }) => sum + Number(lines), 0);

test('a full disk fails no upload, and is told of', async () => {
  const proxy = await startAudited('/dev/full');
  const before = await scrape(proxy.metricsUrl);
  expect(before.sum('mizuchi_audit_lines_lost_total')).toBe(0);
  for (const name of ['a', 'b', 'c']) {
    expect((await sendTo(proxy, { path: `/uploads/${name}`, body: name })).status).toBe(200);
  }
  await waitFor(async () => countLost(proxy) === 3);
  expect(toldLost(proxy)[0]).toMatchObject({ level: 50, file: '/dev/full', lines: 1, err: { code: 'ENOSPC' } });
  expect((await scrape(proxy.metricsUrl)).sum('mizuchi_audit_lines_lost_total')).toBe(3);
  await sendTo(proxy, { path: '/uploads/d', body: 'd' });
  await sendTo(proxy, { path: '/uploads/e', body: 'e' });
  await proxy.stop();
  expect(countLost(proxy)).toBe(5);
});

test('a line of which the disk took a part is taken away again', async () => {
  const proxy = await startAudited('./audit.log');
  const put = async (name: string) => (await sendTo(proxy, { path: `/uploads/${name}`, body: name })).status;
  const limitFiles = (bytes: number | 'unlimited') =>
    promisify(execFile)('prlimit', ['--pid', String(proxy.pid), `--fsize=${bytes}:`]);
  // Longer than what else is written to files.
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await put(name);
  const { size } = await stat(auditFile(proxy));
  await limitFiles(size + 100);
  expect([await put('torn'), await put('lost')]).toEqual([200, 200]);
  expect((await stat(auditFile(proxy))).size).toBe(size);
  await limitFiles('unlimited');
  expect([await put('i'), await put('j')]).toEqual([200, 200]);
  const text = await readFile(auditFile(proxy), 'utf8');
  expect(parseLines(text.slice(size)).map(({ key }) => key)).toEqual(['i', 'j']);
  await waitFor(async () => countLost(proxy) === 2);
  expect((await scrape(proxy.metricsUrl)).sum('mizuchi_audit_lines_lost_total')).toBe(2);
  await proxy.stop();
});

test('an audit line tells of the address of a client that has left, also where the log says less', async () => {
  const server = await startMinio();
  const backend = await startFaultyBackend(server);
  const stored = await createBucket(server, 'store');
  const { accessKey: access_key, secretKey: secret_key } = server;
  const s3 = { endpoint: backend.endpoint, access_key, secret_key, bucket: 'store' };
  const proxy = await startAudited('./audit.log', {
    buckets: [{ name: 'open', s3, auth: { enabled: false } }],
    logging: { level: 'warn', subjects: 'plain', audit: { enabled: true, destination: './audit.log' } },
  });
  backend.setFault(({ operation }) => (operation === 'PutObject' ? { kind: 'late-answer', ms: 60_000 } : undefined));
  const connection = await openRawConnection(proxy.url);
  await connection.write('PUT /open/left HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  await waitFor(async () => (await stored.listKeys()).includes('left'));
  connection.destroy(true);
  await waitFor(async () => (await readAudit(proxy)).length > 0);
  expect(await readAudit(proxy)).toMatchObject([{ key: 'left', result: 'unknown', clientIp: '127.0.0.1' }]);
  await proxy.stop();
  await backend.stop();
  await server.stop();
});

test('a file that cannot be opened is one sentence at start', async () => {
  await expect(startAudited('./missing/audit.log')).rejects.toThrow(
    /^.*mizuchi-uploadr: logging\.audit\.destination: \.\/missing\/audit\.log cannot be opened \(ENOENT\)\n$/su,
  );
});
