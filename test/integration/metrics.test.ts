// A scripted day: after each event exactly the counters have grown that it implies, and all that dashboard and alerts name is there.
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { runPromtool } from '../servers/run-promtool.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startOpa, type OpaServer } from '../servers/start-opa.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { startFaultyBackend, type BackendOperation, type FaultyBackend } from '../support/faulty-backend.ts';
import {
  alertExpressions,
  dashboardExpressions,
  groupLabelsOf,
  observabilityFolder,
  selectorsOf,
} from '../support/observability-examples.ts';
import { s3Config } from '../support/proxied-bucket.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { answerWith, startRecorder, type Recorder } from '../support/recorder.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { grownBetween, scrape, type Scrape } from '../support/scrape.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { signS3Request, type ClientCredential } from '../support/sign-s3-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const maxConcurrentUploads = 8;
const alice: ClientCredential = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-key-of-alice-1234',
  region: 'us-east-1',
};
const jwt = { algorithm: 'HS256', secret: jwtSecret };

let server: S3Server;
let backend: FaultyBackend;
let stored: BucketView;
let opa: OpaServer;
let identityProvider: Recorder;
let providerToken: string;
let proxy: RunningProxy;
let folder: string;
let before: Scrape;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-metrics-'));
  server = await startMinio();
  stored = await createBucket(server, 'backend-bucket');
  backend = await startFaultyBackend(server);
  opa = await startOpa({ policy: 'package mizuchi\n\ndefault allow := false\n\nallow if input.subject == "tester"\n' });
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }];
  identityProvider = await startRecorder(answerWith(200, {}, JSON.stringify({ keys })));
  const claims = new SignJWT({ sub: 'tester' }).setProtectedHeader({ alg: 'ES256', kid: 'one' });
  providerToken = await claims.setExpirationTime('1h').sign(privateKey);
  proxy = await startDayProxy();
}, 180_000);
afterAll(async () => {
  await proxy.stop();
  await opa.stop();
  await identityProvider.stop();
  await backend.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  backend.setFault(() => undefined);
  before = await scrape(proxy.metricsUrl);
});

async function startDayProxy(): Promise<RunningProxy> {
  const s3 = s3Config(server, backend.endpoint);
  const upload = {
    multipart_threshold: 5 * MiB,
    part_size: 5 * MiB,
    retry: { max_attempts: 3, base_delay_ms: 5, max_delay_ms: 20 },
  };
  const sigv4 = {
    credentials: [{ access_key: alice.accessKey, secret_key: alice.secretKey, subject: 'alice' }],
    region: alice.region,
    reject_replays: true,
  };
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const jwks = { algorithms: ['ES256'], jwks_url: `${identityProvider.endpoint}/keys`, cache_ttl_seconds: 1 };
  return startProxy({
    folder,
    config: {
      server: {
        limits: { memory_budget: '32MiB', max_concurrent_uploads: maxConcurrentUploads, queue_timeout_seconds: 60 },
      },
      buckets: [
        { name: 'uploads', s3, auth: { jwt, sigv4 }, upload },
        { name: 'policed', s3, auth: { jwt }, authz: { opa: { url: opa.url } } },
        { name: 'trusting', s3, auth: { jwt }, authz: { fail_mode: 'open', opa: { url: nobody } } },
        { name: 'keyed', s3, auth: { jwt: { ...jwks, cooldown_seconds: 0.1 } } },
        { name: 'keyless', s3, auth: { jwt: { ...jwks, jwks_url: `${nobody}/keys` } } },
        { name: 'anybody', s3, auth: { enabled: false } },
      ],
    },
  });
}

const as = async (claims = {}, secret = jwtSecret) => ({
  authorization: `Bearer ${await createToken(claims, secret)}`,
});
const send = (
  method: string,
  target: string,
  headers: Record<string, string>,
  body?: string | Buffer | Iterable<Buffer>,
): Promise<Answer> =>
  sendRequest({ url: proxy.url, method, path: target, headers, ...(body === undefined ? {} : { body }) });
