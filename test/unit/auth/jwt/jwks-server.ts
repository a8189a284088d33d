// An HTTP server that serves a JWK set, or what else a test makes it answer.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';

export interface JwksServer {
  readonly url: string;
  requestCount(): number;
  serve(...keys: JWK[]): void;
  answer(listener: RequestListener): void;
  close(): Promise<void>;
}

export async function startJwksServer(): Promise<JwksServer> {
  let count = 0;
  let listener: RequestListener = (_, response) => void response.writeHead(500).end();
  const server = createServer((request, response) => {
    count += 1;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    requestCount: () => count,
    serve(...keys) {
      listener = (_, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
    },
    answer(next) {
      listener = next;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
