// One request with a body over one pooled connection: head and body out, the answer in.
//
// waiting     the body's first chunk, then a connection (no socket is held for a client that sends nothing yet)
// sending     head and first chunk in one write, then chunk after chunk, with at most `maxUnflushedBytes` in the socket
// answering   everything is given to the socket; the answer is awaited
// closing     an outcome is known, the connection is being destroyed; ends when the socket has let go of all memory
// settled     the promise is settled, the connection released or gone
//
// An answer, a fault or an abort moves any of the first three to `closing` or `settled`; the first outcome stays.
import type { Chunk } from '../../http.ts';
import type { OutgoingBody } from '../storage.ts';
import {
  ConnectionLost,
  type Connection,
  type ConnectionPool,
  type ConnectionUser,
  type Waiter,
} from './connection-pool.ts';
import { MalformedAnswer, ResponseParser, type Answer } from './response-parser.ts';
import { toS3Error } from './to-s3-error.ts';
import { Fault } from '../../fault.ts';

/** Enough to keep the kernel and the next chunk busy together. */
const maxUnflushedBytes = 1024 * 1024;
const maxUnflushedChunks = 1024;

export interface RequestToSend {
  readonly pool: ConnectionPool;
  /** Everything before the body, the empty line included; asked for when it can be sent, so that its signature is fresh. */
  head(): string;
  readonly length: number;
  readonly body: Pick<OutgoingBody, 'read'>;
  readonly signal: AbortSignal;
  /** For the whole of it; 0 = none. */
  readonly totalMs: number;
}

/** The backend was silent, or the request took longer than it may. */
export class BackendTimeout extends Fault {
  override readonly name = 'BackendTimeout';
}

/** The body did not have the length that was declared for it. */
export class BodyLengthMismatch extends Fault {
  override readonly name = 'BodyLengthMismatch';
}

/**
 * Sends one request and resolves with its answer, whatever its status; one that came before the body was sent ends the sending.
 * Every chunk that was read is released once: when it has been written, or when the socket is gone. A read that is still
 * under way when an early answer settles the promise is not awaited; its chunk is released when it arrives.
 * Rejects with what `body.read()` rejected with, the signal's reason, or an S3Error for a fault of the connection.
 */
export function sendRequest(request: RequestToSend): Promise<Answer> {
  return new Promise((resolve, reject) => {
    new Exchange(request, resolve, reject).start();
  });
}

const uncork = (socket: { uncork(): void }): void => socket.uncork();

type Outcome = { readonly answer: Answer } | { readonly error: unknown };

class Exchange implements ConnectionUser {
  readonly #request: RequestToSend;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #parser = new ResponseParser();
  #connection: Connection | undefined;
  #waiter: Waiter | undefined;
  #totalTimer: NodeJS.Timeout | undefined;
  #outcome: Outcome | undefined;
  /** Bytes of the body that have not been read yet. */
  #remaining: number;
  #isReading = false;
  #isSent = false;
  /** Read and not yet given to the socket. */
  #current: Chunk | undefined;
  /** Given to the socket and not yet taken by the kernel; the write callbacks come in this order. */
  readonly #unflushed: Chunk[] = [];
  #unflushedBytes = 0;
  #wake: (() => void) | undefined;
  // A function, not an object with handleEvent: Node wraps that so that dead exchanges outlive young collections, 5 µs each.
  readonly #onAbort = (): void => this.#end({ error: this.#request.signal.reason });

