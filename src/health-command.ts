// The sub-command `health`: asks the proxy of this configuration, on this machine, whether it is alive.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Config } from './config/config.ts';

const timeoutMs = 5000;

/** @returns what the proxy says of itself. @throws Error when it does not answer, or not with 200. */
export async function healthCommand({ server }: Config): Promise<string> {
  const { host, port } = server.address;
  // Nobody connects to the address that stands for all.
  const target = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const place = `${target.includes(':') ? `[${target}]` : target}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { host: target, port, path: '/health', timeout: timeoutMs, agent: false };
  // The certificate is for the names that clients use; what is asked here is this very machine.
  const request =
    server.tls === undefined ? httpRequest(options) : httpsRequest({ ...options, rejectUnauthorized: false });
  request.on('timeout', () => request.destroy(new Error('no answer in time')));
  request.on('error', (error: NodeJS.ErrnoException) =>
    reject(new Error(`the proxy at ${place} does not answer (${error.code ?? error.message})`)),
  );
  request.on('response', (response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('error', reject);
    response.on('end', () => {
      const body = Buffer.concat(pieces).toString('utf8');
      if (response.statusCode === 200) resolve(body);
      else reject(new Error(`the proxy at ${place} answers ${response.statusCode}`));
    });
  });
  request.end();
  return promise;
}
