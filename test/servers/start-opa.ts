// Starts an OPA server, and writes policies and data to it without the code under test.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callServer } from './call-server.ts';
import { findServer } from './find-server.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady } from './start-process.ts';
import { suspendProcess } from './suspend-process.ts';

export interface OpaServer {
  readonly port: number;
  readonly url: string;
  /** Replaces the policy of that name, `policy` unless told. @throws Error with what OPA says of it. */
  putPolicy(rego: string, name?: string): Promise<void>;
  /** @param path below `data`, such as `/grants`. */
  putData(path: string, value: unknown): Promise<void>;
  /** What it has been asked since the last call of this, with `decisionLog` only; its log comes a little late. */
  takeAsked(): Asked[];
  /** It goes on listening and answers nothing. */
  suspend(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface Asked {
  /** Of the rule, without a slash before it. */
  readonly path: string;
  readonly input: unknown;
}

export interface OpaServerOptions {
  readonly policy?: string;
  /** Where another has been, to come back in its place. */
  readonly port?: number;
  /** Answers nobody without it. */
  readonly token?: string;
  /** Serves https; PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly decisionLog?: boolean;
  /** Further arguments of `opa run`. */
  readonly args?: readonly string[];
}

export async function startOpa(options: OpaServerOptions = {}): Promise<OpaServer> {
  const { token, tls } = options;
  const program = await findServer('opa');
  const port = options.port ?? (await freePort());
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-opa-'));
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const args = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--log-level', 'error', '--skip-version-check'];
  if (tls !== undefined) {
    await writeFile(path.join(folder, 'cert.pem'), tls.cert);
    await writeFile(path.join(folder, 'key.pem'), tls.key);
    args.push('--tls-cert-file', path.join(folder, 'cert.pem'), '--tls-private-key-file', path.join(folder, 'key.pem'));
  }
  if (token !== undefined) {
    await writeFile(
      path.join(folder, 'system.rego'),
      `package system.authz\n\ndefault allow := false\n\nallow if input.identity == ${JSON.stringify(token)}\n`,
    );
    args.push('--authentication', 'token', '--authorization', 'basic', path.join(folder, 'system.rego'));
  }
  if (options.decisionLog === true) args.push('--set', 'decision_logs.console=true');
  const running = startProcess({ command: program, args: [...args, ...(options.args ?? [])], folder });
  const call = (method: string, route: string, body?: string): Promise<{ status: number; text: string }> =>
    callServer({ url: url + route, method, body, token });
  const write = async (route: string, body: string): Promise<void> => {
    const { status, text } = await call('PUT', route, body);
    if (status >= 300) throw new Error(`OPA: PUT ${route}: ${status} ${text}`);
  };
  await waitUntilReady(running, async () => (await call('GET', '/health')).status === 200);
  let readTo = 0;
  const server: OpaServer = {
    port,
    url,
    putPolicy: (rego, name = 'policy') => write(`/v1/policies/${name}`, rego),
    putData: (at, value) => write(`/v1/data${at}`, JSON.stringify(value)),
    takeAsked() {
      const output = running.output();
      const end = output.lastIndexOf('\n') + 1;
      const lines = output.slice(readTo, end).split('\n');
      readTo = end;
      return lines.flatMap((line) => readLogged(line) ?? []);
    },
    suspend: () => suspendProcess(running.pid),
    resume: () => process.kill(running.pid, 'SIGCONT'),
    async stop() {
      await running.stop('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
  if (options.policy !== undefined) await server.putPolicy(options.policy);
  return server;
}

function readLogged(line: string): Asked | undefined {
  if (!line.includes('"msg":"Decision Log"')) return undefined;
  const { path: rule, input } = JSON.parse(line) as { path: string; input: unknown };
  return { path: rule, input };
}
