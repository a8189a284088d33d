// Bodies as operations read them: every checksum that may come behind a payload, and what must be announced of it.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { RequestHeaders, type Chunk } from '../../../../src/http.ts';
import { plainPayload, type Payload } from '../../../../src/payload.ts';
import type { ChecksumAlgorithm } from '../../../../src/storage/storage.ts';
import type { IncomingBody } from '../../../../src/upload/body/incoming-body.ts';
import { openBody, type BodyLimits } from '../../../../src/upload/body/open-body.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';

const payload = Buffer.from('123456789');
const base64OfHex = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
/** Check values of the catalogue of parametrised CRC algorithms, and of FIPS 180-4 by another implementation. */
const checksums: Readonly<Record<ChecksumAlgorithm, string>> = {
  crc32: base64OfHex('cbf43926'),
  crc32c: base64OfHex('e3069283'),
  crc64nvme: base64OfHex('ae8b14860a799888'),
  sha1: createHash('sha1').update(payload).digest('base64'),
  sha256: createHash('sha256').update(payload).digest('base64'),
};
const algorithms = Object.keys(checksums) as ChecksumAlgorithm[];

const trailed: Payload = { kind: 'aws-chunked', hasTrailer: true, isSigned: false, signatures: undefined };
const untrailed: Payload = { kind: 'aws-chunked', hasTrailer: false, isSigned: true, signatures: undefined };

interface Given {
  readonly wire: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly payload?: Payload;
  readonly maxBytes?: number;
  readonly minBytes?: number;
  readonly hasChecksum?: boolean;
}

async function receive({ wire, fields = {}, payload: form = trailed, ...given }: Given): Promise<IncomingBody> {
  const limits = { maxBytes: 1000, ...given };
  const pushed = createPushedBody({ length: wire.length });
  const headers = new RequestHeaders(Object.entries({ 'x-amz-decoded-content-length': '9', ...fields }).flat());
  pushed.push(Buffer.from(wire, 'latin1'), true);
  try {
    const body = openBody({ request: { body: pushed.reader } as never, headers, payload: form }, limits);
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunk.release();
    return body;
  } finally {
    pushed.reader.detach();
    expect(pushed.budget.lentBytes).toBe(0);
  }
}

const codeOf = (given: Given) =>
  receive(given).then(
    () => 'accepted',
    (error: unknown) => (error instanceof S3Error ? error.code : String(error)),
  );
const trailer = (name: string, value: string) => `9\r\n123456789\r\n0\r\n${name}:${value}\r\n\r\n`;

describe('x-amz-sdk-checksum-algorithm', () => {
  const announced = { 'x-amz-sdk-checksum-algorithm': 'CRC32' };
  const plain = { wire: '123456789', payload: plainPayload };
  const crc32 = { 'x-amz-checksum-crc32': checksums.crc32 };

  test('comes with a checksum, in the header or behind the payload', async () => {
    expect(await codeOf({ ...plain, fields: { ...announced, ...crc32 } })).toBe('accepted');
    const md5 = { 'content-md5': createHash('md5').update(payload).digest('base64') };
    expect(await codeOf({ ...plain, fields: { ...md5, 'x-amz-sdk-checksum-algorithm': 'MD5' } })).toBe('accepted');
    const fields = { ...announced, 'x-amz-trailer': 'x-amz-checksum-crc32' };
    expect(await codeOf({ wire: trailer('x-amz-checksum-crc32', checksums.crc32), fields })).toBe('accepted');
  });

  test('is refused without, also beside a hash that is signed', async () => {
    const sha256 = createHash('sha256').update(payload).digest('hex');
    expect(await codeOf({ ...plain, fields: announced })).toBe('InvalidRequest');
    expect(await codeOf({ ...plain, payload: { kind: 'plain', sha256 }, fields: announced })).toBe('InvalidRequest');
    expect(await codeOf({ wire: '9\r\n123456789\r\n0\r\n\r\n', fields: announced })).toBe('InvalidRequest');
  });

  test('is not looked at where checksums are of the object', async () => {
    expect(await codeOf({ ...plain, fields: announced, hasChecksum: false })).toBe('accepted');
  });
});

