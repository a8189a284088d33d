// The server edge: accepts connections, turns each request into an Exchange, and stops gracefully.
import { randomBytes } from 'node:crypto';
import type { us_listen_socket } from 'uWebSockets.js';
import type { HttpRequest, HttpResponse, RequestHandler } from '../http.ts';
import { S3Error } from '../errors.ts';
import { SlotList } from '../slot-list.ts';
import { createApp, type TlsFiles } from './create-app.ts';
import { Exchange, type ForwardedReader } from './exchange.ts';
import { describeListenFault, findListenFault } from './listen-fault.ts';
import { ReadingRoom, type BodyMemory } from './reading-room.ts';
import { isLoopback } from './loopback.ts';
import { snapshotRequest } from './snapshot-request.ts';

declare module 'uWebSockets.js' {
  interface TemplatedApp {
    /** The addon takes these four; the build's types know only three at a time. */
    listen(
      host: string,
      port: number,
      options: number,
      callback: (socket: us_listen_socket | false) => void,
    ): TemplatedApp;
  }
}

/** The values of the addon's ListenOptions, which it declares but does not export. */
const sharedPort = 0;
const exclusivePort = 1;

export interface EdgeOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** True when other processes listen on the same port beside this one. */
  readonly sharePort: boolean;
  readonly tls: TlsFiles | undefined;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  readonly idleTimeoutSeconds: number;
  /** 0 = none. */
  readonly uploadTimeoutSeconds: number;
  readonly queueTimeoutSeconds: number;
  readonly memory: BodyMemory;
  /** Undefined when no proxy in front is trusted. */
  readonly readForwarded: ForwardedReader | undefined;
  readonly handle: RequestHandler;
  /** Turns what the edge itself refuses into an answer. */
  readonly refuse: (error: unknown, request: HttpRequest) => HttpResponse;
}

export interface Listener {
  readonly port: number;
  /** Open ones, with a request or without. */
  readonly connections: number;
  /** Accepts nothing more; resolves when the last request has been answered. */
  drain(): Promise<void>;
  /** Aborts every request with the reason; their handlers still clean up and answer. */
  abort(reason: unknown): void;
  /** Closes every connection. */
  close(): void;
}

type Addon = typeof import('uWebSockets.js');

let loaded: { readonly addon: Promise<Addon>; readonly maxHeaderBytes: number } | undefined;

/** @throws Error when the addon has been loaded for smaller heads. */
function loadAddon(maxHeaderBytes: number): Promise<Addon> {
  loaded ??= { addon: importAddon(maxHeaderBytes), maxHeaderBytes };
  if (maxHeaderBytes > loaded.maxHeaderBytes)
    throw new Error(
      `server.limits.max_header_bytes cannot be ${maxHeaderBytes}: the first proxy of this process has set ${loaded.maxHeaderBytes} for all; start the one with the largest first`,
    );
  return loaded.addon;
}

/** The addon reads the variable once, when it is loaded; what others have in it, and start with it, is not ours to change. */
async function importAddon(maxHeaderBytes: number): Promise<Addon> {
  const name = 'UWS_HTTP_MAX_HEADERS_SIZE';
  const others = process.env[name];
  process.env[name] = String(maxHeaderBytes);
  try {
    return await import('uWebSockets.js');
  } finally {
    if (others === undefined) delete process.env[name];
    else process.env[name] = others;
  }
}

/** @throws Error when the address cannot be listened on, or an earlier proxy of this process was for smaller heads. */
export async function listen(options: EdgeOptions): Promise<Listener> {
  const uws = await loadAddon(options.maxHeaderBytes);
  const app = createApp(uws, options.tls);
  const room = new ReadingRoom(options.memory, options);
  const { readForwarded } = options;
  const exchanges = new SlotList<Exchange>();
  const idPrefix = randomBytes(5).toString('hex').toUpperCase();
  let requestCount = 0;
  let connections = 0;
  /** Connections with a request, and handlers at work: a handler may clean up after its client has left. */
  let pending = 0;
  let drained: (() => void) | undefined;
  // Made once: a closure over its own head kept each request alive until the next full collection.
  const isStopping = () => drained !== undefined;
  const settle = () => {
    pending--;
    if (pending === 0) drained?.();
  };

  app.filter((socket, change) => {
    connections += change;
    if (change > 0 && connections > options.maxConnections) socket.close();
  });

  app.any('/*', (response, uwsRequest) => {
    const head = snapshotRequest(uwsRequest);
    const id = `${idPrefix}${(requestCount++).toString(16).toUpperCase().padStart(6, '0')}`;
    const exchange = new Exchange(response, head, { id, room, isTls: options.tls !== undefined, readForwarded });
    const slot = exchanges.add(exchange);
    pending++;
    exchange.onDone = () => {
      exchanges.remove(slot);
      settle();
    };
    const fault = head.fault ?? overload(room, head.bodyLength, isStopping());
    if (fault !== undefined) {
      exchange.respond(options.refuse(fault, exchange), { close: true });
      return;
    }
    room.enter(exchange.body);
    pending++;
    void answer(exchange, options, head.mayHideBody ? always : isStopping).finally(settle);
  });

  const { host, port: wantedPort } = options;
  const socket = await new Promise<us_listen_socket | false>((resolve) => {
    app.listen(host, wantedPort, options.sharePort ? sharedPort : exclusivePort, resolve);
  });
  if (socket === false) {
    const code = await findListenFault({ host, port: wantedPort });
    throw new Error(describeListenFault({ host, port: wantedPort, setting: 'server.address' }, code));
  }

  const port = uws.us_socket_local_port(socket);
  if (isLoopback(options.host)) {
    const { limitReceiveBuffer } = await import('./receive-buffer.ts');
    limitReceiveBuffer(port);
  }

  return {
    port,
    get connections() {
      return connections;
    },
    drain: () =>
      new Promise((resolve) => {
        drained = resolve;
        uws.us_listen_socket_close(socket);
        if (pending === 0) resolve();
      }),
    abort: (reason) => {
      for (const exchange of exchanges) exchange.abort(reason);
    },
    close: () => {
      room.close();
      app.close();
    },
  };
}

const always = (): boolean => true;

/** Bodies are refused unread while nothing is left to hold them and enough wait for it, and all while the process stops. */
function overload(room: ReadingRoom, bodyLength: number | undefined, stopping: boolean): S3Error | undefined {
  if (bodyLength === 0) return undefined;
  if (stopping)
    return new S3Error('ServiceUnavailable', { detail: 'The server is shutting down. Try again.', retryAfterMs: 1000 });
  return room.mayEnter ? undefined : new S3Error('SlowDown', { retryAfterMs: 1000 });
}

async function answer(exchange: Exchange, options: EdgeOptions, mustClose: () => boolean): Promise<void> {
  let response: HttpResponse;
  try {
    response = await options.handle(exchange);
  } catch (error) {
    response = options.refuse(error, exchange);
  }
  exchange.respond(response, { close: mustClose() });
}
