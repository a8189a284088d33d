// One request and its answer on a connection of uWebSockets.js: tells the handler when the client leaves, and sees to it
// that an answer given before the body has arrived really reaches the client.
import { STATUS_CODES } from 'node:http';
import type { HttpResponse as UwsResponse } from 'uWebSockets.js';
import { ClientGone, type HttpRequest, type HttpResponse, type RequestHeaders } from '../http.ts';
import type { S3Error } from '../errors.ts';
import { writeAddress } from '../ip-address.ts';
import { BodyReader } from './body-reader.ts';
import type { ReadingRoom } from './reading-room.ts';
import type { RequestHead } from './snapshot-request.ts';

/**
 * A client that is refused while it sends must be read on for a while: closing at once would reset the connection, and
 * the reset would overtake the answer (RFC 9112, section 9.6). What it sends is dropped, up to these bounds, and slowly:
 * a client that is held up has time to see the answer.
 */
const drainBytes = 64 * 1024 * 1024;
const drainTickMs = 50;
const drainTickBytes = 4 * 1024 * 1024;
const drainTicks = 200;
/** A client that has been silent for this long has nothing more to send. */
const drainSilentTicks = 5;

const lineEnd = '\r\n';

interface Drain {
  leftBytes: number;
  leftTicks: number;
  silentTicks: number;
  tickBytes: number;
  readonly timer: NodeJS.Timeout;
}

export interface ExchangeOptions {
  readonly id: string;
  /** Whether the connection itself is TLS. */
  readonly isTls: boolean;
  readonly room: ReadingRoom;
  readonly readForwarded: ForwardedReader | undefined;
}

/** @param peerIp of the connection, as `normalizeAddress` writes it; empty when the connection has gone. */
export type ForwardedReader = (peerIp: string, headers: RequestHeaders) => Forwarded;

/** What trusted proxies say of the client; where it is undefined, nobody who is trusted says, and the connection itself tells. */
export interface Forwarded {
  readonly clientIp: string;
  readonly isTls: boolean | undefined;
  readonly host: string | undefined;
}

export class Exchange implements HttpRequest {
  readonly id: string;
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: RequestHeaders;
  readonly body: BodyReader;
  readonly #response: UwsResponse;
  #aborter: AbortController | undefined;
  #abortReason: unknown;
  #gone = false;
  readonly #isTls: boolean;
  readonly #readForwarded: ForwardedReader | undefined;
  #forwarded: Forwarded | undefined;
  #peerIp: string | undefined;
  #drain: Drain | undefined;
  /** Called once, when nothing more will happen on this exchange. */
  onDone: () => void = () => {};

  constructor(response: UwsResponse, head: RequestHead, { id, isTls, room, readForwarded }: ExchangeOptions) {
    this.id = id;
    this.#isTls = isTls;
    this.#readForwarded = readForwarded;
    this.method = head.method;
    this.rawPath = head.rawPath;
    this.rawQuery = head.rawQuery;
    this.headers = head.headers;
    this.#response = response;
    const onTimeout = (error: S3Error): void => this.abort(error);
    this.body = new BodyReader(room, { throttle: response, length: head.bodyLength, onTimeout });
    response.onAborted(() => this.#onGone());
    response.onData((chunk, isLast) => {
      if (this.#drain === undefined) this.body.push(chunk, isLast);
      else this.#drop(this.#drain, chunk.byteLength, isLast);
    });
  }

  get host(): string {
    return this.#askForwarded()?.host ?? this.headers.get('host') ?? '';
  }

  get isTls(): boolean {
    return this.#askForwarded()?.isTls ?? this.#isTls;
  }

  /** Empty when the connection had gone before it was first asked for. */
  get clientIp(): string {
    return this.#askForwarded()?.clientIp ?? this.#askPeerIp();
  }

  #askForwarded(): Forwarded | undefined {
    if (this.#forwarded === undefined) this.#forwarded = this.#readForwarded?.(this.#askPeerIp(), this.headers);
    return this.#forwarded;
  }

  #askPeerIp(): string {
    this.#peerIp ??= this.#gone ? '' : writeAddress(new Uint8Array(this.#response.getRemoteAddress()));
    return this.#peerIp;
  }

  /** Made when it is first asked for: most small requests never need it. */
  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      this.#aborter = new AbortController();
      if (this.#abortReason !== undefined) this.#aborter.abort(this.#abortReason);
    }
    return this.#aborter.signal;
  }

