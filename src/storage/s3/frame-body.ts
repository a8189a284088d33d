// A body whose checksum is not known before its end goes to S3 in aws-chunked framing, the checksum behind it.
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
// Chunks … Including Trailing Headers".
import type { Chunk } from '../../http.ts';
import type { BodyChecksum, ChecksumAlgorithm, ObjectHeaders, OutgoingBody } from '../storage.ts';
import { BodyLengthMismatch } from './send-request.ts';
import { Fault } from '../../fault.ts';

export interface FramedBody {
  /** Those of the object, and those that say how the body is framed. */
  readonly headers: ObjectHeaders;
  readonly payloadHash: string;
  /** Bytes on the wire. */
  readonly length: number;
  readonly body: Pick<OutgoingBody, 'read'>;
  /** Gives back what was read and not taken. Called once nobody reads any more. */
  release(): void;
}

/** MinIO refuses chunks of more than 16 MiB; nothing is gained by larger ones. */
const chunkBytes = 8 * 1024 * 1024;
const digestLengths: Record<ChecksumAlgorithm, number> = { crc32: 8, crc32c: 8, crc64nvme: 12, sha1: 28, sha256: 44 };

const release = () => undefined;

/** The body as it is, when there is no checksum or it is known already: then it is a header field. */
export function frameBody(headers: ObjectHeaders, body: OutgoingBody, length: number): FramedBody {
  const { checksum } = body;
  if (checksum === undefined) return { headers, payloadHash: 'UNSIGNED-PAYLOAD', length, body, release };
  const field = `x-amz-checksum-${checksum.algorithm}`;
  if (checksum.base64 !== undefined) {
    const withChecksum = new Map([...headers, [field, checksum.base64]]);
    return { headers: withChecksum, payloadHash: 'UNSIGNED-PAYLOAD', length, body, release };
  }
  // Without aws-chunked in Content-Encoding: x-amz-content-sha256 says it, and versitygw would store the coding.
  const framed = new Map([...headers, ['x-amz-decoded-content-length', String(length)], ['x-amz-trailer', field]]);
  const reader = new FramingReader(body, length, checksum);
  return {
    headers: framed,
    payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    length: framedLength(length, checksum.algorithm),
    body: { read: () => reader.read() },
    release: () => reader.release(),
  };
}

function framedLength(length: number, algorithm: ChecksumAlgorithm): number {
  let bytes = length;
  for (let framed = 0; framed < length; framed += chunkBytes) {
    bytes += beginChunk(Math.min(chunkBytes, length - framed), framed === 0).length;
  }
  return bytes + endChunks(algorithm, 'x'.repeat(digestLengths[algorithm]), length === 0).length;
}

/** @param isFirst false: the line end behind the data before it comes first. */
function beginChunk(bytes: number, isFirst: boolean): string {
  return `${isFirst ? '' : '\r\n'}${bytes.toString(16)}\r\n`;
}

function endChunks(algorithm: ChecksumAlgorithm, base64: string, isFirst: boolean): string {
  return `${beginChunk(0, isFirst)}x-amz-checksum-${algorithm}:${base64}\r\n\r\n`;
}

/** Puts lines between the payload's chunks, which are cut where an aws-chunk ends and otherwise stay as they are. */
class FramingReader {
  readonly #body: OutgoingBody;
  readonly #checksum: BodyChecksum;
  readonly #length: number;
  #framedBytes = 0;
  /** Payload bytes that the present aws-chunk still lacks. */
  #missingBytes = 0;
  readonly #ready: Chunk[] = [];
  #isEnded = false;
  #isReleased = false;

  constructor(body: OutgoingBody, length: number, checksum: BodyChecksum) {
    this.#body = body;
    this.#length = length;
    this.#checksum = checksum;
  }

  async read(): Promise<Chunk | null> {
    if (this.#ready.length === 0 && !this.#isEnded) {
      const chunk = await this.#body.read();
      if (this.#isReleased) chunk?.release();
      else if (chunk === null) this.#end();
      else this.#frame(chunk);
    }
    return this.#ready.shift() ?? null;
  }

  release(): void {
    this.#isReleased = true;
    for (const chunk of this.#ready.splice(0)) chunk.release();
  }

  #frame(chunk: Chunk): void {
    const { bytes } = chunk;
    if (this.#framedBytes + bytes.length > this.#length) {
      chunk.release();
      throw new BodyLengthMismatch('the body is longer than declared');
    }
    let pieces = 0;
    const release = () => {
      if (--pieces === 0) chunk.release();
    };
    for (let at = 0; at < bytes.length;) {
      if (this.#missingBytes === 0) {
        this.#missingBytes = Math.min(chunkBytes, this.#length - this.#framedBytes);
        this.#ready.push(toChunk(beginChunk(this.#missingBytes, this.#framedBytes === 0)));
      }
      const piece = bytes.subarray(at, at + this.#missingBytes);
      this.#ready.push({ bytes: piece, release });
      pieces++;
      at += piece.length;
      this.#missingBytes -= piece.length;
      this.#framedBytes += piece.length;
    }
  }

  #end(): void {
    this.#isEnded = true;
    const { algorithm, base64 } = this.#checksum;
    if (this.#framedBytes < this.#length) throw new BodyLengthMismatch('the body is shorter than declared');
    if (base64 === undefined) throw new Fault('the body ended without its checksum');
    this.#ready.push(toChunk(endChunks(algorithm, base64, this.#length === 0)));
  }
}

function toChunk(text: string): Chunk {
  return { bytes: Buffer.from(text, 'latin1'), release };
}