const put = async (target: string, body: string | Buffer | Iterable<Buffer> = 'x'): Promise<number> =>
  (await send('PUT', target, await as(), body)).status;
/** But for tokens that are known: those of one second are the same. */
const grown = async (): Promise<Record<string, number>> => {
  const all = Object.entries(grownBetween(before, await scrape(proxy.metricsUrl)));
  return Object.fromEntries(all.filter(([name]) => !name.startsWith('jwt_cache_hits')));
};
const growth = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
  (await scrape(proxy.metricsUrl)).sum(name, labels) - before.sum(name, labels);
const failing = (operation: BackendOperation, attempts: number, code: string, status: number): void =>
  backend.setFault((request) =>
    request.operation === operation && request.attempt <= attempts ? { kind: 'answer', status, code } : undefined,
  );

test('uploads that succeed', async () => {
  for (const key of ['a', 'b', 'c']) expect(await put(`/uploads/ok/${key}`, 'x'.repeat(1000))).toBe(200);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,success}': 3,
    'auth_requests{uploads,jwt,success}': 3,
  });
  const uploads = { bucket: 'uploads' };
  expect(await growth('mizuchi_upload_bytes_total', uploads)).toBe(3000);
  expect(await growth('mizuchi_received_bytes_total', uploads)).toBe(3000);
  expect(await growth('mizuchi_sent_bytes_total', uploads)).toBe(3000);
  const putObject = { ...uploads, operation: 'PutObject' };
  expect(await growth('mizuchi_upload_duration_seconds_count', putObject)).toBe(3);
  expect(await growth('mizuchi_upload_duration_seconds_bucket', { ...putObject, le: '1800' })).toBe(3);
  expect(await growth('mizuchi_backend_request_duration_seconds_count', putObject)).toBe(3);
  expect(await growth('mizuchi_upload_first_byte_seconds_count', uploads)).toBe(3);
  expect(await growth('mizuchi_auth_duration_seconds_count', { method: 'jwt' })).toBe(3);
  expect(await growth('mizuchi_upload_duration_seconds_sum', putObject)).toBeGreaterThan(0);
});

test('a large upload that the proxy cuts, and one that the client cuts and gives up', async () => {
  expect(await put('/uploads/large', Buffer.alloc(12 * MiB, 1))).toBe(200);
  const created = await send('POST', '/uploads/own?uploads', await as());
  const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
  expect((await send('PUT', `/uploads/own?partNumber=1&uploadId=${uploadId}`, await as(), 'part')).status).toBe(200);
  expect((await send('GET', `/uploads/own?uploadId=${uploadId}`, await as())).status).toBe(200);
  expect((await send('DELETE', `/uploads/own?uploadId=${uploadId}`, await as())).status).toBe(204);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,success}': 1,
    'uploads{uploads,CreateMultipartUpload,success}': 1,
    'uploads{uploads,UploadPart,success}': 1,
    'uploads{uploads,ListParts,success}': 1,
    'uploads{uploads,AbortMultipartUpload,success}': 1,
    'auth_requests{uploads,jwt,success}': 5,
    'multipart_uploads{uploads,started}': 2,
    'multipart_uploads{uploads,completed}': 1,
    'multipart_uploads{uploads,aborted}': 1,
  });
  const part = { bucket: 'uploads', operation: 'UploadPart' };
  expect(await growth('mizuchi_backend_request_duration_seconds_count', part)).toBe(4);
  expect(await growth('mizuchi_upload_bytes_total', { bucket: 'uploads' })).toBe(12 * MiB + 4);
});

