// One question to an OPA server over connections that are kept: bounded in time and size, no redirect, one retry.
import type { CallTrace } from '../call-trace.ts';
import * as http from 'node:http';
import * as https from 'node:https';
import { Fault } from '../fault.ts';

/** Holds nothing of a question, and nothing that a server has said but its status. */
export class OpaFault extends Fault {
  override readonly name = 'OpaFault';
  /** Undefined: there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

export interface OpaClientOptions {
  /** Scheme, host and port, perhaps a path; without a trailing slash. */
  readonly url: string;
  /** For one answer, a second attempt included. */
  readonly timeoutMs: number;
  /** Sent as a bearer token. */
  readonly token: string | undefined;
  /** PEM; undefined: the authorities that Node trusts. */
  readonly ca: string | undefined;
}

export interface OpaClient {
  /** @param body JSON. @returns the answer's body. @throws OpaFault unless it is 200. */
  post(path: string, body: string, trace?: CallTrace): Promise<string>;
  /** @throws OpaFault unless the answer is 200; the signal's reason. */
  get(path: string, signal: AbortSignal): Promise<string>;
  /** Ends what is under way. */
  close(): void;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly trace?: CallTrace | undefined;
}

const maxAnswerBytes = 64 * 1024;
const maxConnections = 256;
/** A connection that was kept may be gone, and a server may be between two starts. */
const connectionErrors: ReadonlySet<string | undefined> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** @throws TypeError for a URL that is none. */
export function createOpaClient({ url, timeoutMs, token, ca }: OpaClientOptions): OpaClient {
  const { protocol, hostname, port, pathname } = new URL(url);
  const isTls = protocol === 'https:';
  const pool = { keepAlive: true, maxSockets: maxConnections, scheduling: 'lifo' as const };
  const agent = isTls ? new https.Agent({ ...pool, ...(ca === undefined ? {} : { ca }) }) : new http.Agent(pool);
  const basePath = pathname.replace(/\/$/, '');
  const target = {
    agent,
    protocol,
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port === '' ? {} : { port }),
  };
  const credentials = token === undefined ? {} : { authorization: `Bearer ${token}` };

  let isClosed = false;

  function send({ method, path, body, trace }: Asked, signal: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const request = (isTls ? https : http).request({
      ...target,
      method,
      path: basePath + path,
      headers: {
        ...credentials,
        accept: 'application/json',
        ...Object.fromEntries(trace?.fields ?? []),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    });
    // Not by the option `signal`: a request that still waits for a connection would go on waiting.
    const abandon = (): void => {
      reject(signal.reason as Error);
      request.destroy();
    };
    signal.addEventListener('abort', abandon, { once: true });
    request.on('error', reject);
    request.on('response', (response) => {
      const { statusCode: status = 0 } = response;
      trace?.onAnswer?.({ status });
      if (status === 200) {
        readText(response).then(resolve, reject);
        return;
      }
      // Its body may repeat the question, and is for nobody.
      response.on('error', () => undefined);
      response.destroy();
      reject(new OpaFault(`OPA answered ${status}`, status));
    });
    request.end(body);
    return promise;
  }

  /** Twice, where the first attempt found no connection or lost it. */
  async function ask(asked: Asked, outer?: AbortSignal): Promise<string> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), timeoutMs);
    const signal = outer === undefined ? deadline.signal : AbortSignal.any([deadline.signal, outer]);
    try {
      outer?.throwIfAborted();
      return await send(asked, signal).catch((error: unknown) => {
        if (signal.aborted || isClosed || !connectionErrors.has(codeOf(error))) throw error;
        return send(asked, signal);
      });
    } catch (error) {
      outer?.throwIfAborted();
      if (deadline.signal.aborted) throw new OpaFault(`OPA did not answer within ${timeoutMs} ms`);
      if (error instanceof OpaFault) throw error;
      throw new OpaFault(`OPA cannot be asked (${codeOf(error) ?? 'no reason given'})`);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    post: (path, body, trace) => ask({ method: 'POST', path, body, trace }),
    get: (path, signal) => ask({ method: 'GET', path }, signal),
    close() {
      isClosed = true;
      agent.destroy();
    },
  };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop ends the connection.
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxAnswerBytes) throw new OpaFault(`OPA answered more than ${maxAnswerBytes} bytes`, 200);
    pieces.push(piece);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new OpaFault('OPA answered no UTF-8', 200);
  }
}
