// What the S3 servers of the tests have in common: a port, a temporary folder, credentials, a start and a stop.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findServer, type ServerName } from './find-server.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady } from './start-process.ts';

export interface S3Server {
  readonly name: ServerName;
  /** Scheme, host and port. */
  readonly endpoint: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** What the server has written so far. */
  output(): string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

export interface S3ServerCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly healthPath: string;
}

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
}

const credentials: Credentials = {
  accessKey: 'mizuchi-test',
  secretKey: 'mizuchi-test-secret-key',
  region: 'us-east-1',
};

export async function startS3Server(
  name: ServerName,
  command: (folder: string, port: number, credentials: Credentials) => S3ServerCommand,
): Promise<S3Server> {
  const program = await findServer(name);
  const port = await freePort();
  const folder = await mkdtemp(path.join(tmpdir(), `mizuchi-${name}-`));
  const { args, env, healthPath } = command(folder, port, credentials);
  const running = startProcess({ command: program, args, env: { HOME: folder, ...env }, cwd: folder, folder });
  const endpoint = `http://127.0.0.1:${port}`;
  await waitUntilReady(running, async () => (await fetch(endpoint + healthPath)).ok);
  return {
    name,
    endpoint,
    port,
    ...credentials,
    output: () => running.output(),
    async stop() {
      await running.stop('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
