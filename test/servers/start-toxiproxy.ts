// Starts toxiproxy, and speaks the part of its HTTP API that the tests need.
// Source: github.com/Shopify/toxiproxy, README, "HTTP API" and "Toxics".
import { findServer } from './find-server.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady } from './start-process.ts';

export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  /** upstream: client to server; downstream: server to client. */
  readonly stream: 'upstream' | 'downstream';
  /** In the units of toxiproxy: latency and timeouts in milliseconds, bandwidth rate in KB/s, limit_data in bytes. */
  readonly attributes: Readonly<Record<string, number>>;
  /** Share of the connections that it strikes; 1 unless told. */
  readonly toxicity?: number;
}

export interface ToxicProxy {
  /** Scheme, host and port to give to the client in place of the server's. */
  readonly endpoint: string;
  addToxic(toxic: Toxic): Promise<{ remove(): Promise<void> }>;
  /** Off: open connections are cut and new ones refused. */
  setEnabled(isEnabled: boolean): Promise<void>;
  delete(): Promise<void>;
}

export interface Toxiproxy {
  readonly endpoint: string;
  /** @param upstreamEndpoint scheme, host and port of the server behind it. */
  createProxy(upstreamEndpoint: string): Promise<ToxicProxy>;
  stop(): Promise<void>;
}

export async function startToxiproxy(): Promise<Toxiproxy> {
  const program = await findServer('toxiproxy');
  const port = await freePort();
  const running = startProcess({ command: program, args: ['-host', '127.0.0.1', '-port', String(port)] });
  const endpoint = `http://127.0.0.1:${port}`;
  await waitUntilReady(running, async () => (await fetch(`${endpoint}/version`)).ok);
  let made = 0;
  return {
    endpoint,
    async createProxy(upstreamEndpoint) {
      made += 1;
      const name = `proxy-${made}`;
      const listen = `127.0.0.1:${await freePort()}`;
      await call(endpoint, 'POST', '/proxies', { name, listen, upstream: new URL(upstreamEndpoint).host });
      return toxicProxy(endpoint, name, listen);
    },
    async stop() {
      await running.stop('SIGKILL');
    },
  };
}

function toxicProxy(api: string, name: string, listen: string): ToxicProxy {
  let added = 0;
  return {
    endpoint: `http://${listen}`,
    async addToxic(toxic) {
      added += 1;
      const toxicName = `toxic-${added}`;
      await call(api, 'POST', `/proxies/${name}/toxics`, { toxicity: 1, ...toxic, name: toxicName });
      return { remove: () => call(api, 'DELETE', `/proxies/${name}/toxics/${toxicName}`) };
    },
    setEnabled: (isEnabled) => call(api, 'POST', `/proxies/${name}`, { enabled: isEnabled }),
    delete: () => call(api, 'DELETE', `/proxies/${name}`),
  };
}

async function call(api: string, method: string, pathname: string, body?: object): Promise<void> {
  const response = await fetch(api + pathname, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  if (!response.ok) throw new Error(`toxiproxy: ${method} ${pathname}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}
