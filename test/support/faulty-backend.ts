// A server before a real S3 server that passes everything on, except where a test tells it to misbehave.
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { S3Server } from '../servers/start-s3-server.ts';

export type BackendOperation =
  'PutObject' | 'CreateMultipartUpload' | 'UploadPart' | 'CompleteMultipartUpload' | 'AbortMultipartUpload' | 'Other';

export interface SeenRequest {
  readonly operation: BackendOperation;
  /** Of UploadPart, else 0. */
  readonly partNumber: number;
  /** How often this operation (of this part, upload and key) has been asked for, from 1. */
  readonly attempt: number;
  /** Requests on this connection so far, from 1. */
  readonly indexOnConnection: number;
  readonly atMs: number;
}

export type Fault =
  /** Answers without the real server, after `afterBodyBytes` of the body (default: all of it). */
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Empty: the answer is HTML, as of a gateway that knows nothing of S3. */
      readonly code: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly afterBodyBytes?: number;
    }
  /** Cuts the connection with RST after so many bytes of the body. */
  | { readonly kind: 'reset'; readonly afterBodyBytes: number }
  /** Takes so many bytes of the body, then nothing more, and never answers. */
  | { readonly kind: 'stall'; readonly afterBodyBytes: number }
  /** The real server does it, but its answer is lost with the connection. */
  | { readonly kind: 'lose-answer' }
  /** The real server does it, and its answer is held back for a while. */
  | { readonly kind: 'late-answer'; readonly ms: number }
  /** Announces a longer answer than it sends before it closes. */
  | { readonly kind: 'cut-answer' }
  /** Answers with bytes that are no HTTP, and closes. */
  | { readonly kind: 'garbage' }
  /** The status is 200 and the body an error, as CompleteMultipartUpload may answer. */
  | { readonly kind: 'error-in-200'; readonly code: string };

export interface FaultyBackend {
  readonly endpoint: string;
  readonly seen: readonly SeenRequest[];
  /** From now on, each request for which `choose` gives a fault suffers it. */
  setFault(choose: (request: SeenRequest) => Fault | undefined): void;
  /** Idle connections are closed after this time, without a warning in any header. */
  setKeepAlive(timeoutMs: number): void;
  /** Cuts every connection and refuses new ones. */
  die(): void;
  stop(): Promise<void>;
}

const noFault = (): undefined => undefined;

export async function startFaultyBackend(server: S3Server): Promise<FaultyBackend> {
  const seen: SeenRequest[] = [];
  const attempts = new Map<string, number>();
  const countsOnConnection = new WeakMap<Socket, number>();
  let choose: (request: SeenRequest) => Fault | undefined = noFault;
  let idleMs: number | undefined;
  const front = createServer((request, response) => {
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    response.on('finish', () => {
      if (idleMs !== undefined) closeWhenIdle(request.socket, countsOnConnection, idleMs);
    });
    const described = describe(request, attempts, countsOnConnection);
    seen.push(described);
    const fault = choose(described);
    if (fault === undefined) passOn(server, request, response);
    else misbehave(fault, { server, request, response });
  });
  // None of Node's own, because it names its time in a Keep-Alive header field and so warns the client.
  front.keepAliveTimeout = 0;
  front.requestTimeout = 0;
  front.on('connection', (socket) => socket.on('error', () => undefined));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const address = front.address();
  if (address === null || typeof address === 'string') throw new Error('the backend has no port');
  const die = (): void => {
    front.close();
    front.closeAllConnections();
  };
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    seen,
    setFault(chooseFault) {
      choose = chooseFault;
    },
    setKeepAlive(timeoutMs) {
      idleMs = timeoutMs;
    },
    die,
    async stop() {
      die();
    },
  };
}

function closeWhenIdle(socket: Socket, countsOnConnection: WeakMap<Socket, number>, idleMs: number): void {
  const before = countsOnConnection.get(socket);
  setTimeout(() => {
    if (countsOnConnection.get(socket) === before) socket.destroy();
  }, idleMs);
}