test('a client that did not see the answers: an upload that it completes or aborts again is one', async () => {
  const create = async (key: string): Promise<string> => {
    const { body } = await send('POST', `/uploads/${key}?uploads`, await as());
    return `/uploads/${key}?uploadId=${/<UploadId>(?<id>[^<]+)/u.exec(body)?.groups?.['id']}`;
  };
  const completed = await create('completed-twice');
  const part = await send('PUT', `${completed}&partNumber=1`, await as(), 'part');
  const parts = `<Part><PartNumber>1</PartNumber><ETag>${String(part.headers.etag)}</ETag></Part>`;
  const list = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`;
  for (const _ of [1, 2]) expect((await send('POST', completed, await as(), list)).status).toBe(200);
  const aborted = await create('aborted-twice');
  for (const _ of [1, 2]) expect((await send('DELETE', aborted, await as())).status).toBe(204);
  expect(await grown()).toEqual({
    'uploads{uploads,CreateMultipartUpload,success}': 2,
    'uploads{uploads,UploadPart,success}': 1,
    'uploads{uploads,CompleteMultipartUpload,success}': 2,
    'uploads{uploads,AbortMultipartUpload,success}': 2,
    'auth_requests{uploads,jwt,success}': 7,
    'multipart_uploads{uploads,started}': 2,
    'multipart_uploads{uploads,completed}': 1,
    'multipart_uploads{uploads,aborted}': 1,
  });
});

test('tokens that are wrong, absent, paths that reach no bucket, and bodies that are not what they should be', async () => {
  const wrong = await as({}, 'another secret of more than 32 bytes!');
  for (const key of ['a', 'b']) expect((await send('PUT', `/uploads/${key}`, wrong, 'x')).status).toBe(401);
  expect((await send('PUT', '/uploads/a', {}, 'x')).status).toBe(401);
  expect((await send('PUT', '/nowhere/a', {}, 'x')).status).toBe(404);
  expect((await send('GET', '/uploads/a', await as())).status).toBe(405);
  // Of which the backend was sent a part, and is not to blame.
  const digest = { ...(await as()), 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' };
  expect((await send('PUT', '/uploads/a', digest, Buffer.alloc(2 * MiB))).status).toBe(400);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,refused}': 4,
    'auth_requests{uploads,jwt,failure}': 2,
    'auth_requests{uploads,jwt,success}': 1,
    'auth_requests{uploads,none,failure}': 1,
    'errors{uploads,BadDigest}': 1,
    'errors{uploads,Unauthorized}': 3,
    'errors{uploads,MethodNotAllowed}': 1,
    'errors{-,NoSuchBucket}': 1,
  });
});

test('a token that comes again is not verified again', async () => {
  const token = await as({ sub: 'known' });
  for (const key of ['a', 'b', 'c']) expect((await send('PUT', `/uploads/${key}`, token, 'x')).status).toBe(200);
  expect(await growth('mizuchi_jwt_cache_hits_total', { bucket: 'uploads' })).toBe(2);
});

test('a signature of a kind that is not there to be had is the client’s fault', async () => {
  const authorization =
    'AWS4-ECDSA-P256-SHA256 Credential=AKIDALICE/20260101/s3/aws4_request, SignedHeaders=host, Signature=a';
  expect((await send('PUT', '/uploads/a', { authorization }, 'x')).status).toBe(501);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,refused}': 1,
    'auth_requests{uploads,sigv4,failure}': 1,
    'errors{uploads,NotImplemented}': 1,
  });
});

test('a signature, and the same one again', async () => {
  const host = new URL(proxy.url).host;
  const body = Buffer.from('signed');
  const signed = signS3Request({
    credential: alice,
    method: 'PUT',
    host,
    path: '/uploads/signed',
    body,
    mode: 'sha256',
  });
  expect((await send('PUT', '/uploads/signed', signed.headers, signed.body)).status).toBe(200);
  expect((await send('PUT', '/uploads/signed', signed.headers, signed.body)).status).toBe(403);
  expect((await send('PUT', '/anybody/open', {}, 'x')).status).toBe(200);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,success}': 1,
    'uploads{uploads,PutObject,refused}': 1,
    'uploads{anybody,PutObject,success}': 1,
    'auth_requests{uploads,sigv4,success}': 2,
    'auth_requests{anybody,anonymous,success}': 1,
    'errors{uploads,AccessDenied}': 1,
    'replays_rejected{}': 1,
  });
  for (const [method, count] of Object.entries({ jwt: 0, sigv4: 2, anonymous: 1, none: 0 }))
    expect(await growth('mizuchi_auth_duration_seconds_count', { method })).toBe(count);
});

test('a backend that fails and is tried again, and one that goes on failing', async () => {
  failing('PutObject', 1, 'SlowDown', 503);
  expect(await put('/uploads/retried', 'x'.repeat(500))).toBe(200);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,success}': 1,
    'auth_requests{uploads,jwt,success}': 1,
    'backend_errors{uploads,SlowDown}': 1,
    'backend_retries{uploads,PutObject}': 1,
  });
  expect(await growth('mizuchi_sent_bytes_total', { bucket: 'uploads' })).toBe(1000);
  expect(await growth('mizuchi_upload_bytes_total', { bucket: 'uploads' })).toBe(500);
  before = await scrape(proxy.metricsUrl);
  failing('UploadPart', 9, 'InternalError', 500);
  expect(await put('/uploads/failed', Buffer.alloc(6 * MiB))).toBeGreaterThanOrEqual(500);
  await waitFor(async () => (await growth('mizuchi_multipart_uploads_total', { status: 'aborted' })) === 1);
  const {
    'backend_errors{uploads,ServiceUnavailable}': errors,
    'backend_retries{uploads,UploadPart}': retries,
    ...rest
  } = await grown();
  expect(rest).toEqual({
    'uploads{uploads,PutObject,failure}': 1,
    'auth_requests{uploads,jwt,success}': 1,
    'errors{uploads,ServiceUnavailable}': 1,
    'multipart_uploads{uploads,started}': 1,
    'multipart_uploads{uploads,aborted}': 1,
  });
  // Three attempts of the part that failed first; how often the other had been tried then is a matter of time.
  expect(errors).toBeGreaterThanOrEqual(3);
  expect(retries).toBeGreaterThanOrEqual(2);
});

test('a refusal of the backend whose code nobody knows is counted as Other, whatever it says', async () => {
  for (const code of ['KMS.NotFoundException', 'KMS.DisabledException']) {
    failing('PutObject', 9, code, 400);
    expect(await put(`/uploads/${code}`)).toBe(400);
  }
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,refused}': 2,
    'auth_requests{uploads,jwt,success}': 2,
    'errors{uploads,Other}': 2,
    'backend_errors{uploads,Other}': 2,
  });
  expect((await scrape(proxy.metricsUrl)).text).not.toContain('KMS');
});

async function sendHead(key: string, framing: string): Promise<RawConnection> {
  const connection = await openRawConnection(proxy.url);
  const { authorization } = await as();
  const fields = ['Host: a', `Authorization: ${authorization}`, framing];
  await connection.write(`PUT /uploads/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  return connection;
}

test('bytes are counted while they are on their way, and once', async () => {
  const sent = (): Promise<number> => growth('mizuchi_sent_bytes_total', { bucket: 'uploads' });
  const received = (): Promise<number> => growth('mizuchi_received_bytes_total', { bucket: 'uploads' });
  const connection = await sendHead('halves', `Content-Length: ${2 * MiB}`);
  await connection.write(Buffer.alloc(MiB));
  await waitFor(async () => (await received()) === MiB && (await sent()) > 0);
  expect(await sent()).toBeLessThanOrEqual(MiB);
  await connection.write(Buffer.alloc(MiB));
  expect((await connection.readAnswer()).status).toBe(200);
  expect([await received(), await sent()]).toEqual([2 * MiB, 2 * MiB]);
});

/** Sends the head of a body of 30 MiB, and so many bytes of it, which have arrived then. */
async function beginUpload(key: string, bytes: number): Promise<RawConnection> {
  const connection = await sendHead(key, `Content-Length: ${30 * MiB}`);
  await connection.write(Buffer.alloc(bytes, 1));
  await waitFor(async () => (await growth('mizuchi_received_bytes_total', { bucket: 'uploads' })) === bytes);
  return connection;
}

test('a client that leaves, and an abort that fails until the backend lets it', async () => {
  failing('AbortMultipartUpload', 1, 'AccessDenied', 403);
  const connection = await beginUpload('left', 12 * MiB);
  const during = await scrape(proxy.metricsUrl);
  expect(during.sum('mizuchi_requests_in_flight')).toBe(1);
  expect(during.sum('mizuchi_uploads_in_flight')).toBe(1);
  expect(during.sum('mizuchi_multipart_uploads_open')).toBe(1);
  expect(during.sum('mizuchi_connections')).toBeGreaterThanOrEqual(1);
  const calls = { bucket: 'uploads', operation: 'UploadPart' };
  expect(during.sum('mizuchi_backend_requests_in_flight', calls)).toBeGreaterThanOrEqual(1);
  connection.destroy();
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_aborts_pending') === 1);
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_aborts_pending') === 0);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,client_gone}': 1,
    'client_disconnects{uploads}': 1,
    'auth_requests{uploads,jwt,success}': 1,
    'multipart_uploads{uploads,started}': 1,
    'multipart_uploads{uploads,aborted}': 1,
    'multipart_abort_failures{uploads}': 1,
    'backend_errors{uploads,AccessDenied}': 1,
    'backend_retries{uploads,AbortMultipartUpload}': 1,
  });
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_uploads_open') === 0);
  // What was given up before may be aborted once more meanwhile.
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_backend_requests_in_flight') === 0);
  const after = await scrape(proxy.metricsUrl);
  expect(after.sum('mizuchi_requests_in_flight')).toBe(0);
  expect(after.sum('mizuchi_wait_seconds_total', { bucket: 'uploads', reason: 'client' })).toBeGreaterThan(0);
});

