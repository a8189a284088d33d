// What a trace says of uploads that are refused, tried again, given up, and left behind; and what it never says.
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRotel } from '../servers/start-rotel.ts';
import { startMinio } from '../servers/start-minio.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { answerWith, passOnTo } from '../support/recorder.ts';
import { createBucket } from '../support/s3-client.ts';
import { sendRequest } from '../support/send-request.ts';
import { signS3Request } from '../support/sign-s3-request.ts';
import { createToken, startProxy } from '../support/start-proxy.ts';
import { bothKinds, credential, startTracedProxy, traceTo, type TracedProxy } from '../support/traced-proxy.ts';
import { drawTree, spansOf, waitForTrace, type SeenSpan } from '../support/traces.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const policy = `package mizuchi

default allow := {"allow": false, "reason": "planted-reason"}

allow := true if not contains(input.resource.key, "forbidden")
`;
const upload = {
  multipart_threshold: '5MiB',
  part_size: '5MiB',
  retry: { max_attempts: 2, base_delay_ms: 10, max_delay_ms: 20 },
};
const servers: { traced?: TracedProxy } = {};
const traced = (): TracedProxy => {
  if (servers.traced === undefined) throw new Error('not started');
  return servers.traced;
};
beforeAll(async () => {
  servers.traced = await startTracedProxy({ policy, bucket: { upload } });
});
afterAll(() => servers.traced?.stop());

const isWhole = (spans: readonly SeenSpan[]): boolean => spans.some(({ kind }) => kind === 'server');

/** @returns the spans of one request. */
async function trace(request: {
  readonly key: string;
  readonly body: string | Uint8Array;
  readonly authorization?: string;
}): Promise<{ status: number; spans: SeenSpan[] }> {
  const { key, body, authorization = `Bearer ${await createToken({ sub: 'planted-subject' })}` } = request;
  const answer = await sendRequest({
    url: traced().proxy.url,
    method: 'PUT',
    path: `/uploads/${key}`,
    headers: { authorization },
    body,
  });
  const traceId = String(answer.headers['x-mizuchi-trace-id']);
  return { status: answer.status, spans: await waitForTrace(traced().collector, traceId, isWhole) };
}

const find = (spans: readonly SeenSpan[], name: string): SeenSpan | undefined =>
  spans.find((span) => span.name === name);

test('a bad token: the request is refused, which is no error of the proxy', async () => {
  const { status, spans } = await trace({ key: 'a', body: 'a', authorization: 'Bearer planted-token' });
  expect(status).toBe(401);
  expect(drawTree(spans)).toBe('PutObject\n  authenticate');
  expect(find(spans, 'authenticate')?.attributes['error.type']).toBeDefined();
  const request = find(spans, 'PutObject');
  expect(request).toMatchObject({ isError: false });
  expect(request?.attributes).toMatchObject({
    'mizuchi.error_code': 'Unauthorized',
    'http.response.status_code': 401,
  });
  // Semantic conventions, "HTTP server": of an answer of 4xx it is left out.
  expect(request?.attributes).not.toHaveProperty('error.type');
});

test('a refusal of the policy says who has refused, and not why', async () => {
  const { status, spans } = await trace({ key: 'forbidden', body: 'a' });
  expect(status).toBe(403);
  expect(drawTree(spans)).toBe('PutObject\n  authenticate\n  authorize\n    POST opa');
  expect(find(spans, 'authorize')?.attributes).toMatchObject({
    'mizuchi.authz.engine': 'opa',
    'mizuchi.authz.decision': 'deny',
  });
  expect(find(spans, 'PutObject')?.attributes['mizuchi.error_code']).toBe('AccessDenied');
});

test('an attempt that fails and the one that succeeds are two spans', async () => {
  const { storeRecorder, store } = traced();
  const xml = '<Error><Code>SlowDown</Code><Message>planted message</Message></Error>';
  let isFirst = true;
  storeRecorder.setAnswer((request, response) => {
    if (!isFirst) return passOnTo(store)(request, response);
    isFirst = false;
    return answerWith(503, { 'x-amz-request-id': 'FIRSTATTEMPT' }, xml)(request, response);
  });
  const { status, spans } = await trace({ key: 'retried', body: 'retried' });
  expect(status).toBe(200);
  const [first, second] = spans.filter(({ name }) => name === 'S3.PutObject').toSorted((a, b) => a.startMs - b.startMs);
  expect(first).toMatchObject({ isError: true, message: 'SlowDown' });
  expect(first?.attributes).toMatchObject({
    'error.type': 'SlowDown',
    'http.response.status_code': 503,
    'aws.request_id': 'FIRSTATTEMPT',
  });
  expect(first?.events.map(({ attributes }) => attributes)).toEqual([{ 'exception.type': 'BackendRefusal' }]);
  expect(second).toMatchObject({ isError: false });
  expect(second?.attributes).toMatchObject({ 'http.request.resend_count': 1, 'http.response.status_code': 200 });
  expect(find(spans, 'PutObject')?.attributes['mizuchi.retries']).toBe(1);
});

test('a backend that is away: the request and its calls are errors, with the cause', async () => {
  const { storeRecorder, store } = traced();
  storeRecorder.setAnswer((request) => request.socket.destroy());
  const { status, spans } = await trace({ key: 'away', body: 'away' });
  storeRecorder.setAnswer(passOnTo(store));
  expect(status).toBe(503);
  const calls = spans.filter(({ name }) => name === 'S3.PutObject');
  expect(calls).toHaveLength(2);
  for (const span of calls) {
    expect(span).toMatchObject({ isError: true, message: 'ServiceUnavailable' });
    expect(span.attributes['error.type']).toMatch(/^[A-Za-z_]+$/u);
    expect(span.events.map(({ name }) => name)).toEqual(['exception']);
  }
  expect(find(spans, 'PutObject')).toMatchObject({ isError: true, message: 'ServiceUnavailable' });
});

test('a call without a body that is refused says what the backend answered', async () => {
  const { storeRecorder, store } = traced();
  const xml = '<Error><Code>AccessDenied</Code><Message>planted message</Message></Error>';
  storeRecorder.setAnswer(answerWith(403, { 'x-amz-request-id': 'REFUSEDCALL' }, xml));
  const { status, spans } = await trace({ key: 'refused', body: Buffer.alloc(6 * MiB) });
  storeRecorder.setAnswer(passOnTo(store));
  expect(status).toBe(403);
  expect(find(spans, 'S3.CreateMultipartUpload')?.attributes).toMatchObject({
    'error.type': 'AccessDenied',
    'http.response.status_code': 403,
    'aws.request_id': 'REFUSEDCALL',
  });
});

test('a completion whose answer is lost says what was answered to it, and not to the question whether it was done', async () => {
  const { storeRecorder, store } = traced();
  storeRecorder.setAnswer((request, response) => {
    const { method, url: target = '', headers } = request;
    if (method !== 'POST' || !target.includes('uploadId=')) return passOnTo(store)(request, response);
    const onward = httpRequest({ host: '127.0.0.1', port: store.port, method, path: target, headers, agent: false });
    onward.on('response', (answer) => {
      answer.resume();
      answer.on('end', () => response.writeHead(500, { 'x-amz-request-id': 'LOSTANSWER' }).end());
    });
    return request.pipe(onward);
  });
  const { status, spans } = await trace({ key: 'completed', body: Buffer.alloc(6 * MiB) });
  storeRecorder.setAnswer(passOnTo(store));
  expect(status).toBe(200);
  const question = storeRecorder.seen.find(({ method, target }) => method === 'HEAD' && target.includes('completed'));
  const completion = find(spans, 'S3.CompleteMultipartUpload');
  expect(question?.head).toMatch(
    new RegExp(`^traceparent: 00-${completion?.traceId}-${completion?.spanId}-01$`, 'imu'),
  );
  expect(question?.authorization).not.toContain('traceparent');
  expect(completion?.attributes).toMatchObject({
    'http.response.status_code': 500,
    'aws.request_id': 'LOSTANSWER',
  });
});

test('a client that leaves: the parts are given up, the upload is aborted, and nobody is to blame', async () => {
  const { proxy, collector, storeRecorder } = traced();
  const traceId = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');
  const connection = await openRawConnection(proxy.url);
  const fields = [
    'Host: a',
    `Authorization: Bearer ${await createToken()}`,
    `Content-Length: ${30 * MiB}`,
    `traceparent: 00-${traceId}-b7ad6b7169203331-01`,
  ];
  await connection.write(`PUT /uploads/left HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  storeRecorder.seen.length = 0;
  await connection.write(Buffer.alloc(8 * MiB));
  await waitFor(async () => storeRecorder.seen.some(({ target }) => target.includes('partNumber=2')));
  connection.destroy();
  const spans = await waitForTrace(collector, traceId, isWhole);
  const request = find(spans, 'PutObject');
  expect(request).toMatchObject({ isError: false });
  expect(request?.attributes['mizuchi.error_code']).toBe('ClientGone');
  expect(request?.attributes).not.toHaveProperty('http.response.status_code');
  expect(find(spans, 'S3.AbortMultipartUpload')).toMatchObject({ isError: false, parentId: request?.spanId });
  expect(spans.filter(({ isError }) => isError)).toEqual([]);
});

