// The CRCs that S3 knows, and how those of parts make that of the whole.
import type { BodyChecksum } from '../../storage/storage.ts';
import { crcStep, type CrcAlgorithm, type CrcStep } from './crc-step.ts';

/** Bits, and the polynomial with the lowest power in the highest bit. Amazon S3 User Guide, "Checking object integrity". */
const polynomials: Record<CrcAlgorithm, { readonly bits: number; readonly polynomial: bigint }> = {
  crc32: { bits: 32, polynomial: 0xedb88320n },
  crc32c: { bits: 32, polynomial: 0x82f63b78n },
  crc64nvme: { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n },
};

/** A CRC of a body and of each part of it, made in one pass over its bytes. */
export class PartedCrc {
  readonly algorithm: CrcAlgorithm;
  readonly #partBytes: number;
  readonly #step: CrcStep;
  readonly #parts: string[] = [];
  /** Of the parts so far; a body of one part is spared the arithmetic. */
  #whole: number | bigint = 0;
  /** Of the part that is not whole yet. */
  #part: number | bigint = 0;
  #presentBytes = 0;
  /** What moves a CRC past `bytes` more: the same for all parts but the last. */
  #shift: { readonly bytes: number; readonly factor: bigint } | undefined;

  /** @param partBytes of every part but the last; without it the body is one part. */
  constructor(algorithm: CrcAlgorithm, partBytes = Infinity) {
    this.algorithm = algorithm;
    this.#partBytes = partBytes;
    this.#step = crcStep(algorithm);
  }

  update(bytes: Uint8Array): void {
    let rest = bytes;
    for (;;) {
      const missingBytes = this.#partBytes - this.#presentBytes;
      const piece = rest.byteLength > missingBytes ? rest.subarray(0, missingBytes) : rest;
      this.#part = this.#step(piece, this.#part);
      this.#presentBytes += piece.byteLength;
      if (this.#presentBytes === this.#partBytes) this.#endPart();
      if (piece === rest) return;
      rest = rest.subarray(missingBytes);
    }
  }

  /** Called after the last byte. @returns that of the whole. */
  digest(): string {
    if (this.#presentBytes > 0 || this.#parts.length === 0) this.#endPart();
    return this.base64;
  }

  /** That of all whole parts so far, in base64, as S3's headers carry it. */
  get base64(): string {
    return this.#toBase64(this.#whole);
  }

  /** That of a part, which is known once the last byte of it has been seen. @param partNumber from 1 on. */
  ofPart(partNumber: number): BodyChecksum {
    return new PartChecksum(this.algorithm, this.#parts, partNumber - 1);
  }

  #endPart(): void {
    this.#parts.push(this.#toBase64(this.#part));
    this.#whole = this.#parts.length === 1 ? this.#part : this.#pastPart(BigInt(this.#whole)) ^ BigInt(this.#part);
    this.#part = 0;
    this.#presentBytes = 0;
  }

  #pastPart(crc: bigint): bigint {
    const bytes = this.#presentBytes;
    if (this.#shift?.bytes !== bytes) this.#shift = { bytes, factor: powerOfX(8 * bytes, this.algorithm) };
    return multiply(this.#shift.factor, crc, this.algorithm);
  }

  /** Big-endian, as S3 has it. */
  #toBase64(crc: number | bigint): string {
    const bytes = Buffer.alloc(polynomials[this.algorithm].bits / 8);
    if (bytes.length === 4) bytes.writeUInt32BE(Number(crc));
    else bytes.writeBigUInt64BE(BigInt(crc));
    return bytes.toString('base64');
  }
}

class PartChecksum implements BodyChecksum {
  readonly algorithm: CrcAlgorithm;
  readonly #parts: readonly string[];
  readonly #index: number;

  constructor(algorithm: CrcAlgorithm, parts: readonly string[], index: number) {
    this.algorithm = algorithm;
    this.#parts = parts;
    this.#index = index;
  }

  get base64(): string | undefined {
    return this.#parts[this.#index];
  }
}

// A CRC is the remainder of a polynomial over GF(2). With all bits set before and turned after, as in these three, that of A and B
// together is that of A times x^(8·|B|), plus that of B: the two ways of turning bits cancel out.

function multiply(a: bigint, b: bigint, algorithm: CrcAlgorithm): bigint {
  const { bits, polynomial } = polynomials[algorithm];
  let product = 0n;
  let shifted = b;
  for (let bit = BigInt(bits - 1); bit >= 0n; bit--) {
    if (((a >> bit) & 1n) === 1n) product ^= shifted;
    shifted = (shifted & 1n) === 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
  }
  return product;
}

function powerOfX(exponent: number, algorithm: CrcAlgorithm): bigint {
  const one = 1n << BigInt(polynomials[algorithm].bits - 1);
  let power = one;
  let square = one >> 1n;
  for (let rest = BigInt(exponent); rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) power = multiply(power, square, algorithm);
    square = multiply(square, square, algorithm);
  }
  return power;
}
