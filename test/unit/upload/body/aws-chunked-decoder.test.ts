// The payload out of aws-chunked framing: whole, in any cut, and nothing that is not framed as it must be.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import type { ChunkSignatures } from '../../../../src/payload.ts';
import { AwsChunkedDecoder, type AwsChunkedDecoderOptions } from '../../../../src/upload/body/aws-chunked-decoder.ts';
import { codeOf } from '../../../support/code-of.ts';

const signatureA = 'a'.repeat(64);
const signatureB = 'b'.repeat(64);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

interface Decoded {
  readonly payload: string;
  readonly fields: Readonly<Record<string, string>>;
}

function decode(text: string, options: AwsChunkedDecoderOptions, cutBytes = Infinity): Decoded {
  const decoder = new AwsChunkedDecoder(options);
  const wire = Buffer.from(text, 'latin1');
  const payload: Buffer[] = [];
  for (let at = 0; at < wire.length; at += Math.min(cutBytes, wire.length)) {
    // Memory of its own, spoilt once it has been read.
    const bytes = Uint8Array.from(wire.subarray(at, at + Math.min(cutBytes, wire.length)));
    decoder.write(bytes, (piece) => payload.push(Buffer.from(piece)));
    bytes.fill(0xee);
  }
  const fields = Object.fromEntries(decoder.finish());
  return { payload: Buffer.concat(payload).toString('latin1'), fields };
}

const unsigned = (decodedLength: number): AwsChunkedDecoderOptions => ({
  decodedLength,
  hasTrailer: true,
  isSigned: false,
  signatures: undefined,
});
const signed = (decodedLength: number, signatures?: ChunkSignatures, hasTrailer = false): AwsChunkedDecoderOptions => ({
  decodedLength,
  hasTrailer,
  isSigned: true,
  signatures,
});

/** Notes what it is asked to verify. */
function recordSignatures(): ChunkSignatures & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    verifyChunk: (hash, signature) => void seen.push(`chunk ${hash} ${signature}`),
    verifyTrailer: (hash, signature) => void seen.push(`trailer ${hash} ${signature}`),
  };
}

const trailed = '5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n';
const signedBody = `5;chunk-signature=${signatureA}\r\nhello\r\n0;chunk-signature=${signatureB}\r\n\r\n`;

describe.each([Infinity, 1, 2, 3, 7])('cut into %d bytes', (cutBytes) => {
  test('chunks become the payload, and the trailer is told', () => {
    const { payload, fields } = decode(trailed, unsigned(11), cutBytes);
    expect(payload).toBe('hello world');
    expect(fields).toEqual({ 'x-amz-checksum-crc32': 'DUoRhQ==' });
  });

  test('an empty payload is its last chunk alone', () => {
    expect(decode('0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', unsigned(0), cutBytes)).toMatchObject({ payload: '' });
  });

  test('every signed chunk is shown to its signature, and the trailer to its own', () => {
    const signatures = recordSignatures();
    const trailer = 'x-amz-checksum-crc32:NhCmhg==\r\n';
    const text = `${signedBody.slice(0, -2)}${trailer}x-amz-trailer-signature:${signatureA}\r\n\r\n`;
    const { payload, fields } = decode(text, signed(5, signatures, true), cutBytes);
    expect(payload).toBe('hello');
    expect(fields).toEqual({ 'x-amz-checksum-crc32': 'NhCmhg==' });
    expect(signatures.seen).toEqual([
      `chunk ${sha256('hello')} ${signatureA}`,
      `chunk ${sha256('')} ${signatureB}`,
      `trailer ${sha256('x-amz-checksum-crc32:NhCmhg==\n')} ${signatureA}`,
    ]);
  });

  test('signed chunks without a trailer are all that is shown', () => {
    const signatures = recordSignatures();
    const text = signedBody.replace('5;', '0000000000000005;');
    expect(decode(text, signed(5, signatures), cutBytes)).toEqual({ payload: 'hello', fields: {} });
    expect(signatures.seen).toEqual([`chunk ${sha256('hello')} ${signatureA}`, `chunk ${sha256('')} ${signatureB}`]);
  });

  test('payload that looks like framing stays payload', () => {
    const inner = '0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n';
    const text = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
    expect(decode(text, unsigned(inner.length), cutBytes)).toMatchObject({ payload: inner, fields: {} });
  });
});

test("lines of the trailer may end as in S3's own example", () => {
  const text = '0\r\nx-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n';
  expect(decode(text, unsigned(0)).fields).toEqual({ 'x-amz-checksum-crc32c': 'sOO8/Q==' });
});

test('signatures are read over where nobody is asked for credentials', () => {
  expect(decode(signedBody, signed(5)).payload).toBe('hello');
  const trailer = `a:1\r\nx-amz-trailer-signature:${signatureA}\r\n\r\n`;
  expect(decode(signedBody.slice(0, -2) + trailer, signed(5, undefined, true)).fields).toEqual({ a: '1' });
});

test('a trailer may be 1024 bytes long', () => {
  const ofLength = (length: number) => `0\r\na:${'1'.repeat(length - 4)}\r\n`;
  expect(decode(ofLength(1024), unsigned(0)).fields).toEqual({ a: '1'.repeat(1020) });
  expect(codeOf(() => decode(ofLength(1025), unsigned(0)))).toBe('InvalidRequest');
});

