// An HTTP/1.1 response parser without I/O: bytes in, cut anywhere, and one answer out (RFC 9112).
//
// head → (1xx: head again) → one of
//   sized        until Content-Length bytes are there
//   chunkSize → chunkData → chunkEnd → chunkSize … → trailers
//   untilClose   until finish()
// → done. A fault leads to `failed` from anywhere; nothing leads out of it.
import { Fault } from '../../fault.ts';

const maxHeadBytes = 64 * 1024;
const maxBodyBytes = 1024 * 1024;
const maxChunkLineBytes = 4096;

const noBytes: Buffer = Buffer.alloc(0);
const headEnd = Buffer.from('\r\n\r\n');
const statusLine = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: .*)?$/;
// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const strayLineEnd = /\0|\r(?!\n)|(?<!\r)\n/;
const lineEnd = '\r\n';
// RFC 9112, section 7.1; eight digits are far past the body's bound already.
const chunkSizeLine = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?$/;

export interface Answer {
  readonly status: number;
  /** Names in lower case, fields of one name joined with `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** Whether the connection may carry another request. */
  readonly keepAlive: boolean;
}

/** What came is not one whole HTTP/1.1 answer within the bounds. */
export class MalformedAnswer extends Fault {
  override readonly name = 'MalformedAnswer';
}

type State = 'head' | 'sized' | 'chunkSize' | 'chunkData' | 'chunkEnd' | 'trailers' | 'untilClose' | 'done' | 'failed';

interface Head {
  readonly status: number;
  readonly headers: Map<string, string>;
  readonly keepAlive: boolean;
}

export class ResponseParser {
  #state: State = 'head';
  /** Bytes seen of a head, chunk line or trailer that is not whole yet; of its own memory. */
  #held = noBytes;
  #heldBytes = 0;
  /** How far `#held` has been searched for the head's end. */
  #searched = 0;
  /** Bytes of heads (1xx included) and trailers so far. */
  #headBytes = 0;
  #head: Head = { status: 0, headers: new Map(), keepAlive: false };
  #body = noBytes;
  #bodyBytes = 0;
  /** Bytes missing of the sized body or of the chunk under way. */
  #missing = 0;
  #hasExcess = false;

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** The whole answer. Only once `isDone`. */
  get answer(): Answer {
    const { status, headers, keepAlive } = this.#head;
    return {
      status,
      headers,
      body: this.#body.subarray(0, this.#bodyBytes),
      keepAlive: keepAlive && !this.#hasExcess,
    };
  }