  constructor(request: RequestToSend, resolve: (answer: Answer) => void, reject: (error: unknown) => void) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#remaining = request.length;
  }

  start(): void {
    const { signal, totalMs } = this.#request;
    if (signal.aborted) {
      this.#reject(signal.reason);
      return;
    }
    signal.addEventListener('abort', this.#onAbort);
    if (totalMs > 0) {
      this.#totalTimer = setTimeout(() => this.#failBackend(new BackendTimeout('the request took too long')), totalMs);
    }
    void this.#send();
  }

  onBytes(bytes: Uint8Array): void {
    try {
      this.#parser.write(bytes);
    } catch (error) {
      this.#failBackend(error);
      return;
    }
    if (this.#parser.isDone) this.#onAnswer(this.#parser.answer);
  }

  onEnd(): void {
    if (this.#outcome !== undefined) return;
    try {
      this.#onAnswer(this.#parser.finish());
    } catch (error) {
      this.#failBackend(error);
    }
  }

  onSilence(): void {
    // A client that sends nothing is not the backend's silence.
    if (this.#isReading && this.#unflushed.length === 0) return;
    this.#failBackend(new BackendTimeout('the backend neither took nor sent a byte in time'));
  }

  onClose(error: Error | undefined): void {
    this.#connection = undefined;
    this.#releaseCurrent();
    while (this.#unflushed.length > 0) this.#unflushed.shift()?.release();
    if (this.#outcome === undefined) {
      this.#failBackend(new ConnectionLost('the connection was lost', { cause: error }));
    } else {
      this.#settle(this.#outcome);
    }
  }

  async #send(): Promise<void> {
    const { pool } = this.#request;
    try {
      await this.#readNext();
      if (this.#outcome !== undefined) return;
      const connection = pool.take() ?? (await this.#waitForConnection());
      if (this.#outcome !== undefined) {
        pool.release(connection);
        return;
      }
      this.#connection = connection;
      connection.user = this;
      if (!connection.isOpen) throw toS3Error(new ConnectionLost('the connection was lost'));
      this.#begin(connection, this.#request.head());
      while (this.#remaining > 0) {
        if (this.#unflushedBytes >= maxUnflushedBytes || this.#unflushed.length >= maxUnflushedChunks) {
          await this.#waitForRoom();
        }
        if (this.#outcome === undefined && connection.isOpen) await this.#readNext();
        // A broken socket takes anything at once: what is read now would be lost. Its close settles the rest.
        if (this.#outcome !== undefined || !connection.isOpen) return;
        this.#write(connection);
      }
      this.#isSent = true;
    } catch (error) {
      this.#end({ error });
    }
  }

  /**
   * Takes the next chunk. The last one is held until the body has said that nothing follows: once the backend has the
   * declared length it makes the object, and a body may still reject.
   */
  async #readNext(): Promise<void> {
    const { body } = this.#request;
    this.#isReading = true;
    let chunk = await body.read();
    if (chunk !== null && this.#outcome === undefined) {
      this.#current = chunk;
      this.#remaining -= chunk.bytes.length;
      if (this.#remaining < 0) throw new BodyLengthMismatch('the body is longer than declared');
      if (this.#remaining > 0) {
        this.#isReading = false;
        return;
      }
      chunk = await body.read();
    }
    this.#isReading = false;
    chunk?.release();
    if (this.#outcome !== undefined) return;
    if (chunk !== null) throw new BodyLengthMismatch('the body is longer than declared');
    if (this.#remaining > 0) throw new BodyLengthMismatch('the body is shorter than declared');
  }

  async #waitForConnection(): Promise<Connection> {
    this.#waiter = this.#request.pool.wait();
    try {
      return await this.#waiter.connection;
    } catch (error) {
      throw toS3Error(error);
    } finally {
      this.#waiter = undefined;
    }
  }

  #waitForRoom(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #begin(connection: Connection, head: string): void {
    const { socket } = connection;
    const { pool } = this.#request;
    const bytes = this.#current?.bytes;
    const scratch = pool.scratch;
    // A copy of a few KiB costs less than a second buffer in the write. UTF-8 takes at most three bytes for a UTF-16 unit.
    if (head.length * 3 + (bytes?.length ?? 0) <= scratch.length) {
      let used = scratch.write(head);
      if (bytes !== undefined) {
        scratch.set(bytes, used);
        used += bytes.length;
      }
      this.#releaseCurrent();
      socket.write(scratch.subarray(0, used));
      if (socket.writableLength > 0) pool.leaveScratch();
      return;
    }
    socket.cork();
    socket.write(head);
    this.#write(connection);
    socket.uncork();
  }

  #write(connection: Connection): void {
    const chunk = this.#current;
    if (chunk === undefined) return;
    this.#current = undefined;
    this.#unflushed.push(chunk);
    this.#unflushedBytes += chunk.bytes.length;
    const { socket } = connection;
    if (socket.writableCorked === 0) {
      // What else is at hand by the end of this turn goes out in the same call of the kernel.
      socket.cork();
      process.nextTick(uncork, socket);
    }
    socket.write(chunk.bytes, this.#onFlushed);
  }

  /** A write's callback: its memory is free, whether it was written or given up. */
  readonly #onFlushed = (error?: Error | null): void => {
    if (error && this.#connection !== undefined) this.#connection.isOpen = false;
    const chunk = this.#unflushed.shift();
    if (chunk === undefined) return;
    this.#unflushedBytes -= chunk.bytes.length;
    chunk.release();
    this.#wake?.();
    this.#wake = undefined;
  };

  #onAnswer(answer: Answer): void {
    if (!this.#isSent && answer.status < 300) {
      this.#failBackend(new MalformedAnswer('the backend reported success before it had the body'));
    } else {
      this.#end({ answer });
    }
  }

  #failBackend(cause: unknown): void {
    this.#end({ error: toS3Error(cause) });
  }

  #releaseCurrent(): void {
    this.#current?.release();
    this.#current = undefined;
  }

  #end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#releaseCurrent();
    this.#waiter?.cancel();
    this.#wake?.();
    const connection = this.#connection;
    if (connection === undefined) {
      this.#settle(outcome);
    } else if (this.#isReusable(connection, outcome)) {
      this.#connection = undefined;
      this.#request.pool.release(connection);
      this.#settle(outcome);
    } else {
      connection.abort();
    }
  }

  #isReusable(connection: Connection, outcome: Outcome): boolean {
    return (
      'answer' in outcome &&
      outcome.answer.keepAlive &&
      this.#isSent &&
      this.#unflushed.length === 0 &&
      connection.isOpen &&
      connection.socket.writableLength === 0
    );
  }

  #settle(outcome: Outcome): void {
    clearTimeout(this.#totalTimer);
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    if ('answer' in outcome) this.#resolve(outcome.answer);
    else this.#reject(outcome.error);
  }
}