test('pieces are told in order, each where it lies', () => {
  const wire = Buffer.from('5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n');
  const pieces: Uint8Array[] = [];
  new AwsChunkedDecoder(unsigned(11)).write(wire, (piece) => pieces.push(piece));
  expect(pieces.map((piece) => Buffer.from(piece).toString())).toEqual(['hello', ' ', 'world']);
  expect(pieces.map(({ byteOffset }) => byteOffset - wire.byteOffset)).toEqual([3, 13, 19]);
  expect(pieces.every(({ buffer }) => buffer === wire.buffer)).toBe(true);
});

test('a line may be cut behind much that came before it', () => {
  const text = `11170\r\n${'a'.repeat(70_000)}\r\n1\r\nx\r\n0\r\n\r\n`;
  expect(decode(text, unsigned(70_001), text.indexOf('1\r\nx') + 1).payload).toBe(`${'a'.repeat(70_000)}x`);
});

test('a wrong signature ends it as soon as its chunk is whole', () => {
  const signatures: ChunkSignatures = {
    verifyChunk: () => {
      throw new S3Error('SignatureDoesNotMatch');
    },
    verifyTrailer: () => undefined,
  };
  const decoder = new AwsChunkedDecoder(signed(5, signatures));
  const data = signedBody.indexOf('hello');
  let taken = '';
  const take = (piece: Uint8Array) => (taken += Buffer.from(piece).toString());
  decoder.write(Buffer.from(signedBody.slice(0, data + 4)), take);
  expect(codeOf(() => decoder.write(Buffer.from('o'), take))).toBe('SignatureDoesNotMatch');
  expect(taken).toBe('hell');
});

describe('refused', () => {
  test.each<[name: string, text: string, options: AwsChunkedDecoderOptions, code: string]>([
    ['a size that is no number', 'g\r\n', unsigned(5), 'InvalidRequest'],
    ['a size with a sign', '+5\r\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['a size that is empty', '\r\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['a size past all numbers', `${'f'.repeat(16)}\r\n`, unsigned(5), 'InvalidRequest'],
    ['a line without an end', '1'.repeat(200), unsigned(5), 'InvalidRequest'],
    ['a line that ends in LF alone', '5\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['a line that ends in LF behind something else', '5 \nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['an unknown extension', '5;name=value\r\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['a signature where none is announced', signedBody, unsigned(5), 'InvalidRequest'],
    ['a signed size that is no number', `x${signedBody}`, signed(5), 'InvalidRequest'],
    ['a signature that is too long', signedBody.replace('\r', '0\r'), signed(5), 'InvalidRequest'],
    ['a signature that is too short', signedBody.replace('a\r', '\r'), signed(5), 'InvalidRequest'],
    ['a signature in upper case', signedBody.replace('a\r', 'A\r'), signed(5), 'InvalidRequest'],
    ['a signature of other letters', signedBody.replace('a\r', 'g\r'), signed(5), 'InvalidRequest'],
    ['a signature under another name', signedBody.replace('chunk-s', 'chunk_s'), signed(5), 'InvalidRequest'],
    ['no signature where one is announced', '5\r\nhello\r\n0\r\n\r\n', signed(5), 'InvalidRequest'],
    ['data without a line end', '5\r\nhello0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['data longer than its chunk', '4\r\nhello\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['more than was announced', '5\r\nhello\r\n1\r\nx\r\n0\r\n\r\n', unsigned(5), 'InvalidRequest'],
    ['less than was announced', '4\r\nhell\r\n0\r\n\r\n', unsigned(5), 'IncompleteBody'],
    ['an end in the middle of a chunk', '5\r\nhel', unsigned(5), 'IncompleteBody'],
    ['an end before the last chunk', '5\r\nhello\r\n', unsigned(5), 'IncompleteBody'],
    ['nothing at all', '', unsigned(0), 'IncompleteBody'],
    ['bytes behind the end', `${signedBody}garbage`, signed(5), 'MalformedTrailerError'],
    ['a trailer where none is announced', `${signedBody}a:b\r\n`, signed(5), 'InvalidRequest'],
    ['bytes behind the trailer', `${trailed}garbage`, unsigned(11), 'MalformedTrailerError'],
    ['empty lines behind the end', `0\r\n${'\r\n'.repeat(5)}`, unsigned(0), 'InvalidRequest'],
    ['a field twice', `0\r\na:1\r\nA:2\r\n\r\n`, unsigned(0), 'MalformedTrailerError'],
    ['a field without a name', `0\r\n:1\r\n\r\n`, unsigned(0), 'MalformedTrailerError'],
    ['a field whose name holds a space', `0\r\na b:1\r\n\r\n`, unsigned(0), 'MalformedTrailerError'],
    ['a field whose value holds a space', `0\r\na:1 2\r\n\r\n`, unsigned(0), 'MalformedTrailerError'],
    ['an endless trailer', `0\r\na:${'1'.repeat(2000)}\r\n\r\n`, unsigned(0), 'InvalidRequest'],
    [
      'a signed trailer without its signature',
      `0;chunk-signature=${signatureA}\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n`,
      signed(0, undefined, true),
      'MalformedTrailerError',
    ],
    [
      'a signature on an unsigned trailer',
      `0\r\nx-amz-trailer-signature:${signatureA}\r\n\r\n`,
      unsigned(0),
      'MalformedTrailerError',
    ],
  ])('%s', (_, text, options, code) => {
    expect(codeOf(() => decode(text, options))).toBe(code);
    expect(codeOf(() => decode(text, options, 1))).toBe(code);
  });
});
