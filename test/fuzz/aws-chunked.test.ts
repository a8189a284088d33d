// Bodies in aws-chunked framing, cut and spoilt in every way: the same payload and the same verdict for any cut, every byte
// of memory given back, and nothing seen whole that is not what was signed.
import { createHash, createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';
import type { ChunkSignatures, Payload } from '../../src/payload.ts';
import { openBody } from '../../src/upload/body/open-body.ts';
import { createPushedBody } from '../support/pushed-body.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const crcOf = (bytes: Uint8Array) => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
};

/** A chain as S3's: each signature covers what it is of and the one before it. */
function createChain(): { sign(kind: 'chunk' | 'trailer', hash: string): string } {
  let previous = 'seed';
  return {
    sign(kind, hash) {
      previous = createHmac('sha256', 'key').update(`${kind} ${previous} ${hash}`).digest('hex');
      return previous;
    },
  };
}

function createSignatures(): ChunkSignatures {
  const chain = createChain();
  const verify = (kind: 'chunk' | 'trailer') => (hash: string, signature: string) => {
    if (chain.sign(kind, hash) !== signature) throw new S3Error('SignatureDoesNotMatch');
  };
  return { verifyChunk: verify('chunk'), verifyTrailer: verify('trailer') };
}

interface Framed {
  readonly payload: Buffer;
  readonly wire: Buffer;
  readonly isSigned: boolean;
}

function frame(chunks: readonly Uint8Array[], isSigned: boolean): Framed {
  const payload = Buffer.concat(chunks);
  const chain = createChain();
  const signed = (kind: 'chunk' | 'trailer', hash: string) => (isSigned ? chain.sign(kind, hash) : '');
  const line = (bytes: Uint8Array) => {
    const signature = signed('chunk', sha256(bytes));
    return `${bytes.length.toString(16)}${isSigned ? `;chunk-signature=${signature}` : ''}\r\n`;
  };
  const pieces = chunks
    .filter(({ length }) => length > 0)
    .flatMap((bytes) => [Buffer.from(line(bytes)), bytes, Buffer.from('\r\n')]);
  const last = line(Buffer.alloc(0));
  const trailer = `x-amz-checksum-crc32:${crcOf(payload)}`;
  const signature = isSigned ? `x-amz-trailer-signature:${signed('trailer', sha256(`${trailer}\n`))}\r\n` : '';
  return { payload, isSigned, wire: Buffer.concat([...pieces, Buffer.from(`${last}${trailer}\r\n${signature}\r\n`)]) };
}

/** What the upload sees of it: the payload that it may store, or the refusal's code. */
async function receive(framed: Framed, wire: Buffer, cuts: readonly number[]): Promise<Buffer | string> {
  const pushed = createPushedBody({ length: wire.length });
  const payload: Payload = {
    kind: 'aws-chunked',
    hasTrailer: true,
    isSigned: framed.isSigned,
    signatures: framed.isSigned ? createSignatures() : undefined,
  };
  const headers = new RequestHeaders([
    'x-amz-decoded-content-length',
    String(framed.payload.length),
    'x-amz-trailer',
    'x-amz-checksum-crc32',
  ]);
  const body = openBody({ request: { body: pushed.reader } as never, headers, payload }, { maxBytes: 1e6 });
  const ends = cuts.map((cut) => cut % (wire.length + 1)).toSorted((a, b) => a - b);
  const pushing = (async () => {
    let at = 0;
    for (const end of [...ends, wire.length]) {
      if (end === at && end < wire.length) continue;
      pushed.push(wire.subarray(at, end), end === wire.length);
      at = end;
      await Promise.resolve();
      if (end === wire.length) break;
    }
  })();
  const received: Buffer[] = [];
  try {
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
      // The last byte is the upload's permission to store: it must not come before all is verified.
      received.push(Buffer.from(chunk.bytes));
      if (Buffer.concat(received).length === framed.payload.length && !body.isVerified) throw new Error('too early');
      chunk.release();
    }
    return Buffer.concat(received);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  } finally {
    await pushing;
    body.cancel(new Error('done'));
    expect(pushed.budget.lentBytes).toBe(0);
  }
}

