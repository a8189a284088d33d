// What lies behind the proxy: its errors, its redirects and the lack of credentials for it reach no client, and no request
// goes anywhere unsigned.
import { generateKeyPairSync } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../servers/free-port.ts';
import { startMinio } from '../../servers/start-minio.ts';
import type { S3Server } from '../../servers/start-s3-server.ts';
import { answeredCode } from '../../support/answered-code.ts';
import { answerWith, passOnTo, startRecorder, type Recorder } from '../../support/recorder.ts';
import { createBucket, type BucketView } from '../../support/s3-client.ts';
import { sendRequest, type Answer } from '../../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../../support/start-proxy.ts';
import { waitFor } from '../../support/wait-for.ts';

const backendBucket = 'hidden-store';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

let server: S3Server;
let stored: BucketView;
/** Before the real store. */
let backend: Recorder;
/** Before the same store, until it is stopped. */
let dying: Recorder;
/** Where redirects lead: it would take everything. */
let elsewhere: Recorder;
let provider: Recorder;
let proxy: RunningProxy;
let authorization: string;

/** Like the real thing as long as the proxy asks whether it is there. */
const readyOr = (answer: RequestListener): RequestListener => {
  const ready = answerWith(200, {});
  return (request, response) => (request.method === 'HEAD' ? ready : answer)(request, response);
};

beforeAll(async () => {
  server = await startMinio();
  stored = await createBucket(server, backendBucket);
  backend = await startRecorder(readyOr(passOnTo(server)));
  dying = await startRecorder(passOnTo(server));
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'elsewhere', alg: 'RS256' }];
  elsewhere = await startRecorder(answerWith(200, { etag: '"a"' }, JSON.stringify({ keys })));
  provider = await startRecorder(answerWith(500, {}));
  const auth = { jwt: { secret: jwtSecret } };
  const upload = { multipart_threshold: 5 * 1024 * 1024, part_size: 5 * 1024 * 1024, retry: { max_attempts: 1 } };
  const keyPair = { access_key: server.accessKey, secret_key: server.secretKey };
  const bucket = (name: string, s3: object): object => ({ name, s3: { bucket: backendBucket, ...s3 }, auth, upload });
  const { endpoint } = backend;
  proxy = await startProxy({
    config: {
      buckets: [
        bucket('good', { endpoint, ...keyPair }),
        bucket('wrong-secret', { endpoint, access_key: server.accessKey, secret_key: 'hidden-secret-of-nobody' }),
        bucket('wrong-key', { endpoint, access_key: 'hidden-access-key', secret_key: 'hidden-secret-of-nobody' }),
        bucket('missing', { endpoint, ...keyPair, bucket: 'hidden-missing' }),
        bucket('dying', { endpoint: dying.endpoint, ...keyPair }),
        // A pattern: the proxy does not ask beforehand whether such a backend is there.
        { name: 'down-*', s3: { endpoint: `http://127.0.0.1:${await freePort()}`, ...keyPair }, auth, upload },
        { name: 'nameless-*', s3: { endpoint: 'http://hidden.invalid', ...keyPair }, auth, upload },
        { name: 'plain-*', s3: { endpoint: endpoint.replace('http:', 'https:'), ...keyPair }, auth, upload },
        { name: 'chain-*', s3: { endpoint }, auth, upload },
        {
          name: 'redirected',
          filesystem: { root: './data' },
          auth: { jwt: { algorithm: 'RS256', jwks_url: `${provider.endpoint}/jwks`, cooldown_seconds: 0.1 } },
        },
      ],
    },
  });
  authorization = `Bearer ${await createToken()}`;
});
afterAll(async () => {
  await proxy.stop();
  await Promise.all([backend, dying, elsewhere, provider].map((recorder) => recorder.stop()));
  await server.stop();
});

const part = '<Part><PartNumber>1</PartNumber><ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag></Part>';
const operations: readonly (readonly [method: string, query: string, body: string | Iterable<Uint8Array>])[] = [
  ['PUT', '', 'hello'],
  ['PUT', '', [Buffer.alloc(6 * 1024 * 1024)]],
  ['POST', '?uploads', ''],
  ['PUT', '?partNumber=1&uploadId=x', 'hello'],
  ['POST', '?uploadId=x', `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`],
  ['DELETE', '?uploadId=x', ''],
  ['GET', '?uploadId=x', ''],
];
const send = (bucket: string, method: string, query: string, body: string | Iterable<Uint8Array>): Promise<Answer> =>
  sendRequest({ url: proxy.url, method, path: `/${bucket}/key${query}`, headers: { authorization }, body });