test('uploads of a killed process are swept in traces of their own', async () => {
  const collector = await startRotel();
  const store = await startMinio();
  const stored = await createBucket(store, 'backend-bucket');
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-traces-'));
  const s3 = {
    bucket: stored.bucket,
    region: store.region,
    endpoint: store.endpoint,
    access_key: store.accessKey,
    secret_key: store.secretKey,
  };
  const config = {
    metrics: { enabled: false },
    tracing: traceTo(collector),
    buckets: [{ name: 'uploads', path_prefix: '/uploads', s3, auth: bothKinds, upload }],
  };
  const first = await startProxy({ config, folder });
  const connection = await openRawConnection(first.url);
  const fields = ['Host: a', `Authorization: Bearer ${await createToken()}`, `Content-Length: ${30 * MiB}`];
  await connection.write(`PUT /uploads/killed HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await connection.write(Buffer.alloc(6 * MiB));
  await waitFor(async () => (await stored.listOpenUploads('killed')).length === 1);
  await first.kill9();
  connection.destroy();
  const second = await startProxy({ config, folder });
  const sweep = (): SeenSpan | undefined => spansOf(collector).find((span) => span.name === 'journal sweep');
  await waitFor(async () => sweep() !== undefined);
  expect(sweep()).toMatchObject({ parentId: '', isError: false });
  expect(sweep()?.attributes).toMatchObject({ 'mizuchi.background': true, 'mizuchi.abandoned': 1 });
  const swept = find(spansOf(collector), 'S3.AbortMultipartUpload');
  expect(swept).toMatchObject({ kind: 'client', isError: false, parentId: sweep()?.spanId, traceId: sweep()?.traceId });
  expect(swept?.attributes).toMatchObject({ 'http.response.status_code': 204, 'aws.s3.bucket': 'backend-bucket' });
  expect(await stored.listOpenUploads('killed')).toEqual([]);
  await second.stop();
  await store.stop();
  await collector.stop();
  await rm(folder, { recursive: true });
});

test('nothing that is secret or somebody’s own has come through, whatever happened', async () => {
  const { proxy, collector } = traced();
  const token = await createToken({ sub: 'planted-subject' });
  const send = (target: string, headers: Readonly<Record<string, string>> = {}) =>
    sendRequest({ url: proxy.url, method: 'PUT', path: target, headers, body: 'planted-body' });
  const signed = signS3Request({
    credential,
    method: 'PUT',
    host: new URL(proxy.url).host,
    path: '/uploads/planted-key',
    headers: { 'x-amz-meta-planted': 'planted-metadata' },
    body: Buffer.from('planted-body'),
    mode: 'sha256',
  });
  const requests = [
    () => send(`/uploads/planted-key?token=${token}`),
    () =>
      send('/uploads/planted-key?planted-query=1', { authorization: `Bearer ${token}`, cookie: 'planted-cookie=1' }),
    () => send('/planted-bucket/planted-key', { authorization: `Bearer ${token}` }),
    () => send('/uploads/planted-key?partNumber=1&uploadId=planted-upload-id', { authorization: `Bearer ${token}` }),
    () => sendRequest({ url: proxy.url, method: 'PLANTED', path: '/uploads/planted-key' }),
    () => sendRequest({ url: proxy.url, method: 'PUT', path: '/uploads/planted-key', ...signed }),
    () => sendRequest({ url: proxy.url, method: 'PUT', path: '/uploads/planted-other-key', ...signed }),
  ];
  const signature = /Signature=(?<hex>\w+)/u.exec(String(signed.headers['authorization']))?.groups?.['hex'] ?? '-';
  for (const request of requests) {
    const { headers } = await request();
    const traceId = headers['x-mizuchi-trace-id'];
    if (traceId !== undefined) await waitForTrace(collector, String(traceId), isWhole);
  }
  const all = Buffer.concat(collector.received).toString('latin1');
  expect(all).toContain('S3.PutObject');
  expect(all.toLowerCase()).not.toContain('planted');
  for (const secret of [token, token.split('.')[1] ?? '-', signature, credential.accessKey, credential.secretKey]) {
    expect(all).not.toContain(secret);
  }
});

test('keys, subjects and addresses are told where the configuration says so', async () => {
  const telling = await startTracedProxy({ tracing: { include_keys: true, include_subject: true } });
  const authorization = `Bearer ${await createToken({ sub: 'alice' })}`;
  const request = { url: telling.proxy.url, method: 'PUT', headers: { authorization }, body: 'x' };
  const answer = await sendRequest({ ...request, path: '/uploads/f%C3%B6lder/key' });
  expect(answer.status).toBe(200);
  const spans = await waitForTrace(telling.collector, String(answer.headers['x-mizuchi-trace-id']), isWhole);
  expect(find(spans, 'PutObject')?.attributes).toMatchObject({
    'aws.s3.key': 'földer/key',
    'enduser.id': 'alice',
    'client.address': '127.0.0.1',
  });
  expect(find(spans, 'S3.PutObject')?.attributes['aws.s3.key']).toBe('földer/key');
  await telling.stop();
});
