// Digests that a client declares are verified while its body streams, whatever way the object takes.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findIsaL } from '../servers/find-isa-l.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import { answeredCode } from '../support/answered-code.ts';
import { startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import type { Answer } from '../support/send-request.ts';

const MiB = 1024 * 1024;
const partBytes = 5 * MiB;
const bodies = [
  ['one PUT', createRandomBody('small', 100_000).bytes()],
  ['several parts', createRandomBody('large', 2 * partBytes + 12_345).bytes()],
  ['nothing', Buffer.alloc(0)],
] as const;

// Plain implementations, to check the proxy's fast ones by. Both are reflected and start and end inverted.
const tableOf = (polynomial: bigint): BigUint64Array =>
  BigUint64Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
const halvesOf = (table: BigUint64Array): { high: Uint32Array; low: Uint32Array } => ({
  high: Uint32Array.from(table, (value) => Number(value >> 32n)),
  low: Uint32Array.from(table, (value) => Number(value & 0xffffffffn)),
});
const crc32cTable = halvesOf(tableOf(0x82f63b78n)).low;
const crc64Table = halvesOf(tableOf(0x9a6c9329ac4bc9b5n));

function crc32c(bytes: Uint8Array): string {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crc32cTable[(crc ^ byte) & 0xff] ?? 0);
  return base64Of(~crc);
}

function crc64nvme(bytes: Uint8Array): string {
  let [high, low] = [0xffffffff, 0xffffffff];
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (crc64Table.low[index] ?? 0);
    high = (high >>> 8) ^ (crc64Table.high[index] ?? 0);
  }
  return base64Of(~high, ~low);
}

/** Big-endian, as S3's headers carry them. */
function base64Of(...words: readonly number[]): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word >>> 0, index * 4);
  return bytes.toString('base64');
}

const digest = (algorithm: string, bytes: Uint8Array): string => createHash(algorithm).update(bytes).digest('base64');

const algorithms: readonly (readonly [header: string, compute: (bytes: Uint8Array) => string])[] = [
  ['x-amz-checksum-crc32', (bytes) => base64Of(crc32(bytes))],
  ['x-amz-checksum-crc32c', crc32c],
  ['x-amz-checksum-crc64nvme', crc64nvme],
  ['x-amz-checksum-sha1', (bytes) => digest('sha1', bytes)],
  ['x-amz-checksum-sha256', (bytes) => digest('sha256', bytes)],
  ['content-md5', (bytes) => digest('md5', bytes)],
];

test('the plain checksums of these tests give the published values', () => {
  const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
  const digits = Buffer.from('123456789');
  // RFC 3720, section B.4, and the NVM Express NVM Command Set Specification, section 5.2.1.3.4.
  expect(hex(crc32c(new Uint8Array(32)))).toBe('8a9136aa');
  expect(hex(crc32c(digits))).toBe('e3069283');
  expect(hex(crc64nvme(digits))).toBe('ae8b14860a799888');
});

/** Whether the object is stored with it: of the digests of parts only CRCs make that of the whole. */
const isKept = (header: string, body: Buffer): boolean =>
  header.startsWith('x-amz-checksum-') && (header.includes('crc') || body.length <= partBytes);

const trailing = (header: string, body: Buffer): Record<string, string> => ({
  'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'x-amz-decoded-content-length': String(body.length),
  'x-amz-trailer': header,
});

function framed(body: Buffer, header: string, value: string): Buffer {
  const chunk = body.length === 0 ? [] : [`${body.length.toString(16)}\r\n`, body, '\r\n'];
  return Buffer.concat([...chunk, `0\r\n${header}:${value}\r\n\r\n`].map((piece) => Buffer.from(piece)));
}

