// Uploads that are signed as S3 clients sign them, in every form of payload, into a real store and read back.
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import {
  crc32Base64,
  payloadModes,
  presignS3Url,
  sha256Hex,
  signS3Request,
  type ClientCredential,
  type RequestToSign,
} from '../support/sign-s3-request.ts';
import { jwtSecret, startProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const credential: ClientCredential = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-key-of-alice-1234',
  region: 'eu-central-1',
};
const mib = 1024 * 1024;

let bucket: ProxiedBucket;
let host: string;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    upload: { multipart_threshold: 12 * mib, part_size: 5 * mib },
    auth: {
      jwt: { algorithm: 'HS256', secret: jwtSecret },
      sigv4: {
        credentials: [{ access_key: credential.accessKey, secret_key: credential.secretKey, subject: 'alice' }],
        region: credential.region,
      },
    },
  });
  host = new URL(bucket.proxy.url).host;
});
afterAll(() => bucket.stop());

type Signed = Pick<RequestToSign, 'mode'> & Partial<RequestToSign>;

function sendSigned({ body = Buffer.alloc(0), method = 'PUT', path = '/uploads/x', ...rest }: Signed): Promise<Answer> {
  const signed = signS3Request({ credential, host, method, path, body, ...rest });
  const target = rest.query === undefined ? path : `${path}?${rest.query}`;
  return sendRequest({ url: bucket.proxy.url, method, path: target, headers: signed.headers, body: signed.body });
}

const codeOf = ({ body }: Answer): string => /<Code>(?<code>\w+)<\/Code>/u.exec(body)?.groups?.['code'] ?? body;
const bytesOf = (seed: string, sizeBytes: number): Buffer => createRandomBody(seed, sizeBytes).bytes();

describe.each(payloadModes)('%s', (mode) => {
  test.each([0, 1, 65_536, 3 * mib + 17, 13 * mib])('a body of %i bytes comes back as it was', async (sizeBytes) => {
    const body = bytesOf(`${mode} ${sizeBytes}`, sizeBytes);
    const key = `${mode}/${sizeBytes}`;
    const answer = await sendSigned({ mode, path: `/uploads/${key}`, body });
    expect([answer.status, answer.body]).toEqual([200, '']);
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: sha256Hex(body), size: sizeBytes });
  });

  test('content type, encoding and metadata are stored, and nothing of the framing', async () => {
    const headers = {
      'content-type': 'text/csv',
      'content-encoding': mode.startsWith('STREAMING-') ? 'aws-chunked,gzip' : 'gzip',
      'x-amz-meta-from': 'a  test',
    };
    const path = `/uploads/${mode}/fields`;
    expect(await sendSigned({ mode, path, headers, body: Buffer.from('abc') })).toMatchObject({ status: 200 });
    const stored = await bucket.stored.head(`${mode}/fields`);
    expect(stored).toMatchObject({ ContentType: 'text/csv', ContentEncoding: 'gzip', Metadata: { from: 'a  test' } });
  });

  test('a part of a multipart upload, from creation to completion', async () => {
    const key = `${mode}/multi`;
    const path = `/uploads/${key}`;
    const created = await sendSigned({ mode: 'sha256', method: 'POST', path, query: 'uploads=' });
    const uploadId = /<UploadId>(?<id>[^<]+)</u.exec(created.body)?.groups?.['id'] ?? '';
    const body = bytesOf(key, 6 * mib);
    const query = `partNumber=1&uploadId=${encodeURIComponent(uploadId)}`;
    const part = await sendSigned({ mode, path, query, body });
    expect(part.status).toBe(200);
    const listed = await sendSigned({
      mode: 'sha256',
      method: 'GET',
      path,
      query: query.slice('partNumber=1&'.length),
    });
    expect(listed.body).toContain(`<Size>${body.length}</Size>`);
    const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const completed = await sendSigned({
      mode: 'sha256',
      method: 'POST',
      path,
      query: query.slice('partNumber=1&'.length),
      body: Buffer.from(xml),
    });
    expect(completed.status).toBe(200);
    expect(await bucket.stored.readHash(key)).toEqual({ sha256: sha256Hex(body), size: body.length });
  });

  test('a secret that is not the right one stores nothing', async () => {
    const wrong = { ...credential, secretKey: 'some-other-secret-key-1234' };
    const answer = await sendSigned({ mode, path: '/uploads/refused', credential: wrong, body: bytesOf('x', 100_000) });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await bucket.stored.listKeys('refused')).toEqual([]);
  });
});