/** What was given up before is aborted once more up to a second later, and stays in the journal until then. */
async function waitForOlderAborts(): Promise<void> {
  const journal = path.join(folder, 'state/open-uploads');
  await waitFor(async () =>
    (await readdir(journal, { recursive: true })).every((name) => !/[^/]{36}\.json$/u.test(name)),
  );
  before = await scrape(proxy.metricsUrl);
}

test('an upload that is given up is aborted twice, and that it is gone by then is no error of the backend', async () => {
  const aborts = () => backend.seen.filter(({ operation }) => operation === 'AbortMultipartUpload').length;
  await waitForOlderAborts();
  const asked = aborts();
  // As Amazon S3 does; MinIO says 204 whenever it is asked.
  backend.setFault(({ operation, attempt }) =>
    operation === 'AbortMultipartUpload' && attempt > 1
      ? { kind: 'answer', status: 404, code: 'NoSuchUpload' }
      : undefined,
  );
  const connection = await beginUpload('gone', 6 * MiB);
  connection.destroy();
  await waitFor(async () => aborts() - asked === 2);
  const idle = async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_backend_requests_in_flight');
  await waitFor(async () => (await idle()) === 0);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,client_gone}': 1,
    'client_disconnects{uploads}': 1,
    'auth_requests{uploads,jwt,success}': 1,
    'multipart_uploads{uploads,started}': 1,
    'multipart_uploads{uploads,aborted}': 1,
  });
});

