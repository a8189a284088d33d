// A PutObject with a condition that is made again because its answer was lost: it may fail on the object that it has made itself.
import { createHash } from 'node:crypto';
import type { CallTrace } from '../../call-trace.ts';
import { S3Error } from '../../errors.ts';
import type { Chunk } from '../../http.ts';
import type { BodyChecksum, ObjectAddress, ObjectHeaders, OutgoingBody, Stored } from '../storage.ts';
import type { ControlClient } from './control-client.ts';
import { headObject, unquoted, type FoundObject } from './head-object.ts';
import { pickShownHeaders } from './header-field.ts';

export interface PutRequest {
  readonly address: ObjectAddress;
  /** In SigV4's canonical form, which is also sent. */
  readonly query: string;
  readonly headers: ObjectHeaders;
  readonly body: OutgoingBody;
  readonly signal: AbortSignal;
  readonly trace: CallTrace | undefined;
}

/** One attempt. */
type Put = (request: PutRequest) => Promise<Stored>;

export class LostPuts {
  readonly #client: ControlClient;
  /** The header fields stand for the upload: they are one object for all of its attempts, and go when it ends. */
  readonly #lost = new WeakSet<ObjectHeaders>();

  constructor(client: ControlClient) {
    this.#client = client;
  }

  has(headers: ObjectHeaders): boolean {
    return this.#lost.has(headers);
  }

  /** Remembers an attempt that failed, if its object may be there all the same and stands in the next one's way. */
  noteFailure(headers: ObjectHeaders, error: unknown): void {
    if (!headers.has('if-none-match') && !headers.has('if-match')) return;
    if (error instanceof S3Error && error.retryable && error.code !== 'SlowDown') this.#lost.add(headers);
  }

  /**
   * The next attempt. An object of the same bytes is taken for the upload's own.
   * @throws S3Error ServiceUnavailable when a condition fails, and nobody can tell on whose object.
   */
  async putAgain(request: PutRequest, put: Put): Promise<Stored> {
    const body = new DigestedBody(request.body);
    try {
      return await put({ ...request, body });
    } catch (error) {
      if (!isFailedCondition(error)) throw error;
      const found = await headObject(this.#client, request.address, request);
      const isOwn = found === undefined ? undefined : await isMadeOf(found, body);
      if (found === undefined || isOwn === undefined) throw new S3Error('ServiceUnavailable', { cause: error });
      if (!isOwn) throw error;
      return { etag: found.etag, headers: pickShownHeaders(found.headers) };
    }
  }
}

function isFailedCondition(error: unknown): boolean {
  return (
    error instanceof S3Error && (error.code === 'PreconditionFailed' || error.code === 'ConditionalRequestConflict')
  );
}

/** Undefined when that cannot be told. */
async function isMadeOf(
  { etag, hasOpaqueEtag, sizeBytes }: FoundObject,
  body: DigestedBody,
): Promise<boolean | undefined> {
  if (sizeBytes !== body.length) return false;
  const md5 = unquoted(etag).toLowerCase();
  if (hasOpaqueEtag || !/^[0-9a-f]{32}$/.test(md5)) return undefined;
  return md5 === (await body.digest());
}

/** A body whose digest is known in the end, however much of it the backend took. */
class DigestedBody implements OutgoingBody {
  readonly length: number | undefined;
  readonly checksum: BodyChecksum | undefined;
  readonly #body: OutgoingBody;
  readonly #md5 = createHash('md5');
  #reading: Promise<Chunk | null> | undefined;

  constructor(body: OutgoingBody) {
    this.#body = body;
    this.length = body.length;
    this.checksum = body.checksum;
  }

  read(): Promise<Chunk | null> {
    this.#reading = this.#readNext();
    return this.#reading;
  }

  sentNothing(): void {
    this.#body.sentNothing?.();
  }

  /** MD5 in hex. Reads what is left. */
  async digest(): Promise<string> {
    // An early answer leaves a read behind, whose chunk is released by whoever asked for it.
    let isEnded = (await this.#reading) === null;
    while (!isEnded) {
      const chunk = await this.read();
      chunk?.release();
      isEnded = chunk === null;
    }
    return this.#md5.digest('hex');
  }

  async #readNext(): Promise<Chunk | null> {
    const chunk = await this.#body.read();
    if (chunk !== null) this.#md5.update(chunk.bytes);
    return chunk;
  }
}
