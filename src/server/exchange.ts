// One request and its answer on a connection of uWebSockets.js: tells the handler when the client leaves, and sees to it
// that an answer given before the body has arrived really reaches the client.
import { STATUS_CODES } from 'node:http';
import type { HttpResponse as UwsResponse } from 'uWebSockets.js';
import { ClientGone, type HttpRequest, type HttpResponse, type RequestHeaders } from '../http.ts';
import { BodyReader, type ReadingRoom } from './read-body.ts';
import type { RequestHead } from './snapshot-request.ts';

/**
 * A client that is refused while it sends must be read on for a while: closing at once would reset the connection, and
 * the reset would overtake the answer (RFC 9112, section 9.6). What it sends is dropped, up to these bounds.
 */
const drainBytes = 32 * 1024 * 1024;
const drainTotalMs = 10_000;
/** A client that has been silent for this long waits for the end of the answer. */
const drainSilenceMs = 250;

interface Drain {
  leftBytes: number;
  leftMs: number;
  heard: boolean;
  finish: () => void;
  timer: NodeJS.Timeout;
}

export class Exchange implements HttpRequest {
  readonly id: string;
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: RequestHeaders;
  readonly clientIp: string;
  readonly body: BodyReader;
  readonly #response: UwsResponse;
  #aborter: AbortController | undefined;
  #abortReason: unknown;
  #gone = false;
  #drain: Drain | undefined;
  /** Called once, when nothing more will happen on this exchange. */
  onDone: () => void = () => {};

  constructor(response: UwsResponse, head: RequestHead, room: ReadingRoom, id: string) {
    this.id = id;
    this.method = head.method;
    this.rawPath = head.rawPath;
    this.rawQuery = head.rawQuery;
    this.headers = head.headers;
    this.#response = response;
    this.clientIp = Buffer.from(response.getRemoteAddressAsText()).toString('latin1');
    this.body = new BodyReader(room, response, head.bodyLength);
    this.body.onTimeout = (error) => this.abort(error);
    response.onAborted(() => this.#onGone());
    response.onData((chunk, isLast) =>
      this.#drain === undefined ? this.body.push(chunk, isLast) : this.#drop(chunk.byteLength, isLast),
    );
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
    if (this.body.ended) {
      this.#send(answer, close);
      this.#done();
    } else {
      this.#respondEarly(answer);
    }
  }

  /** Closes the connection without a word. */
  destroy(): void {
    if (!this.#gone) this.#response.close();
  }

  #send(answer: HttpResponse, close: boolean): void {
    const response = this.#response;
    response.cork(() => {
      this.#writeHead(answer);
      if (this.method === 'HEAD') response.endWithoutBody(Buffer.byteLength(answer.body ?? ''), close);
      else if (answer.status === 204) response.endWithoutBody(undefined, close);
      else response.end(answer.body ?? '', close);
    });
  }

  /**
   * Sends all of the answer but its last byte, so that the response object stays alive (and with it the means to close the
   * connection), reads on for a bounded while, then sends that byte.
   */
  #respondEarly(answer: HttpResponse): void {
    const body = Buffer.from(answer.body === undefined || answer.body === '' ? '\n' : answer.body);
    this.body.cancel(new ClientGone());
    this.#response.cork(() => {
      this.#writeHead(answer);
      this.#response.writeHeader('Connection', 'close');
      this.#response.tryEnd(body.subarray(0, -1), body.byteLength);
    });
    const finish = () => {
      clearInterval(drain.timer);
      if (this.#gone) return;
      this.#response.cork(() => this.#response.tryEnd(body.subarray(-1), body.byteLength));
      this.#done();
    };
    const drain: Drain = {
      leftBytes: drainBytes,
      leftMs: drainTotalMs,
      heard: true,
      finish,
      timer: setInterval(() => this.#checkDrain(), drainSilenceMs),
    };
    this.#drain = drain;
    this.body.resume();
  }

  #drop(byteLength: number, isLast: boolean): void {
    const drain = this.#drain;
    if (drain === undefined || this.#gone) return;
    drain.heard = true;
    drain.leftBytes -= byteLength;
    if (isLast) drain.finish();
    else if (drain.leftBytes < 0) this.#response.close();
  }

  #checkDrain(): void {
    const drain = this.#drain as Drain;
    drain.leftMs -= drainSilenceMs;
    if (!drain.heard) drain.finish();
    else if (drain.leftMs <= 0) this.#response.close();
    drain.heard = false;
  }

  #writeHead(answer: HttpResponse): void {
    this.#response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}`);
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