test('the second abort fails, and is made again until the backend lets it', async () => {
  await waitForOlderAborts();
  backend.setFault(({ operation, attempt }) =>
    operation === 'AbortMultipartUpload' && (attempt === 2 || attempt === 3)
      ? { kind: 'answer', status: 500, code: 'InternalError' }
      : undefined,
  );
  const connection = await beginUpload('second', 6 * MiB);
  connection.destroy();
  await waitFor(async () => (await growth('mizuchi_multipart_abort_failures_total')) === 2);
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_aborts_pending') === 0);
  expect(await grown()).toEqual({
    'uploads{uploads,PutObject,client_gone}': 1,
    'client_disconnects{uploads}': 1,
    'auth_requests{uploads,jwt,success}': 1,
    'multipart_uploads{uploads,started}': 1,
    'multipart_uploads{uploads,aborted}': 1,
    'multipart_abort_failures{uploads}': 2,
    'backend_errors{uploads,ServiceUnavailable}': 2,
    'backend_retries{uploads,AbortMultipartUpload}': 2,
  });
});

test('decisions: asked, remembered, refused, and not to be had', async () => {
  for (const _ of [1, 2]) expect(await put('/policed/a')).toBe(200);
  expect((await send('PUT', '/policed/a', await as({ sub: 'mallory' }), 'x')).status).toBe(403);
  expect(await put('/trusting/a')).toBe(200);
  expect(await grown()).toEqual({
    'uploads{policed,PutObject,success}': 2,
    'uploads{policed,PutObject,refused}': 1,
    'uploads{trusting,PutObject,success}': 1,
    'auth_requests{policed,jwt,success}': 3,
    'auth_requests{trusting,jwt,success}': 1,
    'authz_decisions{policed,opa,allow,false}': 1,
    'authz_decisions{policed,opa,allow,true}': 1,
    'authz_decisions{policed,opa,deny,false}': 1,
    'authz_engine_errors{trusting,opa}': 1,
    'authz_failed_open{trusting,opa}': 1,
    'errors{policed,AccessDenied}': 1,
  });
  expect(await growth('mizuchi_authz_duration_seconds_count', { bucket: 'policed' })).toBe(3);
  expect(await growth('mizuchi_authz_engine_duration_seconds_count', { bucket: 'policed' })).toBe(2);
});

