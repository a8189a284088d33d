// An HTTP server that keeps the head of every request as it came, and answers as a test tells it to.
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import type { S3Server } from '../servers/start-s3-server.ts';

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly authorization: string | undefined;
  /** Request line and fields. */
  readonly head: string;
}

export interface Recorder {
  readonly endpoint: string;
  readonly port: number;
  /** In the order of their arrival; may be emptied. */
  readonly seen: SeenRequest[];
  setAnswer(answer: RequestListener): void;
  stop(): Promise<void>;
}

export async function startRecorder(firstAnswer: RequestListener): Promise<Recorder> {
  const seen: SeenRequest[] = [];
  let answer = firstAnswer;
  const server = createServer((request, response) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    seen.push(toSeen(request));
    answer(request, response);
  });
  server.on('connection', (socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the recorder has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    port: address.port,
    seen,
    setAnswer(nextAnswer) {
      answer = nextAnswer;
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function toSeen({ method = '', url: target = '', headers, rawHeaders }: IncomingMessage): SeenRequest {
  const fields = rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\n`));
  return { method, target, authorization: headers.authorization, head: `${method} ${target}\n${fields.join('')}` };
}

/** What a real server says. */
export function passOnTo({ port }: Pick<S3Server, 'port'>): RequestListener {
  return (request, response) => {
    // The Host field is signed: it goes on as it came.
    const { method, url: path, headers } = request;
    const onward = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false });
    onward.on('error', () => response.destroy());
    onward.on('response', (answer) => {
      const { connection: _connection, 'keep-alive': _keepAlive, ...fields } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, fields);
      answer.pipe(response);
    });
    request.on('close', () => {
      if (!request.complete) onward.destroy();
    });
    request.pipe(onward);
  };
}

/** One answer to everything, once the body has come. */
export function answerWith(status: number, headers: Readonly<Record<string, string>>, body = ''): RequestListener {
  return (request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(status, headers).end(body));
  };
}
