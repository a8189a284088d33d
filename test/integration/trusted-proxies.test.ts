// What proxies in front say of the client is believed when they are trusted, and only then.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRequestSigner } from '../../src/storage/s3/sign-request.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';

const accessKey = 'AKIAIOSFODNN7EXAMPLE';
const secretKey = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0YaEq2Rt';
const onDisk = (name: string, auth: object): object => ({ name, filesystem: { root: './objects' }, auth });
const buckets = [
  onDisk('uploads', { jwt: { secret: jwtSecret } }),
  onDisk('signed', { sigv4: { access_key: accessKey, secret_key: secretKey } }),
];
const start = (trusted: readonly string[]): Promise<RunningProxy> =>
  startProxy({ config: { server: { trusted_proxies: trusted }, buckets } });

let trusting: RunningProxy;
let wary: RunningProxy;
let token: string;
beforeAll(async () => {
  token = await createToken();
  [trusting, wary] = await Promise.all([start(['::1', '127.0.0.0/8']), start(['192.0.2.0/24', '::/0'])]);
});
afterAll(() => Promise.all([trusting.stop(), wary.stop()]));

type Fields = Readonly<Record<string, string>>;

const send = (proxy: RunningProxy, method: string, query: string, headers: Fields, body = ''): Promise<Answer> =>
  sendRequest({
    url: proxy.url,
    method,
    path: `/uploads/a%20key${query}`,
    headers: { authorization: `Bearer ${token}`, ...headers },
    body,
  });

/** The Location that the client is told when its multipart upload is complete. */
async function locationFrom(proxy: RunningProxy, headers: Fields): Promise<string | undefined> {
  const created = await send(proxy, 'POST', '?uploads', {});
  const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
  const part = await send(proxy, 'PUT', `?partNumber=1&uploadId=${uploadId}`, {}, 'hello');
  const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag ?? ''}</ETag></Part></CompleteMultipartUpload>`;
  const completed = await send(proxy, 'POST', `?uploadId=${uploadId}`, headers, xml);
  expect(completed.status).toBe(200);
  return /<Location>(?<location>[^<]*)/u.exec(completed.body)?.groups?.['location'];
}

const claims = { 'x-forwarded-host': 'files.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' };

describe('a peer that is trusted', () => {
  test('its host and scheme are the client’s view of the proxy', async () => {
    expect(await locationFrom(trusting, claims)).toBe('https://files.example/uploads/a%20key');
  });

  test('of a list the last holds, which it has written itself', async () => {
    const headers = { 'x-forwarded-host': 'evil.example, files.example:8443', 'x-forwarded-proto': 'http, https' };
    expect(await locationFrom(trusting, headers)).toBe('https://files.example:8443/uploads/a%20key');
  });

  test.each<readonly [string, Fields]>([
    ['nothing is said', {}],
    ['what is said is no host and no scheme', { 'x-forwarded-host': 'a.example/b', 'x-forwarded-proto': 'gopher' }],
  ])('%s: the connection itself tells', async (_, headers) => {
    expect(await locationFrom(trusting, { host: 'proxy.example:81', ...headers })).toBe(
      'http://proxy.example:81/uploads/a%20key',
    );
  });
});

test('a peer that is not trusted is not believed', async () => {
  expect(await locationFrom(wary, { host: 'proxy.example', ...claims })).toBe('http://proxy.example/uploads/a%20key');
});

test('a host that a trusted proxy names does not excuse a head without Host', async () => {
  const connection = await openRawConnection(trusting.url);
  const fields = [`Authorization: Bearer ${token}`, 'X-Forwarded-Host: files.example', 'Content-Length: 1'];
  await connection.write(`PUT /uploads/k HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\nx`);
  expect((await connection.readAnswer()).status).toBe(400);
  connection.destroy();
});

describe('a signature covers the host that the client addressed', () => {
  const sign = createRequestSigner('us-east-1');

  /** A PUT that was signed for `files.example`, sent to the proxy by its own name. */
  async function putSigned(proxy: RunningProxy, headers: Fields): Promise<number> {
    const path = '/signed/a%20key';
    const request = { method: 'PUT', path, query: '', host: 'files.example', payloadHash: 'UNSIGNED-PAYLOAD' };
    const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const lines = sign({ ...request, headers: new Map() }, credentials, Date.now())
      .trimEnd()
      .split('\r\n');
    const fields = lines.map((line) => line.split(': ', 2)).filter(([name]) => name !== 'host');
    const answer = await sendRequest({
      url: proxy.url,
      method: 'PUT',
      path,
      headers: { ...Object.fromEntries(fields), ...headers },
      body: 'hello',
    });
    return answer.status;
  }

  test('which a trusted proxy has to say', async () => {
    expect(await putSigned(trusting, { 'x-forwarded-host': 'files.example' })).toBe(200);
    expect(await putSigned(trusting, { host: 'files.example' })).toBe(200);
    expect(await putSigned(trusting, {})).toBe(403);
    expect(await putSigned(trusting, { host: 'files.example', 'x-forwarded-host': 'other.example' })).toBe(403);
  });

  test('and nobody else can', async () => {
    expect(await putSigned(wary, { 'x-forwarded-host': 'files.example' })).toBe(403);
    expect(await putSigned(wary, { host: 'files.example', 'x-forwarded-host': 'other.example' })).toBe(200);
  });
});