test('an identity provider whose keys are had, and then not', async () => {
  const fetches = 'mizuchi_jwks_fetches_total';
  const age = async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_jwks_age_seconds', { bucket: 'keyed' });
  const use = async () => (await send('PUT', '/keyed/a', { authorization: `Bearer ${providerToken}` }, 'x')).status;
  await waitFor(async () => {
    expect(await use()).toBe(200);
    return (await growth(fetches, { bucket: 'keyed', result: 'success' })) >= 1;
  });
  identityProvider.setAnswer(answerWith(500, {}));
  await waitFor(async () => {
    expect(await use()).toBe(200);
    return (await growth(fetches, { bucket: 'keyed', result: 'failure' })) >= 2;
  });
  const old = await age();
  expect(old).toBeGreaterThan(0.5);
  await waitFor(async () => (await age()) > old);
});

test('an identity provider that is away: it is not the token that is wrong', async () => {
  const authorization = `Bearer ${providerToken}`;
  expect((await send('PUT', '/keyless/a', { authorization }, 'x')).status).toBe(503);
  expect(await grown()).toMatchObject({
    'uploads{keyless,PutObject,failure}': 1,
    'auth_requests{keyless,jwt,unavailable}': 1,
    'errors{keyless,ServiceUnavailable}': 1,
  });
});

const gauge = async (name: string): Promise<number> => (await scrape(proxy.metricsUrl)).sum(name);

/** Has an upload in every slot, and one that waits for one. */
async function fillSlots(): Promise<{ readonly holding: readonly RawConnection[]; readonly last: RawConnection }> {
  const holding = await Promise.all(
    Array.from({ length: maxConcurrentUploads }, (_, index) => sendHead(`slots/${index}`, 'Content-Length: 1')),
  );
  await waitFor(async () => (await gauge('mizuchi_uploads_in_flight')) === maxConcurrentUploads);
  const last = await sendHead('slots/last', 'Content-Length: 1');
  await waitFor(async () => (await gauge('mizuchi_uploads_queued')) === 1);
  return { holding, last };
}

