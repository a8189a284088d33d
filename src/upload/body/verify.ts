// Verifies a body while it streams: its length, Content-MD5 and x-amz-checksum-*; and makes the CRCs that it is to be sent with.
// Synchronous: no I/O, no clock.
import { createHash, hash, type Hash } from 'node:crypto';
import { S3Error } from '../../errors.ts';
import type { RequestHeaders } from '../../http.ts';
import type { ChecksumAlgorithm } from '../../storage/storage.ts';
import type { BodyInspector } from '../operation-context.ts';
import { isCrc, type CrcAlgorithm } from './crc-step.ts';
import { PartedCrc } from './crc.ts';

/** A running digest of a body. */
interface Digest {
  /** @param isWhole whether these are all bytes of the body: there is a shorter way for them. */
  update(bytes: Uint8Array, isWhole: boolean): void;
  /** In base64, as S3's headers carry it. */
  digest(): string;
}

/** Bytes of each digest: a header value of another size is not a digest at all. */
const digestBytes: Record<ChecksumAlgorithm | 'md5', number> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  md5: 16,
  sha1: 20,
  sha256: 32,
};

export const checksumAlgorithms: readonly ChecksumAlgorithm[] = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'];

export interface ExpectedDigest {
  readonly algorithm: ChecksumAlgorithm | 'md5';
  /** Read when the body has ended: a trailing checksum comes only then. */
  readonly base64: string | undefined;
  /** What the client is told when it is another one; BadDigest when left out. */
  readonly mismatch?: 'XAmzContentSHA256Mismatch';
}

/**
 * The digests that a request announces in its header.
 * @throws S3Error InvalidDigest for a Content-MD5, InvalidRequest for a checksum, that is not base64 of the right size, and
 * for more than one x-amz-checksum-* (S3 takes one).
 */
export function expectedDigests(headers: RequestHeaders): ExpectedDigest[] {
  const expected: ExpectedDigest[] = [];
  for (const algorithm of checksumAlgorithms) {
    const base64 = headers.get(`x-amz-checksum-${algorithm}`);
    if (base64 === undefined) continue;
    checkChecksum(algorithm, base64);
    expected.push({ algorithm, base64 });
  }
  if (expected.length > 1) throw moreThanOneChecksum();
  const md5 = headers.get('content-md5');
  if (md5 !== undefined) {
    if (!isDigest(md5, digestBytes.md5)) throw new S3Error('InvalidDigest');
    expected.push({ algorithm: 'md5', base64: md5 });
  }
  return expected;
}

/** @throws S3Error InvalidRequest for what is not base64 of the right size. */
export function checkChecksum(algorithm: ChecksumAlgorithm, base64: string): void {
  if (isDigest(base64, digestBytes[algorithm])) return;
  throw new S3Error('InvalidRequest', { detail: `Value for x-amz-checksum-${algorithm} header is invalid.` });
}

export function moreThanOneChecksum(): S3Error {
  return new S3Error('InvalidRequest', {
    detail: 'Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.',
  });
}

function isDigest(base64: string, byteLength: number): boolean {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.byteLength === byteLength && bytes.toString('base64') === base64;
}

function startDigest(algorithm: ChecksumAlgorithm | 'md5'): Digest {
  if (isCrc(algorithm)) return new PartedCrc(algorithm);
  let running: Hash | undefined;
  let whole: string | undefined;
  return {
    update: (bytes, isWhole) => {
      if (isWhole) whole = hash(algorithm, bytes, 'base64');
      else (running ??= createHash(algorithm)).update(bytes);
    },
    digest: () => whole ?? (running ?? createHash(algorithm)).digest('base64'),
  };
}

export interface VerifierOptions {
  /** Bytes announced; undefined when the length is not known. */
  readonly length: number | undefined;
  readonly maxBytes: number;
  readonly minBytes?: number;
  readonly digests: readonly ExpectedDigest[];
  /** Sees every byte once its number is known to be allowed. */
  readonly inspector?: BodyInspector | undefined;
}

export class Verifier {
  readonly #options: VerifierOptions;
  /** One pass for each algorithm, however many values it must have. */
  readonly #running: { readonly algorithm: ExpectedDigest['algorithm']; digest: Digest }[] = [];
  #receivedBytes = 0;

  constructor(options: VerifierOptions) {
    this.#options = options;
    for (const { algorithm } of options.digests) {
      if (!this.#running.some((one) => one.algorithm === algorithm))
        this.#running.push({ algorithm, digest: startDigest(algorithm) });
    }
  }

  /** Has a CRC made of the body in parts, whether or not the client has sent it. Called before the first byte. */
  makeCrc(algorithm: CrcAlgorithm, partBytes?: number): PartedCrc {
    const crc = new PartedCrc(algorithm, partBytes);
    const running = this.#running.find((one) => one.algorithm === algorithm);
    if (running === undefined) this.#running.push({ algorithm, digest: crc });
    else running.digest = crc;
    return crc;
  }

  /** Payload bytes seen so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** @throws S3Error EntityTooLarge as soon as more arrives than is allowed or was announced; and as the inspector. */
  write(bytes: Uint8Array): void {
    const { length, maxBytes, inspector } = this.#options;
    this.#receivedBytes += bytes.byteLength;
    if (this.#receivedBytes > maxBytes) throw new S3Error('EntityTooLarge');
    if (length !== undefined && this.#receivedBytes > length) {
      throw new S3Error('InvalidRequest', { detail: 'The body is longer than was announced.' });
    }
    inspector?.write(bytes);
    const isWhole = bytes.byteLength === length;
    for (const { digest } of this.#running) digest.update(bytes, isWhole);
  }

  /**
   * Called once, after the last byte and before anything becomes visible.
   * @throws S3Error IncompleteBody, EntityTooSmall, BadDigest, XAmzContentSHA256Mismatch; and as the inspector.
   */
  finish(): void {
    const { length, minBytes = 0, digests, inspector } = this.#options;
    if (length !== undefined && this.#receivedBytes !== length) throw new S3Error('IncompleteBody');
    if (this.#receivedBytes < minBytes) throw new S3Error('EntityTooSmall');
    inspector?.finish();
    for (const { algorithm, digest } of this.#running) {
      const computed = digest.digest();
      for (const { base64, mismatch } of digests.filter((expected) => expected.algorithm === algorithm)) {
        if (computed !== base64) throw new S3Error(mismatch ?? 'BadDigest');
      }
    }
  }
}