  /** Ends the work on this request for a reason of ours (a time is over, the process stops); the handler still answers. */
  abort(reason: unknown): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.body.cancel(reason);
    this.#aborter?.abort(reason);
  }

  /** Sends the answer. Nothing is sent to a client that has left. */
  respond(answer: HttpResponse, { close }: { close: boolean }): void {
    if (this.#gone) return;
    if (this.body.ended) this.#send(answer, close);
    // The rest of a small body may lie in the very read that brought the head: then nothing is early, and the connection lives.
    else setImmediate(() => this.#respondLater(answer, close));
  }

  #respondLater(answer: HttpResponse, close: boolean): void {
    if (this.#gone) return;
    if (this.body.ended) this.#send(answer, close);
    else this.#respondEarly(answer);
  }

  #send(answer: HttpResponse, close: boolean): void {
    const response = this.#response;
    response.cork(() => {
      this.#writeHead(answer);
      // Not by endWithoutBody: the server would go on waiting for a body, and close on the connection's next request.
      response.end(this.#bodyOf(answer), close);
    });
    this.#done();
  }

  /** RFC 9110, sections 9.3.2 and 15.3.5: an answer to HEAD has no body, and 204 none. */
  #bodyOf({ status, body = '' }: HttpResponse): NonNullable<HttpResponse['body']> {
    return this.method === 'HEAD' || status === 204 ? '' : body;
  }

  /**
   * Sends the whole answer, but by a way that leaves the response object alive, and with it the means to close the
   * connection later: the status line is written as it is given, so it takes the rest of the message with it. What the
   * server adds after it, a line end, is the end of the body.
   */
  #respondEarly(answer: HttpResponse): void {
    const body = Buffer.from(this.#bodyOf(answer));
    const headers: (readonly [string, string])[] = [
      ...answer.headers,
      // The server's own, which it writes on every other answer: clients whose clock is wrong set it by this.
      ['Date', new Date().toUTCString()],
      ['Content-Length', String(body.length + lineEnd.length)],
      ['Connection', 'close'],
    ];
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.body.cancel(new ClientGone());
    this.#response.cork(() =>
      this.#response.writeStatus(Buffer.concat([Buffer.from(`${statusOf(answer)}\r\n${lines}\r\n`), body])),
    );
    const drain: Drain = {
      leftBytes: drainBytes,
      leftTicks: drainTicks,
      silentTicks: 0,
      tickBytes: 0,
      timer: setInterval(() => this.#tickDrain(drain), drainTickMs),
    };
    this.#drain = drain;
    this.body.resume();
  }

  #drop(drain: Drain, byteLength: number, isLast: boolean): void {
    if (this.#gone) return;
    drain.leftBytes -= byteLength;
    drain.tickBytes += byteLength;
    if (isLast || drain.leftBytes < 0) this.#response.close();
    else if (drain.tickBytes > drainTickBytes) this.body.pause();
  }

  #tickDrain(drain: Drain): void {
    drain.leftTicks--;
    drain.silentTicks = drain.tickBytes === 0 ? drain.silentTicks + 1 : 0;
    drain.tickBytes = 0;
    if (drain.silentTicks >= drainSilentTicks || drain.leftTicks <= 0) this.#response.close();
    else this.body.resume();
  }

  #writeHead(answer: HttpResponse): void {
    this.#response.writeStatus(statusOf(answer));
    for (const [name, value] of answer.headers) this.#response.writeHeader(name, value);
  }

  #onGone(): void {
    if (this.#gone) return;
    if (this.#drain !== undefined) clearInterval(this.#drain.timer);
    this.#gone = true;
    this.body.detach();
    this.abort(new ClientGone());
    this.onDone();
  }

  #done(): void {
    this.#gone = true;
    this.body.detach();
    this.onDone();
  }
}

function statusOf({ status }: HttpResponse): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}