test('framing is told by x-amz-content-sha256 alone, and not by a content coding', async () => {
  const body = Buffer.from('5\r\nhello\r\n0\r\n\r\n');
  const headers = { 'content-encoding': 'aws-chunked', 'content-length': String(body.length) };
  for (const mode of ['UNSIGNED-PAYLOAD', 'sha256'] as const) {
    const answer = await sendSigned({ mode, path: `/uploads/unframed/${mode}`, headers, body });
    expect([answer.status, answer.body]).toEqual([200, '']);
    expect((await bucket.stored.readBytes(`unframed/${mode}`)).equals(body)).toBe(true);
  }
});

describe('checksums behind the body', () => {
  test.each([10, 300_000, 6 * mib])('are stored with an object of %i bytes', async (sizeBytes) => {
    const body = bytesOf('trailed', sizeBytes);
    const path = '/uploads/trailed';
    const answer = await sendSigned({ mode: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', path, body });
    expect(answer.headers['x-amz-checksum-crc32']).toBe(crc32Base64(body));
    expect((await bucket.stored.head('trailed')).ChecksumCRC32).toBe(crc32Base64(body));
  });

  test.each([10, 300_000, 13 * mib])('that are wrong refuse a body of %i bytes', async (sizeBytes) => {
    const body = bytesOf('untrue', sizeBytes);
    const path = '/uploads/untrue';
    const signed = signS3Request({
      credential,
      host,
      method: 'PUT',
      path,
      body,
      mode: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    });
    const spoilt = Buffer.from(signed.body);
    const middle = Math.floor(spoilt.length / 2);
    spoilt[middle] = (spoilt[middle] ?? 0) ^ 1;
    const { headers } = signed;
    const answer = await sendRequest({ url: bucket.proxy.url, method: 'PUT', path, headers, body: spoilt });
    expect([answer.status, codeOf(answer)]).toEqual([400, sizeBytes === 10 ? codeOf(answer) : 'BadDigest']);
    expect(await bucket.stored.listKeys('untrue')).toEqual([]);
    expect(await bucket.stored.listOpenUploads('untrue')).toEqual([]);
  });

  test('a token may come with them too', async () => {
    const body = Buffer.from('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n');
    const answer = await bucket.put('by-token', body, {
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'x-amz-decoded-content-length': '5',
      'x-amz-trailer': 'x-amz-checksum-crc32',
      'content-encoding': 'aws-chunked',
    });
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes('by-token')).toString()).toBe('hello');
    expect((await bucket.stored.head('by-token')).ContentEncoding ?? '').toBe('');
  });
});

describe('a payload that is not what was signed is not stored', () => {
  const modes = payloadModes.filter((mode) => mode === 'sha256' || mode.startsWith('STREAMING-AWS4-'));
  // The larger one goes in parts, most of which the backend has when the fault is found.
  const cases = modes.flatMap((mode) => [6 * mib, 13 * mib].map((sizeBytes) => ({ mode, sizeBytes })));

  test.each(cases)('$mode, $sizeBytes bytes', async ({ mode, sizeBytes }) => {
    const body = bytesOf('signed', sizeBytes);
    const path = '/uploads/other-payload';
    const signed = signS3Request({ credential, host, method: 'PUT', path, body, mode });
    const other = Buffer.from(signed.body);
    // In the last chunk's payload, where there are chunks.
    const at = other.length - 1000;
    other[at] = (other[at] ?? 0) ^ 1;
    const { headers } = signed;
    const answer = await sendRequest({ url: bucket.proxy.url, method: 'PUT', path, headers, body: other });
    const refusal = mode === 'sha256' ? [400, 'XAmzContentSHA256Mismatch'] : [403, 'SignatureDoesNotMatch'];
    expect([answer.status, codeOf(answer)]).toEqual(refusal);
    expect(await bucket.stored.listKeys('other-payload')).toEqual([]);
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listOpenUploads('other-payload')).toEqual([]);
  });
});

