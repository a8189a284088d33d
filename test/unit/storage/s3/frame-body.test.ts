// A body in aws-chunked framing, as its receiver takes it apart again: the same bytes, as many as were declared, all given back.
import { describe, expect, test } from 'vitest';
import type { Chunk } from '../../../../src/http.ts';
import { frameBody, type FramedBody } from '../../../../src/storage/s3/frame-body.ts';
import type { BodyChecksum, ChecksumAlgorithm } from '../../../../src/storage/storage.ts';
import { AwsChunkedDecoder } from '../../../../src/upload/body/aws-chunked-decoder.ts';
import { createScriptedBody, type ScriptedBody } from './scripted-body.ts';

const mib = 1024 * 1024;
const headers = new Map([['content-type', 'text/plain']]);
const checksums: readonly (readonly [ChecksumAlgorithm, string])[] = [
  ['crc32', 'DUoRhQ=='],
  ['crc32c', 'yZRlqg=='],
  ['crc64nvme', 'jSnVw/bqjr4='],
  ['sha1', 'Kq5sNclPz7QV2+lfQIuc6R7oRu0='],
  ['sha256', 'uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek='],
];

/** Known when the body has ended. */
class LateChecksum implements BodyChecksum {
  readonly algorithm: ChecksumAlgorithm;
  base64: string | undefined;

  constructor(algorithm: ChecksumAlgorithm) {
    this.algorithm = algorithm;
  }
}

function frame(
  length: number,
  pieces: readonly Uint8Array[],
  [algorithm, base64]: readonly [ChecksumAlgorithm, string | undefined] = ['crc32', 'DUoRhQ=='],
): { body: ScriptedBody; framed: FramedBody } {
  const checksum = new LateChecksum(algorithm);
  const end = (function* () {
    yield* pieces;
    checksum.base64 = base64;
    yield null;
  })();
  const body = createScriptedBody(length, end);
  return { body, framed: frameBody(headers, Object.assign(body, { checksum }), length) };
}

async function readAll({ body }: FramedBody): Promise<Buffer> {
  const wire: Buffer[] = [];
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    wire.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  expect(await body.read()).toBeNull();
  return Buffer.concat(wire);
}

function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 97) bytes[i] = i >> 8;
  return bytes;
}

function cut(bytes: Buffer, pieceBytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  );
}

test.each([
  [0, mib, '0'],
  [1, mib, '1 0'],
  [11, 4, 'b 0'],
  [8 * mib - 1, 3 * mib, '7fffff 0'],
  [8 * mib, 3 * mib, '800000 0'],
  [8 * mib + 1, 3 * mib, '800000 1 0'],
  [20 * mib, 20 * mib, '800000 800000 400000 0'],
])('%i bytes in pieces of %i go in chunks of %s', async (length, pieceBytes, sizes) => {
  const payload = patterned(length);
  const { body, framed } = frame(length, cut(payload, pieceBytes));
  const wire = await readAll(framed);
  expect(wire.length).toBe(framed.length);
  expect(
    wire
      .toString('latin1')
      .match(/(?<=^|\r\n)[0-9a-f]+(?=\r\n)/g)
      ?.join(' '),
  ).toBe(sizes);
  const decoder = new AwsChunkedDecoder({
    decodedLength: length,
    hasTrailer: true,
    isSigned: false,
    signatures: undefined,
  });
  const pieces: Uint8Array[] = [];
  decoder.write(wire, (piece) => pieces.push(piece));
  expect(Buffer.concat(pieces).equals(payload)).toBe(true);
  expect(Object.fromEntries(decoder.finish())).toEqual({ 'x-amz-checksum-crc32': 'DUoRhQ==' });
  expect(body.released).toBe(body.handedOut);
});

test.each(checksums)('%s lies behind the body, and is counted', async (algorithm, base64) => {
  const { framed } = frame(5, [Buffer.from('hello')], [algorithm, base64]);
  const wire = await readAll(framed);
  expect(wire.toString('latin1')).toBe(`5\r\nhello\r\n0\r\nx-amz-checksum-${algorithm}:${base64}\r\n\r\n`);
  expect(framed).toMatchObject({ length: wire.length, payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' });
  expect(Object.fromEntries(framed.headers)).toEqual({
    'content-type': 'text/plain',
    'x-amz-decoded-content-length': '5',
    'x-amz-trailer': `x-amz-checksum-${algorithm}`,
  });
});

describe('without a frame', () => {
  test('goes what has no checksum', () => {
    const body = createScriptedBody(5, [Buffer.from('hello')]);
    expect(frameBody(headers, body, 5)).toMatchObject({ headers, payloadHash: 'UNSIGNED-PAYLOAD', length: 5, body });
  });

  test('goes what has one that is known, in a header field', () => {
    const checksum: BodyChecksum = { algorithm: 'sha1', base64: 'Kq5sNclPz7QV2+lfQIuc6R7oRu0=' };
    const body = Object.assign(createScriptedBody(5, [Buffer.from('hello')]), { checksum });
    const framed = frameBody(headers, body, 5);
    expect(framed).toMatchObject({ payloadHash: 'UNSIGNED-PAYLOAD', length: 5, body });
    expect([...framed.headers]).toEqual([...headers, ['x-amz-checksum-sha1', checksum.base64]]);
  });
});

describe('a body that is not as declared', () => {
  test('is refused when it is longer, and the piece that is too much given back', async () => {
    const { body, framed } = frame(8, [Buffer.from('hello'), Buffer.from('world')]);
    await expect(readAll(framed)).rejects.toThrow('longer than declared');
    framed.release();
    expect([body.handedOut, body.released]).toEqual([2, 2]);
  });

  test('is refused when it is shorter, or ends without its checksum', async () => {
    await expect(readAll(frame(6, [Buffer.from('hello')]).framed)).rejects.toThrow('shorter than declared');
    const none = frame(5, [Buffer.from('hello')], ['crc32', undefined]).framed;
    await expect(readAll(none)).rejects.toThrow('without its checksum');
  });
});

describe('what is given up', () => {
  test('gives back what was read and not taken, once what was taken is given back', async () => {
    const { body, framed } = frame(20 * mib, [Buffer.alloc(20 * mib)]);
    const taken: (Chunk | null)[] = [];
    for (let i = 0; i < 4; i++) taken.push(await framed.body.read());
    framed.release();
    expect(body.released).toBe(0);
    for (const chunk of taken) chunk?.release();
    expect(body.released).toBe(1);
  });

  test('gives back what is read afterwards', async () => {
    const { body, framed } = frame(5, [Buffer.from('hello')]);
    const reading = framed.body.read();
    framed.release();
    expect(await reading).toBeNull();
    expect([body.handedOut, body.released]).toEqual([1, 1]);
  });
});
