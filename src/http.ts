// What a request, a body and a response are, with no server behind them.

/** Header fields in the order received, names in lower case, duplicates kept. */
export class RequestHeaders {
  readonly #fields: readonly string[];
  #pairs: (readonly [name: string, value: string])[] | undefined;

  /** @param fields name, value, name, value, …; names already in lower case. */
  constructor(fields: readonly string[]) {
    this.#fields = fields;
  }

  /** The field's value; several fields of one name are joined with `, ` (RFC 9110, section 5.2). */
  get(name: string): string | undefined {
    const fields = this.#fields;
    let value: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) value = value === undefined ? fields[i + 1] : `${value}, ${fields[i + 1]}`;
    }
    return value;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Over an array that is made once: each request is gone through several times, and a generator is slow. */
  [Symbol.iterator](): ArrayIterator<readonly [name: string, value: string]> {
    this.#pairs ??= this.#toPairs();
    return this.#pairs[Symbol.iterator]();
  }

  #toPairs(): (readonly [name: string, value: string])[] {
    const pairs: (readonly [name: string, value: string])[] = [];
    for (let i = 0; i < this.#fields.length; i += 2) {
      pairs.push([this.#fields[i] as string, this.#fields[i + 1] as string]);
    }
    return pairs;
  }
}

/**
 * Bytes of a body in memory lent from the process's budget. They stay valid until `release()`, which is
 * called exactly once, by whoever holds the chunk last.
 */
export interface Chunk {
  readonly bytes: Uint8Array;
  release(): void;
}

/** Takes the payload out of a body's framing. */
export interface BodyDecoder {
  /**
   * @param bytes the next of the body, in any cut.
   * @param take is given each piece of the payload in them, in order and in the same memory, before this returns.
   * @throws for what is not framed as it must be: the body fails with it.
   */
  write(bytes: Uint8Array, take: (piece: Uint8Array) => void): void;
}

/** A request's body, pulled: nothing more is taken from the client than is asked for, save a small window. */
export interface RequestBody {
  /** Bytes announced by Content-Length (0 when the request has no body); undefined for chunked transfer coding. */
  readonly length: number | undefined;
  /** Bytes that have arrived so far, read or not. */
  readonly receivedBytes: number;
  /**
   * The next bytes (never empty), or null after the last. One read at a time.
   * @throws ClientGone when the connection closed first; S3Error RequestTimeout, IncompleteBody or EntityTooLarge.
   */
  read(): Promise<Chunk | null>;
  /** From here on `read` gives what the decoder takes out, and rejects with what it throws. Called once at most, before the first `read`. */
  setDecoder(decoder: BodyDecoder): void;
  /** Memory for what comes next has been set aside: it is read even when there is none for others. */
  setReserved(): void;
  /** Takes no more from the client: bytes that wait are given back, and the pending read and every later one reject with the reason. */
  cancel(reason: unknown): void;
}

export interface HttpRequest {
  /** Unique for this request; sent as `x-amz-request-id`. */
  readonly id: string;
  /** In upper case, as received. */
  readonly method: string;
  /** The path exactly as received: not decoded, not normalised, without the query. */
  readonly rawPath: string;
  /** The query exactly as received, without `?`; empty when there is none. */
  readonly rawQuery: string;
  readonly headers: RequestHeaders;
  /** The authority that the client addressed: the Host header field, or what a trusted proxy says that it was. */
  readonly host: string;
  /** The client's address, as `normalizeAddress` writes it; behind trusted proxies the first that is none of theirs. */
  readonly clientIp: string;
  /** Whether the client came over TLS. */
  readonly isTls: boolean;
  readonly body: RequestBody;
  /** Aborted (with ClientGone, or the S3Error that ended it) when the client left or ran out of time. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** Names as they shall be sent. Content-Length is the server's to add. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
}

export type RequestHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** The client closed the connection before its request was whole or answered. Not an error: counted, never answered. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  constructor() {
    super('client closed the connection');
  }
}