/** To be compared: buffers are compared element by element, which takes longer than all else here. */
const textOf = (received: Buffer | string): string =>
  typeof received === 'string' ? received : `payload ${received.toString('latin1')}`;

const chunks = fc.array(fc.uint8Array({ maxLength: 6000, size: 'max' }), { maxLength: 6 });
const cuts = fc.array(fc.nat(100_000), { maxLength: 30 });
const limits = { numRuns: 400, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false };

test('any cut gives the same payload', async () => {
  const property = fc.asyncProperty(chunks, fc.boolean(), cuts, async (bytes, isSigned, at) => {
    const framed = frame(bytes, isSigned);
    const received = await receive(framed, framed.wire, at);
    expect(textOf(received)).toBe(textOf(framed.payload));
  });
  await fc.assert(property, limits);
});

test('one byte at a time gives the same payload', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
    fc.boolean(),
    async (bytes, isSigned) => {
      const framed = frame(bytes, isSigned);
      const everywhere = Array.from({ length: framed.wire.length }, (_, i) => i);
      expect(await receive(framed, framed.wire, everywhere)).toEqual(framed.payload);
    },
  );
  await fc.assert(property, { ...limits, numRuns: 100 });
});

/** Where a flipped bit makes the other case of a letter that is not part of a signature: in a size or a field's name, it means the same. */
const sameMeaning = (wire: Buffer, flipped: Buffer) => lowerCase(wire) === lowerCase(flipped);
const lowerCase = (wire: Buffer): string =>
  wire
    .toString('latin1')
    .split(/(?<=-signature[=:])(.{64})/isu)
    .map((piece, index) => (index % 2 === 1 ? piece : piece.toLowerCase()))
    .join('');

test('one flipped bit anywhere is refused, or stores the same, and alike for any cut', async () => {
  const property = fc.asyncProperty(
    chunks,
    fc.boolean(),
    cuts,
    fc.nat(),
    fc.nat(7),
    async (bytes, signed, at, i, bit) => {
      const framed = frame(bytes, signed);
      const spoilt = Buffer.from(framed.wire);
      const index = i % spoilt.length;
      spoilt[index] = (spoilt[index] ?? 0) ^ (1 << bit);
      const received = await receive(framed, spoilt, at);
      expect(textOf(await receive(framed, spoilt, []))).toBe(textOf(received));
      if (sameMeaning(framed.wire, spoilt) && typeof received !== 'string')
        expect(textOf(received)).toBe(textOf(framed.payload));
      else expect(typeof received).toBe('string');
    },
  );
  await fc.assert(property, { ...limits, numRuns: 1500 });
});

test('a body that ends early is never whole', async () => {
  const property = fc.asyncProperty(chunks, fc.boolean(), cuts, fc.nat(), async (bytes, signed, at, length) => {
    const framed = frame(bytes, signed);
    // The line ends behind the trailer say nothing.
    const cut = framed.wire.subarray(0, length % (framed.wire.length - 4));
    expect(typeof (await receive(framed, cut, at))).toBe('string');
  });
  await fc.assert(property, limits);
});

test('any bytes are refused, alike for any cut, without anything else happening', async () => {
  const property = fc.asyncProperty(
    fc.uint8Array({ maxLength: 300, size: 'max' }),
    cuts,
    fc.boolean(),
    async (bytes, at, isSigned) => {
      const framed = { ...frame([Buffer.from('hello')], isSigned), wire: Buffer.from(bytes) };
      const refusal = await receive(framed, framed.wire, at);
      expect(typeof refusal).toBe('string');
      expect(await receive(framed, framed.wire, [])).toBe(refusal);
    },
  );
  await fc.assert(property, limits);
});
