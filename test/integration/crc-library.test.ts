// CRCs by ISA-L: as the packages compute them, for bytes in any cut; and a library that has them not, or wrong, is not used.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findIsaL, type IsaL } from '../servers/find-isa-l.ts';
import {
  isCrc,
  loadFromLibrary,
  loadFromPackage,
  type CrcAlgorithm,
  type CrcStep,
} from '../../src/upload/body/crc-step.ts';
import { checksumAlgorithms } from '../../src/upload/body/verify.ts';

const libraryName = 'libisal.so.2';
let isaL: IsaL;
let folder: string;
beforeAll(async () => {
  isaL = await findIsaL();
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-crc-'));
});
afterAll(() => rm(folder, { recursive: true }));

function load(algorithm: CrcAlgorithm): CrcStep {
  const step = loadFromLibrary(algorithm, path.join(isaL.folder, libraryName));
  if (step === undefined) throw new Error(`the library has no ${algorithm}`);
  return step;
}

describe.each(checksumAlgorithms.filter(isCrc))('%s', (algorithm) => {
  test('is what the package says, piece by piece and from any place in memory', () => {
    const byLibrary = load(algorithm);
    const byPackage = loadFromPackage(algorithm);
    const pieces = fc.array(fc.uint8Array({ maxLength: 3000, size: 'max' }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 0, max: 70 }), (arrays, offset) => {
        let crc: number | bigint = 0;
        for (const array of arrays) {
          const memory = Buffer.alloc(offset + array.length + 1, 0xee);
          memory.set(array, offset);
          crc = byLibrary(memory.subarray(offset, offset + array.length), crc);
        }
        expect(BigInt(crc)).toBe(BigInt(byPackage(Buffer.concat(arrays), 0)));
      }),
    );
  });

  test('of a library that has no such function, or is none, or is not there, is not used', () => {
    expect(loadFromLibrary(algorithm, path.join(isaL.emptyFolder, libraryName))).toBeUndefined();
    expect(loadFromLibrary(algorithm, path.resolve('package.json'))).toBeUndefined();
    expect(loadFromLibrary(algorithm, path.join(folder, 'nowhere.so'))).toBeUndefined();
  });

  test('of a library that computes it wrong is not used', async () => {
    const source = path.join(folder, 'wrong.c');
    const wrong = path.join(folder, 'wrong.so');
    await writeFile(
      source,
      `unsigned crc32_gzip_refl() { return 7; } unsigned crc32_iscsi() { return 7; } unsigned long long crc64_rocksoft_refl() { return 7; }`,
    );
    await promisify(execFile)('cc', ['-shared', '-fPIC', '-o', wrong, source]);
    expect(loadFromLibrary(algorithm, wrong)).toBeUndefined();
  });
});
