// Verification of bodies: right and wrong digests of every kind, lengths, and cuts anywhere.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestHeaders } from '../../../../src/http.ts';
import { expectedDigests, Verifier, type ExpectedDigest } from '../../../../src/upload/body/verify.ts';

/** Digests of `123456789`: the check values of the CRC catalogue, and those of the RFCs' hashes by OpenSSL. */
const checkValues: readonly ExpectedDigest[] = [
  { algorithm: 'crc32', base64: Buffer.from('cbf43926', 'hex').toString('base64') },
  { algorithm: 'crc32c', base64: Buffer.from('e3069283', 'hex').toString('base64') },
  { algorithm: 'crc64nvme', base64: Buffer.from('ae8b14860a799888', 'hex').toString('base64') },
  { algorithm: 'md5', base64: Buffer.from('25f9e794323b453885f5181f1b624d0b', 'hex').toString('base64') },
  { algorithm: 'sha1', base64: Buffer.from('f7c3bc1d808e04732adf679965ccc34ca7ae3441', 'hex').toString('base64') },
  {
    algorithm: 'sha256',
    base64: Buffer.from('15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225', 'hex').toString('base64'),
  },
];
const body = Buffer.from('123456789');

const emptyDigests: readonly ExpectedDigest[] = [
  { algorithm: 'crc32', base64: 'AAAAAA==' },
  { algorithm: 'crc32c', base64: 'AAAAAA==' },
  { algorithm: 'crc64nvme', base64: 'AAAAAAAAAAA=' },
  { algorithm: 'sha1', base64: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=' },
];

describe('digests', () => {
  test.each(checkValues)('$algorithm is verified for any cut', (expected) => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 8 })), (cuts) => {
        const verifier = new Verifier({ length: 9, maxBytes: 9, digests: [expected] });
        const edges = [0, ...cuts.toSorted((a, b) => a - b), 9];
        for (let i = 1; i < edges.length; i++) verifier.write(body.subarray(edges[i - 1], edges[i]));
        verifier.finish();
        expect(verifier.receivedBytes).toBe(9);
      }),
    );
  });

  test.each(checkValues)('a body that differs by one bit fails $algorithm', (expected) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 71 }), (bit) => {
        const wrong = Buffer.from(body);
        wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
        const verifier = new Verifier({ length: 9, maxBytes: 9, digests: [expected] });
        verifier.write(wrong);
        expect(() => verifier.finish()).toThrow(expect.objectContaining({ code: 'BadDigest', status: 400 }));
      }),
    );
  });

  test.each(emptyDigests)('$algorithm of an empty body', (expected) => {
    const verifier = new Verifier({ length: 0, maxBytes: 0, digests: [expected] });
    expect(() => verifier.finish()).not.toThrow();
  });
});

describe.each([
  ['as they are', false],
  ['where the CRC is made for the parts as well', true],
])('two digests, %s', (_, isCrcMade) => {
  const expected = checkValues.filter(({ algorithm }) => algorithm === 'md5' || algorithm === 'crc32').toReversed();
  const end = (digests: readonly ExpectedDigest[]) => () => {
    const verifier = new Verifier({ length: 9, maxBytes: 9, digests });
    if (isCrcMade) verifier.makeCrc('crc32', 4);
    verifier.write(body);
    verifier.finish();
  };

  test('are both right', () => {
    expect(end(expected)).not.toThrow();
  });

  test.each(['md5', 'crc32'])('a wrong %s alone fails the body', (wrong) => {
    const spoilt = expected.map((one) => (one.algorithm === wrong ? { ...one, base64: 'wrong' } : one));
    expect(end(spoilt)).toThrow(expect.objectContaining({ code: 'BadDigest' }));
  });
});

describe('lengths', () => {
  test('too few and too many bytes are told apart', () => {
    const short = new Verifier({ length: 10, maxBytes: 100, digests: [] });
    short.write(body);
    expect(() => short.finish()).toThrow(expect.objectContaining({ code: 'IncompleteBody' }));
    const long = new Verifier({ length: 8, maxBytes: 100, digests: [] });
    expect(() => long.write(body)).toThrow(expect.objectContaining({ code: 'InvalidRequest' }));
    const large = new Verifier({ length: undefined, maxBytes: 8, digests: [] });
    expect(() => large.write(body)).toThrow(expect.objectContaining({ code: 'EntityTooLarge' }));
  });
});

describe('headers', () => {
  const of = (...fields: string[]) => expectedDigests(new RequestHeaders(fields));

  test('are read as they are sent', () => {
    expect(of('content-md5', 'JfnnlDI7RTiF9RgfG2JNCw==', 'x-amz-checksum-crc32', 'y/Q5Jg==')).toEqual([
      { algorithm: 'crc32', base64: 'y/Q5Jg==' },
      { algorithm: 'md5', base64: 'JfnnlDI7RTiF9RgfG2JNCw==' },
    ]);
  });

  test.each([
    ['content-md5', 'AAAA', 'InvalidDigest'],
    ['content-md5', 'not base64', 'InvalidDigest'],
    ['x-amz-checksum-crc32', 'AAAA', 'InvalidRequest'],
    ['x-amz-checksum-sha256', '', 'InvalidRequest'],
    ['x-amz-checksum-crc32c', 'AAAAAA', 'InvalidRequest'],
  ])('%s: %s is refused with %s', (name, value, code) => {
    expect(() => of(name, value)).toThrow(expect.objectContaining({ code }));
  });

  test('two checksums are refused, as S3 does', () => {
    expect(() => of('x-amz-checksum-crc32', 'y/Q5Jg==', 'x-amz-checksum-crc32c', '4waSgw==')).toThrow(
      expect.objectContaining({ code: 'InvalidRequest' }),
    );
  });
});

test('a body is at least as long as it must be', () => {
  const endAfter = (bytes: Uint8Array) => () => {
    const verifier = new Verifier({ length: undefined, maxBytes: 100, minBytes: 9, digests: [] });
    verifier.write(bytes);
    verifier.finish();
  };
  expect(endAfter(body)).not.toThrow();
  expect(endAfter(body.subarray(1))).toThrow(expect.objectContaining({ code: 'EntityTooSmall' }));
});

test('an inspector sees every byte that is allowed, and the end, before the digests are asked', () => {
  const seen: string[] = [];
  const inspector = {
    write: (bytes: Uint8Array) => void seen.push(Buffer.from(bytes).toString()),
    finish: () => void seen.push('end'),
  };
  const wrong: ExpectedDigest = { algorithm: 'md5', base64: 'AAAAAAAAAAAAAAAAAAAAAA==' };
  const verifier = new Verifier({ length: undefined, maxBytes: 9, digests: [wrong], inspector });
  verifier.write(body.subarray(0, 4));
  verifier.write(body.subarray(4));
  expect(() => verifier.write(body)).toThrow(expect.objectContaining({ code: 'EntityTooLarge' }));
  expect(seen).toEqual(['1234', '56789']);
  const ending = new Verifier({ length: undefined, maxBytes: 9, digests: [wrong], inspector });
  expect(() => ending.finish()).toThrow(expect.objectContaining({ code: 'BadDigest' }));
  expect(seen.at(-1)).toBe('end');
});
