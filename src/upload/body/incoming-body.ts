// A request's body as the upload sees it: out of its framing, verified piece by piece, and never seen to end before all of
// it is right.
import type { BodyDecoder, Chunk, RequestBody } from '../../http.ts';
import type { BodyChecksum } from '../../storage/storage.ts';
import type { CrcAlgorithm } from './crc-step.ts';
import type { PartedCrc } from './crc.ts';
import type { Verifier } from './verify.ts';

/** What the payload lies in, and what comes behind it. */
export interface BodyFraming {
  readonly decoder: BodyDecoder;
  /** Called after the last byte. @throws S3Error when it is not as it must be. */
  finish(): void;
}

export interface IncomingBodyOptions {
  readonly body: RequestBody;
  readonly verifier: Verifier;
  /** Payload bytes announced; undefined when the length is not known. */
  readonly length: number | undefined;
  /** Undefined: the body is the payload. */
  readonly framing?: BodyFraming | undefined;
  /** A checksum that comes behind the payload. */
  readonly checksum?: BodyChecksum | undefined;
}

export class IncomingBody {
  readonly length: number | undefined;
  readonly checksum: BodyChecksum | undefined;
  readonly #body: RequestBody;
  readonly #verifier: Verifier;
  readonly #framing: BodyFraming | undefined;
  /** Whether the framing is being taken off. Not from the start: a body is opened more than once to find what is wrong with its head. */
  #isBegun = false;
  /** The last of the payload, until what comes behind it has been seen. */
  #last: Chunk | undefined;
  #isVerified = false;

  constructor({ body, verifier, length, framing, checksum }: IncomingBodyOptions) {
    this.#body = body;
    this.#verifier = verifier;
    this.#framing = framing;
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
    if (this.#framing !== undefined) return this.#nextFramed(this.#framing);
    if (this.length === 0) return this.#finish();
    const chunk = await this.#body.read();
    if (chunk === null) return this.#finish();
    this.#verify(chunk);
    return chunk;
  }

  /** A CRC of the body and of its parts, made while it is read. Called before the first `next`. */
  makeCrc(algorithm: CrcAlgorithm, partBytes?: number): PartedCrc {
    return this.#verifier.makeCrc(algorithm, partBytes);
  }

  /** Memory for what comes next has been set aside. */
  setReserved(): void {
    this.#body.setReserved();
  }

  /** Takes no more; a pending next() rejects with the reason. */
  cancel(reason: unknown): void {
    this.#body.cancel(reason);
    this.#releaseLast();
  }

  /** What comes behind the payload (the last chunk's signature, a trailer) is read before the last of it is handed out. */
  async #nextFramed(framing: BodyFraming): Promise<Chunk | null> {
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#body.setDecoder(framing.decoder);
    }
    try {
      for (;;) {
        const chunk = await this.#body.read();
        if (chunk === null) {
          framing.finish();
          this.#finish();
          const last = this.#last ?? null;
          this.#last = undefined;
          return last;
        }
        this.#verify(chunk);
        if (this.#verifier.receivedBytes !== this.length) return chunk;
        this.#last = chunk;
      }
    } catch (error) {
      this.#releaseLast();
      throw error;
    }
  }

  #verify(chunk: Chunk): void {
    try {
      this.#verifier.write(chunk.bytes);
      if (this.#framing === undefined && this.#verifier.receivedBytes === this.length) this.#finish();
    } catch (error) {
      chunk.release();
      throw error;
    }
  }

  #releaseLast(): void {
    this.#last?.release();
    this.#last = undefined;
  }

  #finish(): null {
    this.#verifier.finish();
    this.#isVerified = true;
    return null;
  }
}
