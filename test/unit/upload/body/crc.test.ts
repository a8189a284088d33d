// A CRC of a body and of its parts in one pass, against that of each by itself.
import { crc32c } from '@node-rs/crc32';
import { createRequire } from 'node:module';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCrc, type CrcAlgorithm } from '../../../../src/upload/body/crc-step.ts';
import { PartedCrc } from '../../../../src/upload/body/crc.ts';
import { checksumAlgorithms } from '../../../../src/upload/body/verify.ts';

const require = createRequire(import.meta.url);
const { crc64nvme } = require('aws-crt/dist/native/checksums.js') as { crc64nvme: (bytes: Uint8Array) => DataView };

function base64Of(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString('base64');
}

const directly: Record<CrcAlgorithm, (bytes: Buffer) => string> = {
  crc32: (bytes) => base64Of(crc32(bytes)),
  crc32c: (bytes) => base64Of(crc32c(bytes)),
  crc64nvme: (bytes) => Buffer.from(crc64nvme(bytes).buffer).toString('base64'),
};

describe.each(checksumAlgorithms.filter(isCrc))('%s', (algorithm) => {
  test('of the parts and of the whole, for any parts and however the bytes come', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000, size: 'max' }),
        fc.integer({ min: 1, max: 3000 }),
        fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 8 }),
        (array, partBytes, cuts) => {
          const bytes = Buffer.from(array);
          const crc = new PartedCrc(algorithm, partBytes);
          let at = 0;
          for (const cut of cuts) {
            crc.update(bytes.subarray(at, at + cut));
            at += cut;
          }
          crc.update(bytes.subarray(at));
          expect(crc.digest()).toBe(directly[algorithm](bytes));
          expect(crc.base64).toBe(directly[algorithm](bytes));
          for (let part = 0; part * partBytes < bytes.length; part++) {
            const own = directly[algorithm](bytes.subarray(part * partBytes, (part + 1) * partBytes));
            expect(crc.ofPart(part + 1)).toMatchObject({ algorithm, base64: own });
          }
          expect(crc.ofPart(Math.max(1, Math.ceil(bytes.length / partBytes)) + 1).base64).toBeUndefined();
        },
      ),
    );
  });

  test('of a part is known as soon as its last byte has been seen', () => {
    const crc = new PartedCrc(algorithm, 4);
    const [first, second] = [crc.ofPart(1), crc.ofPart(2)];
    crc.update(Buffer.from('abc'));
    expect(first.base64).toBeUndefined();
    crc.update(Buffer.from('def'));
    expect([first.base64, second.base64]).toEqual([directly[algorithm](Buffer.from('abcd')), undefined]);
    crc.digest();
    expect(second.base64).toBe(directly[algorithm](Buffer.from('ef')));
  });

  test('of nothing, and without parts', () => {
    const nothing = new PartedCrc(algorithm, 4);
    expect([nothing.digest(), nothing.ofPart(1).base64]).toEqual(Array(2).fill(directly[algorithm](Buffer.alloc(0))));
    const one = new PartedCrc(algorithm);
    one.update(Buffer.from('123456789'));
    expect([one.digest(), one.ofPart(1).base64]).toEqual(Array(2).fill(directly[algorithm](Buffer.from('123456789'))));
  });
});