describe.each([
  ['MinIO', 'ISA-L', startMinio],
  ['versitygw', 'packages', startVersitygw],
])('%s, CRCs by %s', (_, origin, start) => {
  let bucket: ProxiedBucket;
  beforeAll(async () => {
    const { folder, emptyFolder } = await findIsaL();
    bucket = await startProxiedBucket({
      start,
      upload: { multipart_threshold: partBytes, part_size: partBytes },
      environment: { LD_LIBRARY_PATH: origin === 'ISA-L' ? folder : emptyFolder },
    });
  });
  afterAll(() => bucket.stop());

  const expectStored = async (key: string, answer: Answer, header: string, value: string | undefined) => {
    const head: object = await bucket.stored.head(key);
    const checksums = Object.entries(head).filter(([name]) => /^Checksum(?!Type)/u.test(name));
    const name = `Checksum${header.slice('x-amz-checksum-'.length).toUpperCase()}`;
    // MinIO gives an object in parts a checksum of its own choice where nobody asks for one.
    if (value === undefined) expect(checksums.filter(([other]) => other === name)).toEqual([]);
    else expect(checksums).toEqual([[name, value]]);
    expect(answer.headers[header]).toBe(value);
  };

  const crcCases = algorithms
    .filter(([header]) => header.includes('crc'))
    .flatMap(([header, compute]) => bodies.map(([way, body]) => ({ header, way, compute, body })));

  const cases = algorithms.flatMap(([header, compute]) =>
    bodies.flatMap(([way, body]) => [true, false].map((hasLength) => ({ header, way, hasLength, compute, body }))),
  );

  test.each(cases)('$header, right, $way, length known: $hasLength', async ({ header, compute, body, ...names }) => {
    const key = `right/${header}/${names.way}/${names.hasLength}`;
    const answer = await bucket.put(key, names.hasLength ? body : [body], { [header]: compute(body) });
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes(key)).equals(body)).toBe(true);
    await expectStored(key, answer, header, isKept(header, body) ? compute(body) : undefined);
  });

  test.each(crcCases)('$header behind the body, right, $way', async ({ header, compute, body, way }) => {
    const key = `trailing/${header}/${way}`;
    const answer = await bucket.put(key, framed(body, header, compute(body)), trailing(header, body));
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes(key)).equals(body)).toBe(true);
    await expectStored(key, answer, header, compute(body));
  });

  test.each(crcCases)('$header behind the body, wrong, $way', async ({ header, compute, body, way }) => {
    const key = `wrong-trailing/${header}/${way}`;
    const wrong = compute(Buffer.from('another body'));
    const answer = await bucket.put(key, framed(body, header, wrong), trailing(header, body));
    expect([answer.status, answeredCode(answer)]).toEqual([400, 'BadDigest']);
    expect(await bucket.stored.listKeys('wrong-trailing/')).toEqual([]);
  });

  test.each(cases)('$header, wrong, $way, length known: $hasLength', async ({ header, compute, body, ...names }) => {
    const key = `wrong/${header}/${names.way}/${names.hasLength}`;
    const wrong = compute(Buffer.from('another body'));
    const answer = await bucket.put(key, names.hasLength ? body : [body], { [header]: wrong });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('<Code>BadDigest</Code>');
    expect(await bucket.stored.listKeys('wrong/')).toEqual([]);
    await bucket.proxy.waitUntilIdle();
    // A part that was on its way may bring the upload back for a moment: it is aborted once more.
    await expect.poll(() => bucket.stored.listOpenUploads(), { timeout: 10_000 }).toEqual([]);
  });

  test.each(algorithms.map(([header]) => header))('%s that is no digest: refused before the body', async (header) => {
    const values = ['abc', '!!!!', 'AAAA', ''];
    const answers = await Promise.all(values.map((value) => bucket.put('no-digest', 'x', { [header]: value })));
    expect(answers.map(({ status }) => status)).toEqual(values.map(() => 400));
    const code = header === 'content-md5' ? 'InvalidDigest' : 'InvalidRequest';
    expect(answers.map(({ body }) => body.includes(`<Code>${code}</Code>`))).toEqual(values.map(() => true));
    expect(await bucket.stored.listKeys('no-digest')).toEqual([]);
  });

  test('the CRCs are computed by what is to compute them', async () => {
    for (const { header, compute, body } of crcCases)
      expect(await bucket.put('computed', body, { [header]: compute(body) })).toMatchObject({ status: 200 });
    const maps = await readFile(`/proc/${bucket.proxy.pid}/maps`, 'utf8');
    const packages = ['crc32.linux', 'aws-crt-nodejs.node'].filter((name) => maps.includes(name));
    expect(packages).toHaveLength(origin === 'ISA-L' ? 0 : 2);
  });

  test('a part of a multipart upload of the client is verified too', async () => {
    const path = '/uploads/parts';
    const created = await bucket.send({ method: 'POST', path: `${path}?uploads` });
    const uploadId = encodeURIComponent(/<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '');
    const at = `${path}?partNumber=1&uploadId=${uploadId}`;
    const headers = { 'x-amz-checksum-sha256': digest('sha256', Buffer.from('right')) };
    const wrong = await bucket.send({ method: 'PUT', path: at, body: 'wrong', headers });
    expect([wrong.status, wrong.body.includes('<Code>BadDigest</Code>')]).toEqual([400, true]);
    const parts = await bucket.send({ method: 'GET', path: `${path}?uploadId=${uploadId}` });
    expect(parts.body).not.toContain('<Part>');
    expect((await bucket.send({ method: 'DELETE', path: `${path}?uploadId=${uploadId}` })).status).toBe(204);
  });
});
