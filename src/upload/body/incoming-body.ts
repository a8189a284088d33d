// A request's body as the upload sees it: out of its framing, verified piece by piece, and never seen to end before all of
// it is right.
import type { Chunk, RequestBody } from '../../http.ts';
import type { BodyChecksum } from '../../storage/storage.ts';
import { shareChunk } from './share-chunk.ts';
import type { Verifier } from './verify.ts';

/** Takes the payload out of what arrives. */
export interface Decoder {
  /** @returns the payload, in order, as pieces of the memory of `bytes`. */
  write(bytes: Uint8Array): Uint8Array[];
  /** Called after the last byte. */
  finish(): void;
}

export interface IncomingBodyOptions {
  readonly body: RequestBody;
  readonly verifier: Verifier;
  /** Payload bytes announced; undefined when the length is not known. */
  readonly length: number | undefined;
  /** Undefined: the body is the payload. */
  readonly decoder?: Decoder | undefined;
  /** A checksum that comes behind the payload. */
  readonly checksum?: BodyChecksum | undefined;
}

export class IncomingBody {
  readonly length: number | undefined;
  readonly checksum: BodyChecksum | undefined;
  readonly #body: RequestBody;
  readonly #verifier: Verifier;
  readonly #decoder: Decoder | undefined;
  /** Decoded and not handed out yet. */
  #waiting: Chunk[] = [];
  #isVerified = false;

  constructor({ body, verifier, length, decoder, checksum }: IncomingBodyOptions) {
    this.#body = body;
    this.#verifier = verifier;
    this.#decoder = decoder;
    this.length = length;
    this.checksum = checksum;
  }

  /** True once the last chunk has been handed out; all was right then. */
  get isVerified(): boolean {
    return this.#isVerified;
  }

  get receivedBytes(): number {
    return this.#verifier.receivedBytes;
  }

  /**
   * The next chunk, or null after the last. When the length is known, the chunk with the last byte is handed out only
   * once everything is verified: without it the backend drops what it has.
   * @throws S3Error when the body is wrong, or as RequestBody.read.
   */
  async next(): Promise<Chunk | null> {
    if (this.#isVerified) return null;
    if (this.#decoder !== undefined) return this.#nextDecoded(this.#decoder);
    if (this.length === 0) return this.#finish();
    const chunk = await this.#body.read();
    if (chunk === null) return this.#finish();
    try {
      this.#verifier.write(chunk.bytes);
      if (this.#verifier.receivedBytes === this.length) this.#finish();
    } catch (error) {
      chunk.release();
      throw error;
    }
    return chunk;
  }

  /** Memory for what comes next has been set aside. */
  setReserved(): void {
    this.#body.setReserved();
  }

  /** Takes no more; a pending next() rejects with the reason. */
  cancel(reason: unknown): void {
    this.#body.cancel(reason);
    this.#releaseWaiting();
  }

  /** What comes behind the payload (the last chunk's signature, a trailer) is read before the last piece is handed out. */
  async #nextDecoded(decoder: Decoder): Promise<Chunk | null> {
    try {
      while (this.#waiting.length <= 1) {
        const isComplete = this.#verifier.receivedBytes === this.length;
        if (this.#waiting.length === 1 && !isComplete) break;
        const chunk = await this.#body.read();
        if (chunk === null) {
          decoder.finish();
          this.#finish();
          break;
        }
        this.#decode(decoder, chunk);
      }
    } catch (error) {
      this.#releaseWaiting();
      throw error;
    }
    return this.#waiting.shift() ?? null;
  }

  #decode(decoder: Decoder, chunk: Chunk): void {
    let pieces: Uint8Array[];
    try {
      pieces = decoder.write(chunk.bytes);
      for (const piece of pieces) this.#verifier.write(piece);
    } catch (error) {
      chunk.release();
      throw error;
    }
    if (pieces.length === 0) chunk.release();
    else this.#waiting.push(...shareChunk(chunk, pieces));
  }

  #releaseWaiting(): void {
    for (const chunk of this.#waiting) chunk.release();
    this.#waiting = [];
  }

  #finish(): null {
    this.#verifier.finish();
    this.#isVerified = true;
    return null;
  }
}