describe('a call that makes nothing of its body', () => {
  const path = '/uploads/no-use';
  const uploadIdOf = ({ body }: Answer): string => /<UploadId>(?<id>[^<]+)</u.exec(body)?.groups?.['id'] ?? '';
  const openUploads = () => bucket.stored.listOpenUploads('no-use');
  /** Signs one body and sends another. */
  function sendOther(call: Signed, sent: string): Promise<Answer> {
    const { method = '', query = '', mode } = call;
    const { headers } = signS3Request({ credential, host, method, path, query, body: Buffer.from('signed'), mode });
    const changed = { ...headers, 'content-length': String(sent.length) };
    return sendRequest({ url: bucket.proxy.url, method, path: `${path}?${query}`, headers: changed, body: sent });
  }

  test.each([
    ['sha256', 'tamper', 'XAmzContentSHA256Mismatch'],
    ['sha256', '', 'XAmzContentSHA256Mismatch'],
    ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '', 'IncompleteBody'],
    ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'no framing', 'IncompleteBody'],
  ] as const)('is refused when that is not what was signed: %s, "%s"', async (mode, sent, code) => {
    expect(codeOf(await sendOther({ mode, method: 'POST', query: 'uploads=' }, sent))).toBe(code);
    expect(await openUploads()).toEqual([]);
    const query = `uploadId=${encodeURIComponent(uploadIdOf(await sendSigned({ mode: 'sha256', method: 'POST', path, query: 'uploads=' })))}`;
    for (const method of ['GET', 'DELETE']) expect(codeOf(await sendOther({ mode, method, query }, sent))).toBe(code);
    expect(await openUploads()).toHaveLength(1);
    expect((await sendSigned({ mode: 'sha256', method: 'DELETE', path, query })).status).toBe(204);
    expect(await openUploads()).toEqual([]);
  });

  test('takes what was signed, and lets go of it', async () => {
    for (const mode of payloadModes) {
      const query = 'uploads=';
      const created = await sendSigned({ mode, method: 'POST', path, query, body: Buffer.from('of no use') });
      expect([mode, created.status]).toEqual([mode, 200]);
      const uploadId = `uploadId=${encodeURIComponent(uploadIdOf(created))}`;
      expect((await sendSigned({ mode, method: 'DELETE', path, query: uploadId })).status).toBe(204);
    }
    expect(await openUploads()).toEqual([]);
  });

  test('is refused when that is long', async () => {
    const body = Buffer.alloc(70_000);
    const answer = await sendSigned({ mode: 'sha256', method: 'POST', path, query: 'uploads=', body });
    expect(codeOf(answer)).toBe('EntityTooLarge');
    expect(await openUploads()).toEqual([]);
  });
});

describe('presigned URLs', () => {
  const send = (path: string, body: Buffer | string, headers: Record<string, string> = {}): Promise<Answer> =>
    sendRequest({ url: bucket.proxy.url, method: 'PUT', path, headers, body });
  const presign = (key: string, more: Partial<Parameters<typeof presignS3Url>[0]> = {}): string =>
    presignS3Url({ credential, host, method: 'PUT', path: `/uploads/${key}`, ...more });

  test('upload whatever body comes, as often as they are used', async () => {
    const body = bytesOf('presigned', 2 * mib);
    const path = presign('presigned');
    expect(await send(path, 'first')).toMatchObject({ status: 200 });
    expect(await send(path, body)).toMatchObject({ status: 200 });
    expect((await bucket.stored.readHash('presigned')).sha256).toBe(sha256Hex(body));
  });

  test('carry header fields in their query', async () => {
    const path = presign('hoisted', { query: ['x-amz-meta-from=url', 'x-amz-storage-class=STANDARD'] });
    expect(await send(path, 'x')).toMatchObject({ status: 200 });
    expect((await bucket.stored.head('hoisted')).Metadata).toEqual({ from: 'url' });
  });

  test('make every call of a multipart upload', async () => {
    const call = (method: string, query: readonly string[], body: Buffer | string = ''): Promise<Answer> =>
      sendRequest({ url: bucket.proxy.url, method, path: presign('by-urls', { method, query }), body });
    const create = async (): Promise<string> => {
      const created = await call('POST', ['uploads=']);
      return `uploadId=${encodeURIComponent(/<UploadId>(?<id>[^<]+)</u.exec(created.body)?.groups?.['id'] ?? '')}`;
    };
    const upload = await create();
    const body = bytesOf('by-urls', 100_000);
    const part = await call('PUT', ['partNumber=1', upload], body);
    expect((await call('GET', [upload])).body).toContain(`<Size>${body.length}</Size>`);
    const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    expect((await call('POST', [upload], xml)).status).toBe(200);
    expect((await bucket.stored.readBytes('by-urls')).equals(body)).toBe(true);
    expect((await call('DELETE', [await create()])).status).toBe(204);
    expect(await bucket.stored.listOpenUploads('by-urls')).toEqual([]);
  });

  test('with the checksum of an empty body, as SDKs make them, take any body', async () => {
    const path = presign('sdk-made', {
      query: ['x-amz-checksum-crc32=AAAAAA%3D%3D', 'x-amz-sdk-checksum-algorithm=CRC32'],
    });
    expect(await send(path, 'not empty')).toMatchObject({ status: 200 });
    expect((await bucket.stored.readBytes('sdk-made')).toString()).toBe('not empty');
  });

  test.each([
    ['is over', { date: new Date(Date.now() - 120_000), expiresSeconds: 60 }, 403, 'AccessDenied'],
    ['has not begun', { date: new Date(Date.now() + 3_600_000) }, 403, 'AccessDenied'],
    ['is longer than a week', { expiresSeconds: 604_801 }, 400, 'AuthorizationQueryParametersError'],
    ['asks for a copy', { query: ['x-amz-copy-source=%2Fa%2Fb'] }, 501, 'NotImplemented'],
  ])('are refused when their time or wish %s', async (_, more, status, code) => {
    const answer = await send(presign('never', more), 'x');
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(await bucket.stored.listKeys('never')).toEqual([]);
  });

  test('are refused with x-amz- fields that they do not sign, and for another key or method', async () => {
    expect(codeOf(await send(presign('never'), 'x', { 'x-amz-meta-a': 'b' }))).toBe('AccessDenied');
    expect(codeOf(await send(presign('never').replace('never', 'other'), 'x'))).toBe('SignatureDoesNotMatch');
    expect(codeOf(await send(presign('never', { method: 'GET' }), 'x'))).toBe('SignatureDoesNotMatch');
    expect(await bucket.stored.listKeys('never')).toEqual([]);
    expect(await bucket.stored.listKeys('other')).toEqual([]);
  });
});

