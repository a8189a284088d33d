// The port that Prometheus scrapes.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { MetricsConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import { contentTypes, renderSnapshot, type MetricSnapshot } from './snapshot.ts';

export interface MetricsServer {
  stop(): Promise<void>;
}

/** @throws Error in one sentence when the address cannot be had. */
export async function serveMetrics(
  config: MetricsConfig,
  { read, log }: { readonly read: () => Promise<readonly MetricSnapshot[]>; readonly log: Log },
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    answer(request, response, read).catch((error: unknown) => {
      log.error({ err: error }, 'metrics could not be read');
      send(response, 500, { 'content-type': 'text/plain' }, 'metrics could not be read\n');
    });
  });
  // A scrape keeps no process alive that has nothing else to do.
  server.unref();
  server.on('connection', (socket) => socket.unref());
  const { port } = await listen(server, config);
  log.info({ url: `http://${hostOf(config)}:${port}/metrics` }, 'serving metrics');
  return {
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listen(server: Server, config: MetricsConfig): Promise<{ readonly port: number }> {
  const { address, port } = config;
  server.listen({ host: address, port, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`cannot listen for metrics on ${hostOf(config)}:${port}: ${reasonOf(error)}`, { cause: error });
  }
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound : { port };
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return 'another program has the port; stop it, or set metrics.port in a config.yaml (config.example.yaml shows how)';
    case 'EACCES':
      return 'this user may not have the port; set metrics.port';
    default:
      return `the address is not one of this machine (${String(code)}); set metrics.address`;
  }
}

const hostOf = ({ address }: MetricsConfig): string => (address.includes(':') ? `[${address}]` : address);

async function answer(
  { method, url = '', headers }: IncomingMessage,
  response: ServerResponse,
  read: () => Promise<readonly MetricSnapshot[]>,
): Promise<void> {
  if (url.split('?', 1)[0] !== '/metrics') return send(response, 404, {}, '');
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, { allow: 'GET, HEAD' }, '');
  const format = headers.accept?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'prometheus';
  const text = await renderSnapshot(await read(), format);
  send(response, 200, { 'content-type': contentTypes[format], vary: 'Accept' }, text);
}

function send(response: ServerResponse, status: number, fields: Readonly<Record<string, string>>, text: string): void {
  response.writeHead(status, { ...fields, 'content-length': Buffer.byteLength(text) }).end(text);
}