function describe(
  request: IncomingMessage,
  attempts: Map<string, number>,
  countsOnConnection: WeakMap<Socket, number>,
): SeenRequest {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://backend');
  const operation = operationOf(request.method ?? '', searchParams);
  const identity = `${operation} ${pathname} ${searchParams.get('uploadId')} ${searchParams.get('partNumber')}`;
  const attempt = (attempts.get(identity) ?? 0) + 1;
  attempts.set(identity, attempt);
  const indexOnConnection = (countsOnConnection.get(request.socket) ?? 0) + 1;
  countsOnConnection.set(request.socket, indexOnConnection);
  const partNumber = Number(searchParams.get('partNumber') ?? 0);
  return { operation, partNumber, attempt, indexOnConnection, atMs: Date.now() };
}

function operationOf(method: string, query: URLSearchParams): BackendOperation {
  const hasUpload = query.has('uploadId');
  if (method === 'PUT') return hasUpload ? 'UploadPart' : 'PutObject';
  if (method === 'POST' && query.has('uploads')) return 'CreateMultipartUpload';
  if (method === 'POST' && hasUpload) return 'CompleteMultipartUpload';
  return method === 'DELETE' && hasUpload ? 'AbortMultipartUpload' : 'Other';
}

function passOn(
  server: S3Server,
  request: IncomingMessage,
  response: ServerResponse,
  { isAnswerLost = false, lateMs = 0 } = {},
): void {
  const { host, port } = { host: '127.0.0.1', port: server.port };
  // The Host field is signed: it goes on as it came.
  const onward = httpRequest({
    host,
    port,
    method: request.method,
    path: request.url,
    headers: request.headers,
    agent: false,
  });
  onward.on('error', () => response.destroy());
  onward.on('response', (answer) => {
    if (isAnswerLost) {
      answer.resume();
      answer.on('end', () => request.socket.resetAndDestroy());
      return;
    }
    const { connection: _connection, 'keep-alive': _keepAlive, ...headers } = answer.headers;
    const giveAnswer = (): void => {
      response.writeHead(answer.statusCode ?? 502, headers);
      answer.pipe(response);
    };
    if (lateMs === 0) giveAnswer();
    else setTimeout(giveAnswer, lateMs);
  });
  request.on('close', () => {
    if (!request.complete) onward.destroy();
  });
  request.pipe(onward);
}

interface Exchange {
  readonly server: S3Server;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function misbehave(fault: Fault, { server, request, response }: Exchange): void {
  switch (fault.kind) {
    case 'answer':
      afterBody(request, fault.afterBodyBytes ?? Infinity, () => sendError(response, fault));
      return;
    case 'reset':
      afterBody(request, fault.afterBodyBytes, () => request.socket.resetAndDestroy());
      return;
    case 'stall':
      afterBody(request, fault.afterBodyBytes, () => request.pause());
      return;
    case 'lose-answer':
      passOn(server, request, response, { isAnswerLost: true });
      return;
    case 'late-answer':
      passOn(server, request, response, { lateMs: fault.ms });
      return;
    case 'cut-answer':
      afterBody(request, Infinity, () => {
        response.writeHead(200, { 'content-length': '1000', etag: '"00000000000000000000000000000000"' });
        response.write('half');
        setTimeout(() => request.socket.destroy(), 20);
      });
      return;
    case 'garbage':
      afterBody(request, Infinity, () => request.socket.end('\u0001\u0002 this is not HTTP\r\n\r\n'));
      return;
    case 'error-in-200':
      afterBody(request, Infinity, () => sendError(response, { status: 200, code: fault.code }));
  }
}

/** Runs `act` once so many bytes have come, or all of them. */
function afterBody(request: IncomingMessage, bytes: number, act: () => void): void {
  let came = 0;
  let hasActed = false;
  const actOnce = (): void => {
    if (hasActed) return;
    hasActed = true;
    act();
  };
  request.on('data', (chunk: Buffer) => {
    came += chunk.length;
    if (came >= bytes) actOnce();
  });
  request.on('end', actOnce);
  if (bytes === 0) actOnce();
}

function sendError(
  response: ServerResponse,
  { status, code, headers }: { status: number; code: string; headers?: Readonly<Record<string, string>> },
): void {
  const message = 'secret words of the backend';
  response.writeHead(status, { 'content-type': code === '' ? 'text/html' : 'application/xml', ...headers });
  response.end(
    code === '' ? `<html>${message}</html>` : `<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
}