describe.each(algorithms)('%s behind the payload', (algorithm) => {
  const name = `x-amz-checksum-${algorithm}`;
  const fields = { 'x-amz-trailer': name };

  test('is verified, and told when the body has ended', async () => {
    const body = await receive({ wire: trailer(name, checksums[algorithm]), fields });
    expect(body).toMatchObject({ isVerified: true, checksum: { algorithm, base64: checksums[algorithm] } });
  });

  test('is refused when it is another one, none, or missing', async () => {
    const other = Buffer.from(checksums[algorithm], 'base64');
    other[0] = (other[0] ?? 0) ^ 1;
    expect(await codeOf({ wire: trailer(name, other.toString('base64')), fields })).toBe('BadDigest');
    expect(await codeOf({ wire: trailer(name, 'AAAA'), fields })).toBe('InvalidRequest');
    expect(await codeOf({ wire: '9\r\n123456789\r\n0\r\n\r\n', fields })).toBe('MalformedTrailerError');
  });

  test('is refused when it was not announced, or beside one in the header', async () => {
    const wire = trailer(name, checksums[algorithm]);
    expect(await codeOf({ wire })).toBe('MalformedTrailerError');
    const announced = algorithm === 'sha1' ? 'x-amz-checksum-sha256' : 'x-amz-checksum-sha1';
    expect(await codeOf({ wire, fields: { 'x-amz-trailer': announced } })).toBe('MalformedTrailerError');
    expect(await codeOf({ wire, fields: { ...fields, [name]: checksums[algorithm] } })).toBe('InvalidRequest');
  });

  test('is refused when something else comes with it', async () => {
    const other = algorithm === 'sha1' ? 'sha256' : 'sha1';
    for (const line of ['x-amz-meta-a:1', `x-amz-checksum-${other}:${checksums[other]}`]) {
      const wire = `${trailer(name, checksums[algorithm]).slice(0, -2)}${line}\r\n\r\n`;
      expect(await codeOf({ wire, fields })).toBe('MalformedTrailerError');
    }
  });
});

test.each([
  ['no decoded length', { 'x-amz-decoded-content-length': '' }, 'InvalidRequest'],
  ['a decoded length that is no number', { 'x-amz-decoded-content-length': '+9' }, 'InvalidRequest'],
  ['a decoded length with something behind it', { 'x-amz-decoded-content-length': '9x' }, 'InvalidRequest'],
  ['a decoded length that is too short', { 'x-amz-decoded-content-length': '8' }, 'InvalidRequest'],
  ['a decoded length that is too long', { 'x-amz-decoded-content-length': '10' }, 'IncompleteBody'],
  ['a trailer that is no checksum', { 'x-amz-trailer': 'x-amz-meta-a' }, 'InvalidRequest'],
  ['two trailers', { 'x-amz-trailer': 'x-amz-checksum-crc32,x-amz-checksum-sha1' }, 'InvalidRequest'],
])('%s is refused', async (_, fields, code) => {
  expect(await codeOf({ wire: '9\r\n123456789\r\n0\r\n\r\n', fields })).toBe(code);
});

test('the last of the payload is not handed out before what comes behind it', async () => {
  const pushed = createPushedBody();
  const fields = { 'x-amz-decoded-content-length': '9', 'x-amz-trailer': 'x-amz-checksum-crc32' };
  const headers = new RequestHeaders(Object.entries(fields).flat());
  const request = { body: pushed.reader } as never;
  const body = openBody({ request, headers, payload: trailed }, { maxBytes: 1000 });
  pushed.push(Buffer.from('4\r\n1234\r\n'));
  const first = await body.next();
  let last: Chunk | null = null;
  const handing = body.next().then((chunk) => (last = chunk));
  pushed.push(Buffer.from('5\r\n56789\r\n0\r\n'));
  await new Promise(setImmediate);
  expect(last).toBeNull();
  pushed.push(Buffer.from(`x-amz-checksum-crc32:${checksums.crc32}\r\n\r\n`), true);
  const second = await handing;
  expect([first, second].map((chunk) => Buffer.from(chunk?.bytes ?? []).toString())).toEqual(['1234', '56789']);
  expect(await body.next()).toBeNull();
});