test('a signature that does not match is explained in the log, under the id that the client was told', async () => {
  const { accessKey, secretKey, region } = credential;
  const proxy = await startProxy({
    config: {
      logging: { level: 'debug', format: 'json' },
      buckets: [
        {
          name: 'uploads',
          filesystem: { root: './data' },
          auth: { sigv4: { access_key: accessKey, secret_key: secretKey, region } },
        },
      ],
    },
  });
  const path = '/uploads/a%20b';
  const host = new URL(proxy.url).host;
  const signed = signS3Request({ credential, method: 'PUT', host, path, body: Buffer.from('x'), mode: 'sha256' });
  const answer = await sendRequest({ url: proxy.url, method: 'PUT', path: `${path}c`, ...signed });
  expect(codeOf(answer)).toBe('SignatureDoesNotMatch');
  const explanations = (): string[] =>
    proxy
      .logs()
      .split('\n')
      .filter((line) => line.includes('canonicalRequest'));
  await waitFor(async () => explanations().length > 0);
  const [line = '', ...more] = explanations();
  await proxy.stop();
  expect(more).toEqual([]);
  const told = JSON.parse(line) as { requestId: string; canonicalRequest: string };
  expect(told.requestId).toBe(answer.headers['x-amz-request-id']);
  expect(answer.body).toContain(`<RequestId>${told.requestId}</RequestId>`);
  expect(told.canonicalRequest).toMatch(/^PUT\n\/uploads\/a%20bc\n/);
  const signature = signed.headers['authorization']?.slice(-64) ?? '';
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(line).not.toContain(signature);
});

test('a request with two credentials is refused', async () => {
  const path = presignS3Url({ credential, host, method: 'PUT', path: '/uploads/two' });
  const answer = await bucket.send({ method: 'PUT', path, body: 'x' });
  expect([answer.status, codeOf(answer)]).toEqual([400, 'InvalidArgument']);
  expect(await bucket.stored.listKeys('two')).toEqual([]);
});

test('a token is taken beside signatures, and nothing without either', async () => {
  expect((await bucket.put('token', 'x')).status).toBe(200);
  const answer = await sendRequest({ url: bucket.proxy.url, method: 'PUT', path: '/uploads/nobody', body: 'x' });
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer realm="mizuchi"']);
});

test.each([1000, 8 * mib])('an SDK whose clock is an hour off sets it, and uploads %i bytes', async (sizeBytes) => {
  const client = new S3Client({
    endpoint: bucket.proxy.url,
    region: credential.region,
    credentials: { accessKeyId: credential.accessKey, secretAccessKey: credential.secretKey },
    forcePathStyle: true,
  });
  const body = bytesOf('clock', sizeBytes);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  try {
    await client.send(new PutObjectCommand({ Bucket: 'uploads', Key: `clock-${sizeBytes}`, Body: body }));
  } finally {
    vi.useRealTimers();
  }
  expect((await bucket.stored.readBytes(`clock-${sizeBytes}`)).equals(body)).toBe(true);
  client.destroy();
});

test('clients learn the region that they must sign for', async () => {
  const answer = await sendSigned({ mode: 'sha256', method: 'GET', path: '/uploads', query: 'location=' });
  expect(answer.body).toContain(`>${credential.region}<`);
});