const sendAll = (bucket: string): Promise<Answer[]> =>
  Promise.all(operations.map(([method, query, body]) => send(bucket, method, query, body)));

/** Nothing of the backend, of the way to it, or of the program. */
function seeNothingOfBackend({ status, headers, body }: Answer): void {
  const text = JSON.stringify({ headers, body });
  for (const { port } of [backend, dying, elsewhere, provider, server]) expect(text).not.toContain(String(port));
  expect(text).not.toMatch(
    /hidden|127\.0\.0\.1|mizuchi-test|minio|arn:|aws|ECONN|ENOTFOUND|EPROTO|node_modules|\bat .*:\d/iu,
  );
  for (const name of ['location', 'server', 'x-amz-id-2', 'x-amz-bucket-region', 'x-minio-error']) {
    expect(headers[name]).toBeUndefined();
  }
  if (status >= 400) expect(body).toMatch(/^<\?xml [^>]*>\s*<Error><Code>\w+<\/Code><Message>[^<]+<\/Message>/u);
}

describe('errors of the backend are not the client’s', () => {
  test.each([
    ['wrong-secret', '500 InternalError'],
    ['wrong-key', '500 InternalError'],
    // MinIO looks for an upload before it looks for its bucket.
    ['missing', '500 InternalError', '404 NoSuchUpload'],
    ['down-a', '503 ServiceUnavailable'],
    ['nameless-a', '503 ServiceUnavailable'],
    ['plain-a', '503 ServiceUnavailable'],
  ])('%s', async (bucket, ...expected) => {
    for (const answer of await sendAll(bucket)) {
      expect(expected).toContain(`${answer.status} ${answeredCode(answer)}`);
      seeNothingOfBackend(answer);
    }
  });

  const telling = {
    server: 'hidden/1.0',
    'x-amz-id-2': 'hidden',
    'x-amz-request-id': 'hidden',
    'x-minio-error-code': 'hidden',
    'x-amz-bucket-region': 'hidden',
    'content-type': 'application/xml',
  };
  const xml = (code: string): string =>
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>User: arn:aws:iam::1:user/hidden may not PutObject on arn:aws:s3:::${backendBucket}/key</Message><BucketName>${backendBucket}</BucketName><Resource>/${backendBucket}/key</Resource><AWSAccessKeyId>hidden</AWSAccessKeyId><StringToSign>hidden</StringToSign><HostId>hidden</HostId><RequestId>hidden</RequestId></Error>`;
  const stack = 'Error: hidden\n    at Object.<anonymous> (/srv/hidden/app.js:1:1)';
  test.each<readonly [string, RequestListener]>([
    ['a refusal', answerWith(403, telling, xml('AccessDenied'))],
    ['a refusal with a code of its own', answerWith(400, telling, xml('XMinioHiddenFault'))],
    ['a signature that it does not like', answerWith(403, telling, xml('SignatureDoesNotMatch'))],
    ['a bucket that it does not know', answerWith(404, telling, xml('NoSuchBucket'))],
    ['a code that is no code', answerWith(400, telling, xml('hidden words; of 127.0.0.1'))],
    ['a fault', answerWith(500, telling, xml('InternalError'))],
    ['a page with a stack', answerWith(502, { server: 'hidden' }, `<html>${stack}</html>`)],
    ['a stack and no status of a fault', answerWith(200, { server: 'hidden' }, stack)],
    ['a fault in a success', answerWith(200, telling, xml('InternalError'))],
    ['no HTTP', (request) => request.socket.end(`hidden ${stack}\r\n\r\n`)],
    ['nothing', (request) => request.socket.resetAndDestroy()],
    [
      'half',
      (request, response) =>
        response.writeHead(200, { 'content-length': '9' }).write('hid', () => request.socket.destroy()),
    ],
  ])('%s', async (_, answer) => {
    backend.setAnswer(readyOr(answer));
    const answers = await sendAll('good');
    backend.setAnswer(readyOr(passOnTo(server)));
    for (const one of answers) seeNothingOfBackend(one);
    // Of these only the abort of an upload needs no more than a status.
    expect(answers.filter(({ status }) => status < 400 && status !== 204)).toEqual([]);
  });

  test('a backend that goes away', async () => {
    expect((await send('dying', 'PUT', '', 'hello')).status).toBe(200);
    await dying.stop();
    for (const answer of await sendAll('dying')) {
      expect(answer.status).toBe(503);
      seeNothingOfBackend(answer);
    }
    const asked: Answer[] = [];
    await waitFor(async () => {
      asked.push(await sendRequest({ url: proxy.url, method: 'GET', path: '/ready' }));
      return asked.at(-1)?.status === 503;
    });
    expect(JSON.stringify(asked)).toContain('dying');
    expect(JSON.stringify(asked)).not.toMatch(new RegExp(`hidden|${dying.port}|ECONN`, 'u'));
  });
});

describe('every request to the backend is signed', () => {
  test('whatever is asked', async () => {
    backend.seen.length = 0;
    const created = await send('good', 'POST', '?uploads', '');
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
    for (const query of [`?partNumber=1&uploadId=${uploadId}`, '']) {
      expect((await send('good', 'PUT', query, 'hello')).status).toBe(200);
    }
    expect((await send('good', 'PUT', '', [Buffer.alloc(6 * 1024 * 1024)])).status).toBe(200);
    const spoilt = { authorization, 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' };
    await sendRequest({
      url: proxy.url,
      method: 'PUT',
      path: '/good/key',
      headers: spoilt,
      body: [Buffer.alloc(6 * 1024 * 1024)],
    });
    await send('good', 'DELETE', `?uploadId=${uploadId}`, '');
    expect(await stored.listOpenUploads()).toEqual([]);
    await sendAll('good');
    await sendRequest({ url: proxy.url, method: 'GET', path: '/ready' });
    expect(new Set(backend.seen.map(({ method }) => method))).toEqual(
      new Set(['PUT', 'POST', 'DELETE', 'GET', 'HEAD']),
    );
    const scope = new RegExp(
      `^AWS4-HMAC-SHA256 Credential=${server.accessKey}/\\d{8}/us-east-1/s3/aws4_request, ?SignedHeaders=[^,]*host[^,]*, ?Signature=[0-9a-f]{64}$`,
      'u',
    );
    for (const { head, authorization: given } of backend.seen)
      expect([head, given]).toEqual([head, expect.stringMatching(scope)]);
    // And by nothing that the client has sent.
    for (const { head } of backend.seen) expect(head).not.toMatch(/bearer|eyJ/iu);
  });

  test('without credentials nothing is asked', async () => {
    backend.seen.length = 0;
    const answers = await sendAll('chain-a');
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    for (const answer of answers) seeNothingOfBackend(answer);
    expect(backend.seen.filter(({ target }) => target.includes('chain-a'))).toEqual([]);
    expect(backend.seen.filter(({ authorization: given }) => given === undefined)).toEqual([]);
  });
});

describe('redirects are not followed', () => {
  const statuses = [301, 302, 303, 307, 308];

  test.each(statuses)('%i of the backend', async (status) => {
    const location = `${elsewhere.endpoint}/${backendBucket}/key`;
    const body = `<Error><Code>PermanentRedirect</Code><Message>use ${location}</Message><Endpoint>${new URL(location).host}</Endpoint><Bucket>${backendBucket}</Bucket></Error>`;
    backend.setAnswer(
      answerWith(status, { location, 'x-amz-bucket-region': 'eu-west-1', 'content-type': 'application/xml' }, body),
    );
    backend.seen.length = 0;
    const answers = await sendAll('good');
    const ready = await sendRequest({ url: proxy.url, method: 'GET', path: '/ready' });
    backend.setAnswer(readyOr(passOnTo(server)));
    for (const answer of answers) {
      expect([answer.status, answer.body]).toEqual([500, expect.stringContaining('<Code>InternalError</Code>')]);
      seeNothingOfBackend(answer);
    }
    expect(JSON.stringify(ready)).not.toContain(String(elsewhere.port));
    expect(backend.seen.filter(({ method }) => method !== 'HEAD')).toHaveLength(operations.length);
    expect(elsewhere.seen).toEqual([]);
  });

  test.each(statuses)('%i of the identity provider', async (status) => {
    provider.setAnswer(answerWith(status, { location: `${elsewhere.endpoint}/jwks` }));
    provider.seen.length = 0;
    const token = await new SignJWT({ sub: 'mallory' })
      .setProtectedHeader({ alg: 'RS256', kid: 'elsewhere' })
      .setExpirationTime('1h')
      .sign(privateKey);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const answer = await sendRequest({
      url: proxy.url,
      method: 'PUT',
      path: '/redirected/key',
      headers: { authorization: `Bearer ${token}` },
      body: 'x',
    });
    expect([answer.status, answer.body]).toEqual([503, expect.stringContaining('<Code>ServiceUnavailable</Code>')]);
    seeNothingOfBackend(answer);
    expect(provider.seen.length).toBeGreaterThan(0);
    expect(elsewhere.seen).toEqual([]);
  });
});
