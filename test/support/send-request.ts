// One HTTP request with the path exactly as given (fetch would normalise it), and its whole answer.
import { request as httpRequest, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';

export interface RequestOptions {
  /** Scheme, host and port. */
  readonly url: string;
  readonly method: string;
  /** Path and query as they go over the wire. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks without a content-length header go as chunked transfer coding. */
  readonly body?: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Without one, every request has a connection of its own. */
  readonly agent?: Agent;
  /** PEM of the authority to trust, for https. */
  readonly ca?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export async function sendRequest(options: RequestOptions): Promise<Answer> {
  const answered = Promise.withResolvers<IncomingMessage>();
  const request = (options.url.startsWith('https:') ? httpsRequest : httpRequest)(options.url, {
    method: options.method,
    path: options.path,
    headers: { ...lengthOf(options), ...options.headers },
    agent: options.agent ?? false,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  request.once('response', answered.resolve);
  // After the answer the server may close while the body is still being sent: rejecting a settled promise does nothing.
  request.on('error', answered.reject);
  const { body } = options;
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) request.end(body);
  else {
    const source = Readable.from(body);
    source.pipe(request);
    request.once('close', () => source.destroy());
  }
  const response = await answered.promise;
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  if (!request.writableFinished) request.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces).toString('utf8') };
}

function lengthOf({ body }: RequestOptions): Record<string, string> {
  if (typeof body === 'string') return { 'content-length': String(Buffer.byteLength(body)) };
  return body instanceof Uint8Array ? { 'content-length': String(body.length) } : {};
}

/** The path of a key: each byte outside the unreserved set encoded, slashes kept. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replaceAll(/[!'()*]/gu, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
