// Starts an OpenFGA server, and writes models and tuples to it without the code under test.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callServer } from './call-server.ts';
import { findServer } from './find-server.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady } from './start-process.ts';
import { suspendProcess } from './suspend-process.ts';

export interface OpenFgaServer {
  readonly port: number;
  readonly url: string;
  /** POSTs with the first of the preshared keys, if there are any. @throws Error with the answer when it is not 2xx. */
  post(path: string, body: object): Promise<Record<string, unknown>>;
  /** It goes on listening and answers nothing. */
  suspend(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface OpenFgaOptions {
  /** Where another has been, to come back in its place. */
  readonly port?: number;
  /** An SQLite file for what must outlive the server; undefined: it is kept in memory. */
  readonly database?: string;
  /** It remembers its answers for a minute. */
  readonly remembers?: boolean;
  /** API tokens; undefined: everybody is answered. */
  readonly presharedKeys?: readonly string[];
  /** Takes the JWTs of this issuer alone. */
  readonly oidc?: { readonly issuer: string; readonly audience: string };
  /** Serves https; absolute paths of PEM files. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Sent by `post` instead of a preshared key. */
  readonly token?: () => Promise<string>;
}

export async function startOpenFga(options: OpenFgaOptions = {}): Promise<OpenFgaServer> {
  const { presharedKeys = [], oidc, tls } = options;
  const program = await findServer('openfga');
  if (options.database !== undefined) {
    const migrated = startProcess({ command: program, args: ['migrate', ...toArgs(datastore(options.database))] });
    if ((await migrated.ended).code !== 0) throw new Error(`the database was not made:\n${migrated.output()}`);
  }
  const port = options.port ?? (await freePort());
  const settings = {
    ...datastore(options.database),
    'http-addr': `127.0.0.1:${port}`,
    'grpc-addr': `127.0.0.1:${await freePort()}`,
    'playground-enabled': 'false',
    'metrics-enabled': 'false',
    'log-level': 'error',
    ...(options.remembers === true
      ? { 'check-query-cache-enabled': 'true', 'check-query-cache-ttl': '60s', 'check-cache-limit': '1000' }
      : {}),
    ...(presharedKeys.length === 0
      ? {}
      : { 'authn-method': 'preshared', 'authn-preshared-keys': presharedKeys.join(',') }),
    ...(oidc === undefined
      ? {}
      : { 'authn-method': 'oidc', 'authn-oidc-issuer': oidc.issuer, 'authn-oidc-audience': oidc.audience }),
    ...(tls === undefined
      ? {}
      : { 'http-tls-enabled': 'true', 'http-tls-cert': tls.certFile, 'http-tls-key': tls.keyFile }),
  };
  // It leaves a socket in a folder of its own there.
  const folder = await mkdtemp(join(tmpdir(), 'mizuchi-openfga-'));
  const running = startProcess({
    command: program,
    args: ['run', ...toArgs(settings)],
    env: { TMPDIR: folder },
    folder,
  });
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  await waitUntilReady(
    running,
    async () => (await callServer({ url: `${url}/healthz`, method: 'GET' })).status === 200,
  );
  return {
    port,
    url,
    async post(path, body) {
      const token = (await options.token?.()) ?? presharedKeys[0];
      const { status, text } = await callServer({ url: url + path, method: 'POST', body: JSON.stringify(body), token });
      if (status >= 300) throw new Error(`${path}: ${status} ${text}`);
      return JSON.parse(text) as Record<string, unknown>;
    },
    suspend: () => suspendProcess(running.pid),
    resume: () => process.kill(running.pid, 'SIGCONT'),
    async stop() {
      await running.stop('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function datastore(file: string | undefined): Readonly<Record<string, string>> {
  return file === undefined
    ? { 'datastore-engine': 'memory' }
    : { 'datastore-engine': 'sqlite', 'datastore-uri': `file:${file}` };
}

function toArgs(settings: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
}

export interface Tuple {
  readonly user: string;
  readonly relation: string;
  readonly object: string;
}

export interface OpenFgaStore {
  readonly storeId: string;
  readonly modelId: string;
  write(...tuples: readonly Tuple[]): Promise<void>;
  delete(...tuples: readonly Tuple[]): Promise<void>;
}

/** @param model as the API takes it. */
export async function createStore(
  server: OpenFgaServer,
  model: object,
  tuples: readonly Tuple[] = [],
): Promise<OpenFgaStore> {
  const storeId = String((await server.post('/stores', { name: 'tests' }))['id']);
  const written = await server.post(`/stores/${storeId}/authorization-models`, model);
  const modelId = String(written['authorization_model_id']);
  const change = async (kind: 'writes' | 'deletes', changed: readonly Tuple[]): Promise<void> => {
    await server.post(`/stores/${storeId}/write`, {
      authorization_model_id: modelId,
      [kind]: { tuple_keys: changed },
    });
  };
  if (tuples.length > 0) await change('writes', tuples);
  return {
    storeId,
    modelId,
    write: (...changed) => change('writes', changed),
    delete: (...changed) => change('deletes', changed),
  };
}