  /** Takes bytes, which may be overwritten afterwards. @throws MalformedAnswer */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const isHolding = this.#heldBytes > 0;
    const view = isHolding ? this.#hold(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (;;) {
      const next = this.#step(view, at);
      if (next === at) break;
      at = next;
      if (at === view.length) break;
    }
    if (isHolding) {
      view.copyWithin(0, at);
      this.#heldBytes = view.length - at;
    } else if (at < view.length) {
      this.#hold(view.subarray(at));
    }
  }

  /** The connection has closed. @returns the answer when it is whole. @throws MalformedAnswer otherwise. */
  finish(): Answer {
    if (this.#state === 'untilClose') this.#state = 'done';
    if (this.#state !== 'done') this.#fail('the connection was closed in the middle of the answer');
    return this.answer;
  }

  /** One step of the machine from `at`; returns how far it came, `at` itself when it needs more bytes. */
  #step(view: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(view, at);
      case 'sized':
      case 'chunkData':
        return this.#readData(view, at);
      case 'untilClose':
        this.#append(view, at, view.length);
        return view.length;
      case 'chunkSize':
        return this.#readLine(view, at, (line) => this.#startChunk(line));
      case 'chunkEnd':
        return this.#readLine(view, at, (line) => this.#endChunk(line));
      case 'trailers':
        return this.#readLine(view, at, (line) => this.#readTrailer(line));
      case 'done':
        // Nothing was asked for, so what follows belongs to no request: the connection cannot be trusted further.
        this.#hasExcess = true;
        return view.length;
      case 'failed':
        return this.#fail('the answer is malformed');
    }
  }

  #readHead(view: Buffer, at: number): number {
    const end = view.indexOf(headEnd, Math.max(at, this.#searched - 3));
    const length = (end === -1 ? view.length : end + 4) - at;
    if (this.#headBytes + length > maxHeadBytes) this.#fail('the head of the answer is too long');
    if (end === -1) {
      this.#searched = view.length - at;
      return at;
    }
    this.#searched = 0;
    this.#headBytes += length;
    this.#startBody(this.#parseHead(view.toString('latin1', at, end)));
    return end + 4;
  }

  #parseHead(text: string): Head & { readonly isHttp11: boolean } {
    if (strayLineEnd.test(text)) this.#fail('the head of the answer holds a stray line end');
    let end = text.indexOf(lineEnd);
    if (end === -1) end = text.length;
    const status = statusLine.exec(text.slice(0, end));
    if (status === null) return this.#fail('the answer has no status line');
    const headers = new Map<string, string>();
    while (end < text.length) {
      const start = end + 2;
      end = text.indexOf(lineEnd, start);
      if (end === -1) end = text.length;
      this.#readField(text, start, end, headers);
    }
    const isHttp11 = status[1] === '1';
    const connection = headers.get('connection');
    const isClosing = connection !== undefined && /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(connection);
    return { status: Number(status[2]), headers, keepAlive: isHttp11 && !isClosing, isHttp11 };
  }

  #readField(text: string, start: number, end: number, headers: Map<string, string>): void {
    const colon = text.indexOf(':', start);
    // A line that starts with a space (obs-fold, RFC 9112, section 5.2) has no token before its colon either.
    if (colon === -1 || colon > end) this.#fail('the answer has a malformed header field');
    const rawName = text.slice(start, colon);
    const name = knownNames.get(rawName) ?? learnName(rawName) ?? this.#fail('the answer has a malformed header field');
    let from = colon + 1;
    let to = end;
    while (from < to && isSpace(text.charCodeAt(from))) from++;
    while (from < to && isSpace(text.charCodeAt(to - 1))) to--;
    const value = text.slice(from, to);
    const earlier = headers.get(name);
    if (earlier === undefined) headers.set(name, value);
    else if (name !== 'content-length') headers.set(name, `${earlier}, ${value}`);
    else if (earlier !== value) this.#fail('the answer has two lengths');
  }

  /** Which bytes make the body: RFC 9112, section 6.3. */
  #startBody(head: Head & { readonly isHttp11: boolean }): void {
    const { status, headers } = head;
    if (status === 101) this.#fail('the answer switches protocols');
    if (status < 200) return;
    this.#head = head;
    const coding = headers.get('transfer-encoding');
    const length = headers.get('content-length');
    if (coding !== undefined) {
      if (length !== undefined) this.#fail('the answer has both a length and a transfer coding');
      if (coding.toLowerCase() !== 'chunked' || !head.isHttp11) this.#fail('the answer has an unknown transfer coding');
    }
    if (length !== undefined && !/^\d{1,15}$/.test(length)) this.#fail('the answer has a malformed length');
    if (status === 204 || status === 304) {
      this.#state = 'done';
    } else if (coding !== undefined) {
      this.#state = 'chunkSize';
    } else if (length === undefined) {
      this.#head = { ...head, keepAlive: false };
      this.#state = 'untilClose';
    } else {
      this.#missing = Number(length);
      if (this.#missing > maxBodyBytes) this.#fail('the body of the answer is too long');
      this.#state = this.#missing === 0 ? 'done' : 'sized';
    }
  }

  #readData(view: Buffer, at: number): number {
    const end = Math.min(view.length, at + this.#missing);
    this.#append(view, at, end);
    this.#missing -= end - at;
    if (this.#missing === 0) this.#state = this.#state === 'sized' ? 'done' : 'chunkEnd';
    return end;
  }

  #readLine(view: Buffer, at: number, take: (line: string) => void): number {
    const end = view.indexOf(10, at);
    if ((end === -1 ? view.length : end) - at > maxChunkLineBytes) this.#fail('the answer has an overlong line');
    if (end === -1) return at;
    if (end === at || view[end - 1] !== 13) this.#fail('the answer has a stray line end');
    take(view.toString('latin1', at, end - 1));
    return end + 1;
  }

  #startChunk(line: string): void {
    const size = chunkSizeLine.exec(line)?.[1];
    if (size === undefined) return this.#fail('the answer has a malformed chunk size');
    this.#missing = Number.parseInt(size, 16);
    if (this.#bodyBytes + this.#missing > maxBodyBytes) this.#fail('the body of the answer is too long');
    this.#state = this.#missing === 0 ? 'trailers' : 'chunkData';
  }

  #endChunk(line: string): void {
    if (line !== '') this.#fail('a chunk of the answer is longer than its size');
    this.#state = 'chunkSize';
  }

  #readTrailer(line: string): void {
    this.#headBytes += line.length + 2;
    if (this.#headBytes > maxHeadBytes) this.#fail('the trailer of the answer is too long');
    if (line === '') this.#state = 'done';
    else if (!token.test(line.slice(0, Math.max(line.indexOf(':'), 0))))
      this.#fail('the answer has a malformed trailer');
  }

  #append(view: Buffer, from: number, to: number): void {
    const needed = this.#bodyBytes + to - from;
    if (needed > maxBodyBytes) this.#fail('the body of the answer is too long');
    this.#body = grown(this.#body, this.#bodyBytes, needed);
    this.#bodyBytes += view.copy(this.#body, this.#bodyBytes, from, to);
  }

  #hold(bytes: Uint8Array): Buffer {
    const needed = this.#heldBytes + bytes.length;
    this.#held = grown(this.#held, this.#heldBytes, needed);
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = needed;
    return this.#held.subarray(0, needed);
  }

  #fail(reason: string): never {
    this.#state = 'failed';
    throw new MalformedAnswer(reason);
  }
}

/** Names as backends write them, to the same in lower case: they are few, and looking one up is all that most fields cost. */
const knownNames = new Map<string, string>();
const maxKnownNames = 512;

/** @returns the name in lower case, undefined when it is no token. */
function learnName(rawName: string): string | undefined {
  if (!token.test(rawName)) return undefined;
  const name = rawName.toLowerCase();
  // A copy: the name itself is a window on the whole head, which would be kept with it.
  if (knownNames.size < maxKnownNames && name.length <= 64)
    knownNames.set(Buffer.from(rawName).toString('latin1'), name);
  return name;
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9;
}

/** The same bytes with room for `needed`; doubling keeps the copies of many small writes linear. */
function grown(buffer: Buffer, used: number, needed: number): Buffer {
  if (needed <= buffer.length) return buffer;
  const larger = Buffer.allocUnsafe(Math.max(needed, 2 * buffer.length));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
