// What the proxy says of itself and of its buckets, without touching an object.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { answeredCode } from '../support/answered-code.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy } from '../support/start-proxy.ts';

let bucket: ProxiedBucket;
beforeAll(async () => {
  bucket = await startProxiedBucket({ start: startMinio });
});
afterAll(() => bucket.stop());

const ask = (method: string, path: string): Promise<Answer> => sendRequest({ url: bucket.proxy.url, method, path });

test.each(['/health', '/ready', '/'])('GET %s: JSON without credentials', async (path) => {
  const answer = await ask('GET', path);
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toMatch(/^application\/json/u);
  expect(JSON.parse(answer.body)).toBeTypeOf('object');
  expect(answer.body).not.toContain(bucket.stored.bucket);
  expect(answer.headers['x-amz-request-id']).toBeTruthy();
});

test.each([
  ['by its query', '/?x-id=ListBuckets', {}],
  ['by its signature', '/', { authorization: 'AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=a' }],
  ['by an old signature', '/', { authorization: 'AWS AKID:a' }],
])('who asks for all buckets, %s, is refused', async (_, path, headers: Record<string, string>) => {
  const answer = await sendRequest({ url: bucket.proxy.url, method: 'GET', path, headers });
  expect([answer.status, answeredCode(answer)]).toEqual([405, 'MethodNotAllowed']);
});

test('whoever has a token may ask what this is all the same', async () => {
  expect((await bucket.send({ method: 'GET', path: '/' })).status).toBe(200);
});

test.each([
  ['HEAD', '/uploads'],
  ['HEAD', '/uploads/'],
  ['GET', '/uploads?location'],
])('%s %s: 200 with a token, 401 without', async (method, path) => {
  const answer = await bucket.send({ method, path });
  expect(answer.status).toBe(200);
  expect(answer.headers['x-amz-request-id']).toBeTruthy();
  expect((await ask(method, path)).status).toBe(401);
});

test('every request has an id of its own, also those that succeed', async () => {
  const answers = await Promise.all(['a', 'b', 'c'].map((key) => bucket.put(key, key)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(new Set(answers.map(({ headers }) => headers['x-amz-request-id'])).size).toBe(3);
});

test('a bucket that a pattern lets through and the backend does not have: 404', async () => {
  const { endpoint, accessKey, secretKey, region } = bucket.server;
  const s3 = { region, endpoint, access_key: accessKey, secret_key: secretKey };
  const proxy = await startProxy({
    config: { buckets: [{ name: 'team-*', s3, auth: { jwt: { secret: jwtSecret } } }] },
  });
  const headers = { authorization: `Bearer ${await createToken()}` };
  for (const body of [Buffer.from('one PUT'), Buffer.alloc(60 * 1024 * 1024)]) {
    const answer = await sendRequest({ url: proxy.url, method: 'PUT', path: '/team-nobody/key', headers, body });
    expect(answer.status).toBe(404);
    expect(answer.body).toContain('<Code>NoSuchBucket</Code>');
  }
  await proxy.stop();
});
