// Keep-alive connections to one host: the most recently used first, a cap with a fair queue, idle ones closed in time.
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { Fault } from '../../fault.ts';

const receiveBytes = 4096;
const scratchBytes = 16 * 1024;
/** Longer than a caller waits before another attempt. */
const distrustMs = 1000;

export interface ConnectionPoolOptions {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly connectMs: number;
  /** Silence in both directions after which a connection's user is told; 0 = never. */
  readonly idleMs: number;
  /** How long an unused connection is kept. */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
}

/** Whoever has a connection for a request. The calls end with `onClose`, or when the connection is released. */
export interface ConnectionUser {
  /** The bytes are valid during the call only. */
  onBytes(bytes: Uint8Array): void;
  /** The server will send nothing more. */
  onEnd(): void;
  /** No byte was taken or came for idleMs. */
  onSilence(): void;
  /** The socket is gone, and no memory given to it is in use any more. */
  onClose(error: Error | undefined): void;
}

/** The connection could not be made, or it was closed before the answer. */
export class ConnectionLost extends Fault {
  override readonly name = 'ConnectionLost';
}

export class Connection {
  readonly socket: Socket;
  user: ConnectionUser | undefined;
  error: Error | undefined;
  /** False once either side has ended it. */
  isOpen = false;
  /** It has carried a request before. */
  hasServed = false;
  idleSinceMs = 0;

  readonly #transport: Socket;

  /** @param transport the socket itself, or the one under TLS. */
  constructor(socket: Socket, transport: Socket) {
    this.socket = socket;
    this.#transport = transport;
  }

  /** Closes it in the ordinary way. */
  close(): void {
    this.isOpen = false;
    this.socket.destroy();
  }

  /**
   * Ends it in the middle of a request. An ordinary close is the end of the stream to the server, and some (versitygw 1.8, over
   * TLS too) then store what they have of the body as if it were all; a reset is an error to everybody.
   */
  abort(): void {
    this.isOpen = false;
    if (!this.#transport.destroyed) this.#transport.resetAndDestroy();
    this.socket.destroy();
  }
}

/** A place in the queue for a connection. */
export interface Waiter {
  readonly connection: Promise<Connection>;
  cancel(): void;
}

interface Waiting {
  resolve(connection: Connection): void;
  reject(error: Error): void;
}

export class ConnectionPool {
  #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  readonly #options: ConnectionPoolOptions;
  readonly #all = new Set<Connection>();
  /** Open and unused; the last is the most recently used. */
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Waiting>();
  #connecting = 0;
  #sweep: NodeJS.Timeout | undefined;
  #secureContext: SecureContext | undefined;
  #session: Buffer | undefined;
  #distrustedUntilMs = 0;
  #isClosed = false;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  get isUnused(): boolean {
    return this.#all.size === 0 && this.#waiting.size === 0;
  }

  /** An idle connection, if there is one whose time is not over. */
  take(): Connection | undefined {
    // The sweep runs only now and then, and a server may be about to close what has been idle for longer.
    this.#closeOld();
    return this.#idle.pop();
  }

