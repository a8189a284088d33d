// Starts a program that cannot outlive the test process, however that ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { setInterval as every } from 'node:timers/promises';

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment besides PATH: nothing of the tester's own (AWS_*, proxies) gets through. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Removed when the test process dies without stopping the program. */
  readonly folder?: string;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  hasEnded(): boolean;
  /** What it has written so far, standard output and error together. */
  output(): string;
  /** Sends the signal and waits for the end; after `graceMs` it is killed. */
  stop(signal: NodeJS.Signals, graceMs?: number): Promise<ProcessEnd>;
}

// The shell becomes the program (same pid). A watcher beside it reads a pipe whose other end only the test process holds:
// its end without a line means that the test process is gone.
const shell = `
( read -r line <&3 || { kill -9 $$; [ -z "$0" ] || rm -rf -- "$0"; } ) >/dev/null 2>&1 &
exec "$@" 3<&-
`;

export function startProcess({ command, args, env, cwd, folder }: ProcessOptions): RunningProcess {
  const child = spawn('/bin/sh', ['-c', shell, folder ?? '', command, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const pieces: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => pieces.push(text));
  }
  const lifeline = child.stdio[3];
  if (!(lifeline instanceof Socket)) throw new Error('no pipe to the watcher');
  child.once('exit', () => lifeline.end('done\n'));
  let end: ProcessEnd | undefined;
  const ended = once(child, 'close').then(() => (end = { code: child.exitCode, signal: child.signalCode }));
  if (child.pid === undefined) throw new Error(`could not start ${command}`);
  return {
    pid: child.pid,
    ended,
    hasEnded: () => end !== undefined,
    output: () => pieces.join(''),
    async stop(signal, graceMs = 10_000) {
      if (end === undefined) child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const result = await ended;
      clearTimeout(timer);
      return result;
    },
  };
}

/** Waits until `isReady` is true. @throws Error with the program's output when it ends first or `timeoutMs` pass. */
export async function waitUntilReady(
  running: RunningProcess,
  isReady: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for await (const _ of every(25)) {
    if (running.hasEnded()) throw new Error(`the program ended before it was ready:\n${running.output()}`);
    if (await isReady().catch(() => false)) return;
    if (Date.now() > deadline) {
      await running.stop('SIGKILL');
      throw new Error(`the program was not ready within ${timeoutMs} ms:\n${running.output()}`);
    }
  }
}
