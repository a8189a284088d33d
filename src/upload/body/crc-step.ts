// What computes CRCs: ISA-L where the system has it, which uses the widest instructions of the processor, else packages of npm,
// which take two (CRC-32C) or three (CRC-32) to twelve times (CRC-64/NVME) as long.
import { createRequire } from 'node:module';
import koffi, { type LibraryHandle } from 'koffi';
import type { ChecksumAlgorithm } from '../../storage/storage.ts';

export type CrcAlgorithm = Extract<ChecksumAlgorithm, `crc${string}`>;

export function isCrc(algorithm: ChecksumAlgorithm | 'md5'): algorithm is CrcAlgorithm {
  return algorithm.startsWith('crc');
}

/** @param previous the CRC of all bytes before these; 0 at the beginning. @returns that of all so far. */
export type CrcStep = (bytes: Uint8Array, previous: number | bigint) => number | bigint;

/** Of the ASCII digits from 1 to 9: catalogue of parametrised CRC algorithms, "check". */
const checkValues: Record<CrcAlgorithm, bigint> = {
  crc32: 0xcbf43926n,
  crc32c: 0xe3069283n,
  crc64nvme: 0xae8b14860a799888n,
};

/** ISA-L's functions: its crc.h and crc64.h, where CRC-64/NVME has the name that its inventor gave it. That is there from 2.31 on. */
const fromLibrary: Record<CrcAlgorithm, (library: LibraryHandle) => CrcStep> = {
  crc32(library) {
    const update = library.func('uint32_t crc32_gzip_refl(uint32_t, const uint8_t *, uint64_t)') as CrcFunction;
    return (bytes, previous) => update(previous, bytes, bytes.byteLength);
  },
  crc32c(library) {
    const update = library.func('uint32_t crc32_iscsi(const uint8_t *, int, uint32_t)') as IscsiFunction;
    // The other two turn the bits around by themselves.
    return (bytes, previous) => ~update(bytes, bytes.byteLength, ~Number(previous) >>> 0) >>> 0;
  },
  crc64nvme(library) {
    const update = library.func('uint64_t crc64_rocksoft_refl(uint64_t, const uint8_t *, uint64_t)') as CrcFunction;
    return (bytes, previous) => update(previous, bytes, bytes.byteLength);
  },
};
type CrcFunction = (previous: number | bigint, bytes: Uint8Array, byteLength: number) => number | bigint;
type IscsiFunction = (bytes: Uint8Array, byteLength: number, previous: number) => number;

const require = createRequire(import.meta.url);

const fromPackage: Record<CrcAlgorithm, () => CrcStep> = {
  crc32() {
    // Twice as fast as the one of node:zlib.
    const { crc32 } = require('@node-rs/crc32') as { crc32: (bytes: Uint8Array, previous: number) => number };
    return (bytes, previous) => crc32(bytes, Number(previous)) >>> 0;
  },
  crc32c() {
    const { crc32c } = loadCrt();
    return (bytes, previous) => crc32c(bytes, Number(previous)) >>> 0;
  },
  crc64nvme() {
    const { crc64nvme } = loadCrt();
    return (bytes, previous) => {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigUint64(0, BigInt(previous));
      return crc64nvme(bytes, view).getBigUint64(0);
    };
  },
};

interface CrtChecksums {
  crc32c(this: void, bytes: Uint8Array, previous: number): number;
  crc64nvme(this: void, bytes: Uint8Array, previous: DataView): DataView;
}
/** Its main module would cost much more than the 40 ms and 10 MiB of this one. */
const loadCrt = () => require('aws-crt/dist/native/checksums.js') as CrtChecksums;

/** @param library its path or name. @returns undefined unless it is there, has the algorithm, and computes it right. */
export function loadFromLibrary(algorithm: CrcAlgorithm, library = 'libisal.so.2'): CrcStep | undefined {
  try {
    const step = fromLibrary[algorithm](koffi.load(library));
    return BigInt(step(Buffer.from('123456789'), 0)) === checkValues[algorithm] ? step : undefined;
  } catch {
    return undefined;
  }
}

export const loadFromPackage = (algorithm: CrcAlgorithm): CrcStep => fromPackage[algorithm]();

const loaded = new Map<CrcAlgorithm, CrcStep>();

/** Loaded when it is first needed. */
export function crcStep(algorithm: CrcAlgorithm): CrcStep {
  let step = loaded.get(algorithm);
  if (step === undefined) {
    step = loadFromLibrary(algorithm) ?? loadFromPackage(algorithm);
    loaded.set(algorithm, step);
  }
  return step;
}