test('without x-amz-decoded-content-length the answer is 411', () => {
  const { reader } = createPushedBody();
  const open = () =>
    openBody(
      { request: { body: reader } as never, headers: new RequestHeaders([]), payload: trailed },
      { maxBytes: 9 },
    );
  expect(open).toThrow(expect.objectContaining({ code: 'MissingContentLength', status: 411 }));
});

test('the decoded length is what counts against the limit', async () => {
  const wire = '9\r\n123456789\r\n0\r\n\r\n';
  expect(await codeOf({ wire, maxBytes: 9 })).toBe('accepted');
  expect(await codeOf({ wire, maxBytes: 8 })).toBe('EntityTooLarge');
});

test('what is announced too large or too small is refused before any of it is read', () => {
  const { reader } = createPushedBody({ length: 9 });
  const open = (form: Payload, limits: BodyLimits) => () => {
    const headers = new RequestHeaders(['x-amz-decoded-content-length', '9']);
    openBody({ request: { body: reader } as never, headers, payload: form }, limits);
  };
  for (const form of [trailed, plainPayload]) {
    expect(open(form, { maxBytes: 9, minBytes: 9 })).not.toThrow();
    expect(open(form, { maxBytes: 8 })).toThrow(expect.objectContaining({ code: 'EntityTooLarge' }));
    expect(open(form, { maxBytes: 99, minBytes: 10 })).toThrow(expect.objectContaining({ code: 'EntityTooSmall' }));
  }
});

test('a checksum that is of the object and not of this body is not looked at, Content-MD5 is', async () => {
  const wire = payload.toString('latin1');
  const md5 = createHash('md5').update(payload).digest('base64');
  const given = { wire, payload: plainPayload, hasChecksum: false };
  const fields = { 'x-amz-checksum-crc32': 'AAAAAA==' };
  expect(await codeOf({ ...given, fields: { ...fields, 'content-md5': md5 } })).toBe('accepted');
  expect(await codeOf({ ...given, fields: { 'content-md5': md5.replace(/^./, 'A') } })).toBe('BadDigest');
  expect(await codeOf({ ...given, fields, hasChecksum: true })).toBe('BadDigest');
});

test('beside a checksum behind the payload may be a Content-MD5, and no other field may', async () => {
  const [name, value] = ['x-amz-checksum-crc32', checksums.crc32];
  const fields = { 'x-amz-trailer': name };
  const md5 = createHash('md5').update(payload).digest('base64');
  expect(await codeOf({ wire: trailer(name, value), fields: { ...fields, 'content-md5': md5 } })).toBe('accepted');
  const two = trailer(name, `${value}\r\nx-amz-meta-a:1`);
  expect(await codeOf({ wire: two, fields })).toBe('MalformedTrailerError');
});

test('a trailer that is announced as nothing is none', async () => {
  const fields = { 'x-amz-trailer': ' ' };
  expect(await codeOf({ wire: '9\r\n123456789\r\n0\r\n\r\n', fields })).toBe('accepted');
});

test('a trailer needs a payload that has one', async () => {
  const wire = `9;chunk-signature=${'a'.repeat(64)}\r\n123456789\r\n0;chunk-signature=${'a'.repeat(64)}\r\n\r\n`;
  expect(await codeOf({ wire, payload: untrailed })).toBe('accepted');
  const fields = { 'x-amz-trailer': 'x-amz-checksum-crc32' };
  expect(await codeOf({ wire, payload: untrailed, fields })).toBe('InvalidRequest');
});

