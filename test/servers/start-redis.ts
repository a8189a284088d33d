// Starts a Redis server with nothing in it, which keeps nothing.
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findOnPath, isProgram } from './build-once.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady } from './start-process.ts';
import { suspendProcess } from './suspend-process.ts';

export interface RedisServer {
  readonly port: number;
  readonly password: string;
  readonly url: string;
  /** The server's answer to one command, as its protocol has it. */
  call(command: string): Promise<string>;
  /** It goes on listening and answers nothing. */
  suspend(): void;
  resume(): void;
  stop(): Promise<void>;
}

const password = 'redis-test-password';

/** @param port where another has been, to come back in its place. */
export async function startRedis(port?: number): Promise<RedisServer> {
  const program = findRedis();
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-redis-'));
  const ownPort = port ?? (await freePort());
  const settings = {
    bind: '127.0.0.1',
    port: String(ownPort),
    requirepass: password,
    save: '',
    appendonly: 'no',
    dir: folder,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const running = startProcess({ command: program, args, cwd: folder, folder });
  const call = (command: string) => callOnce(ownPort, `AUTH ${password}\r\n${command}\r\n`);
  await waitUntilReady(running, async () => (await call('PING')).includes('PONG'));
  return {
    port: ownPort,
    password,
    url: `redis://:${password}@127.0.0.1:${ownPort}`,
    call,
    suspend: () => suspendProcess(running.pid),
    resume: () => process.kill(running.pid, 'SIGCONT'),
    async stop() {
      await running.stop('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @throws Error that says how to get the program. */
export function findRedis(): string {
  const explicit = process.env['MIZUCHI_TEST_REDIS'] ?? '';
  if (explicit !== '') {
    if (isProgram(explicit)) return explicit;
    throw new Error(`MIZUCHI_TEST_REDIS is ${explicit}, which is not an executable file`);
  }
  const onPath = findOnPath(['redis-server', 'valkey-server']);
  if (onPath !== undefined) return onPath;
  throw new Error(
    'redis-server is needed by these tests and is not on PATH. Do one of these: set MIZUCHI_TEST_REDIS to the program’s path; ' +
      'or install it (Debian and Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; macOS: brew install redis).',
  );
}

function callOnce(port: number, commands: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.end(`${commands}QUIT\r\n`));
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}
