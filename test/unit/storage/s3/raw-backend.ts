// A server of bytes, for answers that no well-behaved HTTP server gives.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface BackendConnection {
  readonly socket: Socket;
  /** Everything that has come on this connection, as Latin-1. */
  readonly received: () => string;
  /** Resolves once what has come satisfies the condition. */
  readonly until: (condition: (received: string) => boolean) => Promise<void>;
  /** Resolves with the error code of a reset, or 'end' for an ordinary end. */
  readonly ended: Promise<string>;
}

export interface RawBackend {
  readonly endpoint: string;
  readonly port: number;
  readonly connections: readonly BackendConnection[];
  stop(): Promise<void>;
}

/** @param serve called for each connection. */
export async function startRawBackend(serve: (connection: BackendConnection) => unknown): Promise<RawBackend> {
  const connections: BackendConnection[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = watch(socket);
    connections.push(connection);
    serve(connection);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the backend has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    port: address.port,
    connections,
    async stop() {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function watch(socket: Socket): BackendConnection {
  let received = '';
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const waiting = new Set<() => void>();
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    for (const check of waiting) check();
  });
  socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  socket.on('end', () => resolve('end'));
  socket.on('close', () => resolve('closed'));
  return {
    socket,
    received: () => received,
    ended,
    until: (condition) =>
      new Promise((done) => {
        const check = (): void => {
          if (!condition(received)) return;
          waiting.delete(check);
          done();
        };
        waiting.add(check);
        check();
      }),
  };
}

/** The length that the head announces, and how much of the body is there; undefined before the head is whole. */
export function readBody(received: string): { declared: number; bodyBytes: number } | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const declared = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(received.slice(0, end + 2))?.[1]);
  return { declared, bodyBytes: received.length - end - 4 };
}

/** True once one whole request has come. */
export function isWhole(received: string): boolean {
  const body = readBody(received);
  return body !== undefined && body.bodyBytes >= body.declared;
}

/** Requests on one connection that carry no body of more than these tests send, split at their heads. */
export function countRequests(received: string): number {
  return received.split('PUT /').length - 1;
}

export const success = 'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n';

/** Answers each whole request with the same text. */
export function answerWith(text: string): (connection: BackendConnection) => void {
  return ({ socket, received }) => {
    let answered = 0;
    socket.on('data', () => {
      const rest = received().split('PUT /').slice(1)[answered];
      if (rest === undefined || !isWhole(`PUT /${rest}`)) return;
      answered++;
      socket.write(text);
    });
  };
}
