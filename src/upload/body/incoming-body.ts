// A request's body as the upload sees it: verified chunk by chunk, and never seen to end before all of it is right.
import type { Chunk, RequestBody } from '../../http.ts';
import type { Verifier } from './verify.ts';

export class IncomingBody {
  /** Bytes announced; undefined when the length is not known. */
  readonly length: number | undefined;
  readonly #body: RequestBody;
  readonly #verifier: Verifier;
  #isVerified = false;

  constructor(body: RequestBody, verifier: Verifier, length: number | undefined) {
    this.#body = body;
    this.#verifier = verifier;
    this.length = length;
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
  }

  #finish(): null {
    this.#verifier.finish();
    this.#isVerified = true;
    return null;
  }
}