describe('digests in the header of a payload in chunks', () => {
  const md5 = createHash('md5').update(payload).digest('base64');
  const otherMd5 = createHash('md5').digest('base64');

  test('are verified where there is no trailer', async () => {
    const signature = `chunk-signature=${'a'.repeat(64)}`;
    const given = { wire: `9;${signature}\r\n123456789\r\n0;${signature}\r\n\r\n`, payload: untrailed };
    const fields = { 'x-amz-checksum-crc32': checksums.crc32, 'content-md5': md5 };
    expect(await codeOf({ ...given, fields })).toBe('accepted');
    expect(await codeOf({ ...given, fields: { ...fields, 'x-amz-checksum-crc32': 'AAAAAA==' } })).toBe('BadDigest');
    expect(await codeOf({ ...given, fields: { ...fields, 'content-md5': otherMd5 } })).toBe('BadDigest');
  });

  test('are verified beside a trailer: Content-MD5', async () => {
    const wire = trailer('x-amz-checksum-crc32', checksums.crc32);
    const fields = { 'x-amz-trailer': 'x-amz-checksum-crc32' };
    expect(await codeOf({ wire, fields: { ...fields, 'content-md5': md5 } })).toBe('accepted');
    expect(await codeOf({ wire, fields: { ...fields, 'content-md5': otherMd5 } })).toBe('BadDigest');
  });
});

test('a checksum that is of the object says nothing of the body, but Content-MD5 does', async () => {
  const given = { wire: '123456789', payload: { kind: 'plain', sha256: undefined }, hasChecksum: false } as const;
  expect(await codeOf({ ...given, fields: { 'x-amz-checksum-crc32': 'AAAAAA==' } })).toBe('accepted');
  expect(await codeOf({ ...given, fields: { 'content-md5': createHash('md5').digest('base64') } })).toBe('BadDigest');
});

describe('a plain payload with its hash', () => {
  const plain = (sha256: string): Payload => ({ kind: 'plain', sha256 });
  const hex = createHash('sha256').update(payload).digest('hex');
  const wire = payload.toString('latin1');

  test('is verified', async () => {
    expect(await codeOf({ wire, payload: plain(hex) })).toBe('accepted');
    expect(await codeOf({ wire, payload: plain(hex.replace(/^./u, 'f')) })).toBe('XAmzContentSHA256Mismatch');
  });

  test('is verified beside a checksum of the same algorithm', async () => {
    const fields = { 'x-amz-checksum-sha256': checksums.sha256 };
    expect(await codeOf({ wire, fields, payload: plain(hex) })).toBe('accepted');
    expect(await codeOf({ wire, fields, payload: plain('0'.repeat(64)) })).toBe('XAmzContentSHA256Mismatch');
    const wrong = { 'x-amz-checksum-sha256': createHash('sha256').digest('base64') };
    expect(await codeOf({ wire, fields: wrong, payload: plain(hex) })).toBe('BadDigest');
  });

  test('is verified beside digests of other algorithms, and so is each of them', async () => {
    const fields = {
      'x-amz-checksum-crc32': checksums.crc32,
      'content-md5': createHash('md5').update(payload).digest('base64'),
    };
    expect(await codeOf({ wire, fields, payload: plain(hex) })).toBe('accepted');
    expect(await codeOf({ wire, fields, payload: plain('0'.repeat(64)) })).toBe('XAmzContentSHA256Mismatch');
    const wrong = { 'x-amz-checksum-crc32': 'AAAAAA==', 'content-md5': createHash('md5').digest('base64') };
    for (const [name, value] of Object.entries(wrong))
      expect(await codeOf({ wire, fields: { ...fields, [name]: value }, payload: plain(hex) })).toBe('BadDigest');
  });
});

test('the CRC-32 that is used is that of zlib, however it is cut', () => {
  const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32: typeof crc32 };
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 31) % 251));
  let value = 0;
  for (let at = 0; at < bytes.length; at += 613) value = native.crc32(bytes.subarray(at, at + 613), value);
  expect(value).toBe(crc32(bytes));
});