test('connections, and uploads that wait for a slot', async () => {
  await waitFor(async () => (await gauge('mizuchi_connections')) === 0);
  const { holding: first, last } = await fillSlots();
  expect(await gauge('mizuchi_uploads_in_flight')).toBe(maxConcurrentUploads);
  expect(await gauge('mizuchi_requests_in_flight')).toBe(maxConcurrentUploads + 1);
  expect(await gauge('mizuchi_connections')).toBe(maxConcurrentUploads + 1);
  for (const connection of [...first, last]) await connection.write('x');
  for (const connection of [...first, last]) {
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
  }
  expect(await gauge('mizuchi_uploads_queued')).toBe(0);
  expect(await growth('mizuchi_wait_seconds_total', { bucket: 'uploads', reason: 'slot' })).toBeGreaterThan(0);
  await waitFor(async () => (await gauge('mizuchi_connections')) === 0);
});

test('an upload that leaves while it waits for a slot', async () => {
  const { holding, last } = await fillSlots();
  await new Promise((resolve) => setTimeout(resolve, 300));
  last.destroy();
  await waitFor(async () => (await gauge('mizuchi_uploads_queued')) === 0);
  expect(await growth('mizuchi_wait_seconds_total', { bucket: 'uploads', reason: 'slot' })).toBeGreaterThan(0.25);
  for (const connection of holding) {
    await connection.write('x');
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
  }
  await waitFor(async () => (await gauge('mizuchi_connections')) === 0);
});

test('bodies that wait for memory', async () => {
  const first = await sendHead('unknown/first', 'Transfer-Encoding: chunked');
  await first.write(`${MiB.toString(16)}\r\n${'x'.repeat(MiB)}\r\n`);
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_memory_reserved_bytes') >= 5 * MiB);
  await first.write('0\r\n\r\n');
  expect((await first.readAnswer()).status).toBe(200);

  const bodies = Array.from({ length: 8 }, (_, index) =>
    put(`/uploads/unknown/${index}`, [Buffer.alloc(9 * MiB, index)]),
  );
  expect(await Promise.all(bodies)).toEqual(bodies.map(() => 200));
  const after = await scrape(proxy.metricsUrl);
  expect(after.sum('mizuchi_memory_waits_total')).toBeGreaterThan(0);
  const waitedSeconds = await growth('mizuchi_memory_wait_seconds_total');
  expect(waitedSeconds).toBeGreaterThan(0);
  // Most of it before anything was asked of the backend: that too was not the client's.
  const told = await growth('mizuchi_wait_seconds_total', { bucket: 'uploads', reason: 'memory' });
  expect(told).toBeGreaterThan(waitedSeconds / 2);
  expect(after.sum('mizuchi_memory_budget_bytes')).toBe(32 * MiB);
  expect(after.sum('mizuchi_memory_reserved_bytes')).toBe(0);
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_memory_lent_bytes') === 0);
});

test('a journal that cannot be written is counted, and the upload goes on', async () => {
  const [journal = ''] = await readdir(path.join(folder, 'state/open-uploads'));
  const there = path.join(folder, 'state/open-uploads', journal);
  await rename(there, `${there}-away`);
  expect(await put('/uploads/unwritten', Buffer.alloc(6 * MiB))).toBe(200);
  await rename(`${there}-away`, there);
  expect(await grown()).toMatchObject({ 'uploads{uploads,PutObject,success}': 1, 'journal_failures{}': 1 });
});

test('what is written is in order for promtool, and holds nothing of the clients', async () => {
  const { text } = await scrape(proxy.metricsUrl);
  expect(await runPromtool(['check', 'metrics'], { stdin: text })).toEqual({ code: 0, output: '' });
  expect(text).not.toMatch(/tester|mallory|alice|AKID|retried|unknown\/|Bearer/u);
});