  /** The next connection that becomes free, or a new one. Rejects with ConnectionLost. */
  wait(): Waiter {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const waiting: Waiting = { resolve, reject };
    if (this.#isClosed) reject(new ConnectionLost('the storage is closed'));
    else this.#waiting.add(waiting);
    this.#connectForWaiting();
    return { connection: promise, cancel: () => this.#waiting.delete(waiting) };
  }

  /** Gives back a connection that may carry another request. */
  release(connection: Connection): void {
    if (connection.user !== undefined) connection.hasServed = true;
    connection.user = undefined;
    if (!connection.isOpen || this.#isClosed || (connection.hasServed && performance.now() < this.#distrustedUntilMs)) {
      connection.close();
      return;
    }
    const next = this.#nextWaiting();
    if (next !== undefined) {
      next.resolve(connection);
      return;
    }
    connection.idleSinceMs = performance.now();
    this.#idle.push(connection);
    // The timer neither keeps the process alive nor runs when nothing is idle.
    this.#sweep ??= setTimeout(() => this.#closeIdle(), this.#options.keepAliveMs / 2).unref();
  }

  /** Memory for a head and a small body, shared by all writes that the kernel takes at once: see `leaveScratch`. */
  get scratch(): Buffer {
    return this.#scratch;
  }

  /** The kernel has not taken what was written from the scratch memory: leave it to the socket, nobody may write it again. */
  leaveScratch(): void {
    this.#scratch = Buffer.allocUnsafeSlow(scratchBytes);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#sweep);
    for (const waiting of this.#waiting) waiting.reject(new ConnectionLost('the storage is closed'));
    this.#waiting.clear();
    for (const connection of this.#all) {
      if (connection.user === undefined) connection.close();
      else connection.abort();
    }
  }

  #nextWaiting(): Waiting | undefined {
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      return waiting;
    }
    return undefined;
  }

  #connectForWaiting(): void {
    while (this.#connecting < this.#waiting.size && this.#all.size < this.#options.maxConnections) this.#connect();
  }

  #connect(): void {
    const { isTls, connectMs, idleMs } = this.#options;
    const onBytes = (bytes: Uint8Array): void => this.#onBytes(connection, bytes);
    const transport = this.#openTcp(isTls ? undefined : readInto(Buffer.allocUnsafeSlow(receiveBytes), onBytes));
    const socket = isTls ? this.#openTls(transport) : transport;
    if (isTls) socket.on('data', onBytes);
    const connection = new Connection(socket, transport);
    this.#connecting++;
    this.#all.add(connection);
    let isConnecting = true;
    const giveUp = (): unknown => socket.destroy(new ConnectionLost('connecting took too long'));
    const timer = connectMs > 0 ? setTimeout(giveUp, connectMs) : undefined;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      isConnecting = false;
      this.#connecting--;
      clearTimeout(timer);
      socket.setTimeout(idleMs);
      connection.isOpen = true;
      this.release(connection);
    });
    socket.on('timeout', () => connection.user?.onSilence());
    socket.on('error', (error) => {
      connection.isOpen = false;
      connection.error = error;
    });
    socket.on('end', () => {
      connection.isOpen = false;
      if (connection.user === undefined) {
        this.#drop(connection);
      } else {
        this.#distrustLike(connection);
        connection.user.onEnd();
      }
    });
    socket.on('close', () => {
      clearTimeout(timer);
      if (isConnecting) this.#connecting--;
      this.#all.delete(connection);
      this.#onClose(connection, isConnecting);
    });
  }

  #onClose(connection: Connection, wasConnecting: boolean): void {
    connection.isOpen = false;
    const user = connection.user;
    connection.user = undefined;
    if (wasConnecting) {
      const cause = connection.error;
      // A connection could not be made for anybody; the one who waited longest hears of it.
      this.#nextWaiting()?.reject(new ConnectionLost('the backend could not be reached', { cause }));
    } else if (user === undefined) {
      this.#drop(connection);
    } else {
      if (connection.error !== undefined) this.#distrustLike(connection);
      user.onClose(connection.error);
    }
    this.#connectForWaiting();
  }

  /**
   * The server has ended a connection when it was used again, as after a restart, or as one does that closes idle connections
   * sooner than we do. The others will be no better, and another attempt should not meet one of them.
   */
  #distrustLike(connection: Connection): void {
    if (!connection.hasServed) return;
    this.#distrustedUntilMs = performance.now() + distrustMs;
    for (const idle of this.#idle.filter(({ hasServed }) => hasServed)) this.#drop(idle);
  }

  #openTcp(onread: OnReadOpts | undefined): Socket {
    const { hostname: host, port } = this.#options;
    // Half open: what the socket ends by itself can no longer be reset.
    return connectTcp({ host, port, allowHalfOpen: true, noDelay: true, ...(onread !== undefined && { onread }) });
  }

  #openTls(transport: Socket): Socket {
    const { hostname } = this.#options;
    const socket = connectTls({
      socket: transport,
      // The certificate is checked against it.
      host: hostname,
      // Made once: it holds the default authorities, those of NODE_EXTRA_CA_CERTS too.
      secureContext: (this.#secureContext ??= createSecureContext()),
      ...(isIP(hostname) === 0 && { servername: hostname }),
      ...(this.#session !== undefined && { session: this.#session }),
      ALPNProtocols: ['http/1.1'],
    });
    socket.on('session', (session: Buffer) => {
      this.#session = session;
    });
    transport.on('error', (error) => socket.destroy(error));
    return socket;
  }

  #onBytes(connection: Connection, bytes: Uint8Array): void {
    // Bytes that nobody asked for, such as a 408 on an idle connection: it is of no use any more.
    if (connection.user === undefined) this.#drop(connection);
    else connection.user.onBytes(bytes);
  }

  #drop(connection: Connection): void {
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    connection.close();
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    this.#closeOld();
    if (this.#idle.length > 0) this.#sweep = setTimeout(() => this.#closeIdle(), this.#options.keepAliveMs / 2).unref();
  }

  #closeOld(): void {
    const oldest = performance.now() - this.#options.keepAliveMs;
    while (this.#idle[0] !== undefined && this.#idle[0].idleSinceMs <= oldest) this.#idle.shift()?.close();
  }
}

/** Answers are short and parsed at once, so one small buffer serves a connection for its life. */
function readInto(buffer: Buffer, onBytes: (bytes: Uint8Array) => void): OnReadOpts {
  return {
    buffer,
    callback: (length, bytes) => {
      onBytes(bytes.subarray(0, length));
      return true;
    },
  };
}