test('every metric, label and value that dashboard and alerts name is in the scrape', async () => {
  const { samples } = await scrape(proxy.metricsUrl);
  const expressions = [...dashboardExpressions(), ...alertExpressions()];
  expect(expressions.length).toBeGreaterThan(50);
  // What Prometheus adds by itself.
  const added = { job: 'mizuchi-uploadr', instance: 'proxy:9090' };
  const missing = expressions.flatMap(({ of, text }) => {
    const selectors = selectorsOf(text);
    const absent = selectors.filter(
      ({ metric, matchers }) =>
        !samples.some(
          (sample) =>
            sample.name === metric &&
            matchers.every(({ label, isEqual, value }) => {
              const given: string | undefined = { ...added, ...sample.labels }[label];
              return given !== undefined && value.test(given) === isEqual;
            }),
        ),
    );
    const ofMetrics = new Set(selectors.map(({ metric }) => metric));
    const labels = new Set(samples.filter(({ name }) => ofMetrics.has(name)).flatMap((one) => Object.keys(one.labels)));
    const unknown = groupLabelsOf(text).filter((label) => !labels.has(label) && !(label in added));
    return [...absent.map(({ metric }) => `${of}: ${metric}`), ...unknown.map((label) => `${of}: by ${label}`)];
  });
  expect(missing).toEqual([]);
});

test('every metric that the README names is in the scrape', async () => {
  const { text } = await scrape(proxy.metricsUrl);
  const inScrape = new Set(Array.from(text.matchAll(/^# TYPE (?<name>\w+) /gmu), ({ groups }) => groups?.['name']));
  const readme = await readFile(path.join(observabilityFolder, '../../README.md'), 'utf8');
  const named = selectorsOf(readme).map(({ metric }) => metric);
  expect(named.length).toBeGreaterThan(inScrape.size / 2);
  expect(named.filter((name) => !inScrape.has(name))).toEqual([]);
});

test('every expression of the dashboard is PromQL', async () => {
  const rules = dashboardExpressions().map(({ text }, index) => ({ record: `panel:${index}`, expr: text }));
  await writeFile(path.join(folder, 'panels.yml'), stringify({ groups: [{ name: 'panels', rules }] }));
  const { code, output } = await runPromtool(['check', 'rules', '--lint=none', path.join(folder, 'panels.yml')]);
  expect(output).toContain(`${rules.length} rules found`);
  expect(code).toBe(0);
});

test('kill -9 in the middle: the next process sweeps, and says so', async () => {
  const connection = await openRawConnection(proxy.url);
  const fields = ['Host: a', `Authorization: ${(await as()).authorization}`, `Content-Length: ${30 * MiB}`];
  await connection.write(`PUT /uploads/crash HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await connection.write(Buffer.alloc(12 * MiB, 1));
  await waitFor(async () => (await stored.listOpenUploads('crash')).length === 1);
  await proxy.kill9();
  await connection.closed;
  // The backend takes no abort at first.
  backend.setFault(({ operation }) =>
    operation === 'AbortMultipartUpload' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined,
  );
  proxy = await startDayProxy();
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_abort_failures_total') === 1);
  expect((await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_uploads_abandoned')).toBe(1);
  backend.setFault(() => undefined);
  await proxy.kill9();
  proxy = await startDayProxy();
  const swept = { bucket: 'uploads', status: 'swept' };
  await waitFor(async () => (await scrape(proxy.metricsUrl)).sum('mizuchi_multipart_uploads_total', swept) === 1);
  const after = await scrape(proxy.metricsUrl);
  expect(after.sum('mizuchi_multipart_uploads_abandoned')).toBe(0);
  expect(after.sum('mizuchi_multipart_abort_failures_total')).toBe(0);
  expect(await stored.listOpenUploads()).toEqual([]);
});
