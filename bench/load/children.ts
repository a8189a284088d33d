// The processes that a run starts, and their certain end: nothing outlives the run, whatever ends it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { processTree } from './accounting.ts';

export interface ChildCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** The last lines that it wrote, for the message when it fails. */
  readonly lastWords: () => string;
}

export interface Children {
  /** A folder that is removed when the run ends. */
  readonly directory: string;
  start(command: ChildCommand, logName: string): Child;
  /** Runs it to its end and gives what it wrote. */
  run(command: ChildCommand, logName: string): Promise<string>;
  /** SIGTERM, and SIGKILL to what is left of its process tree after 5 s. */
  stop(child: Child): Promise<void>;
  /** Kills everything and removes the folder, at once and synchronously. */
  endAll(): void;
}

/**
 * The environment of a child: this one's, without variables that would change what is measured (an SDK's CA bundle,
 * proxies, Node options of the run itself).
 */
function childEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const unwanted = /^(AWS_|NODE_OPTIONS$|NODE_V8_COVERAGE$|https?_proxy$|all_proxy$|no_proxy$)/iu;
  const kept = Object.entries(process.env).filter(([name]) => !unwanted.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

const hasEnded = (child: Child): boolean => child.process.exitCode !== null || child.process.signalCode !== null;

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

export function createChildren(): Children {
  const directory = mkdtempSync(join(tmpdir(), 'mizuchi-bench-'));
  const running = new Set<Child>();
  let runCount = 0;

  const start = (command: ChildCommand, logName: string): Child => {
    const logPath = join(directory, `${logName}.log`);
    const log = openSync(logPath, 'a');
    const spawned = spawn(command.file, command.args, {
      cwd: directory,
      env: childEnvironment(command.env),
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    if (spawned.pid === undefined) throw new Error(`${command.file} could not be started`);
    const child: Child = {
      pid: spawned.pid,
      process: spawned,
      lastWords: () => readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-8).join('\n'),
    };
    running.add(child);
    return child;
  };

  const run = async (command: ChildCommand, logName: string): Promise<string> => {
    const name = `${logName}-${(runCount += 1)}`;
    const child = start(command, name);
    if (!hasEnded(child)) await once(child.process, 'exit');
    running.delete(child);
    const logPath = join(directory, `${name}.log`);
    const written = readFileSync(logPath, 'utf8');
    rmSync(logPath);
    if (child.process.exitCode !== 0) throw new Error(`${command.file} failed: ${written}`);
    return written;
  };

  const stop = async (child: Child): Promise<void> => {
    const tree = processTree(child.pid);
    if (!hasEnded(child)) {
      const exit = once(child.process, 'exit');
      child.process.kill('SIGTERM');
      await Promise.race([exit, delay(5000, undefined, { ref: false })]);
    }
    if (!hasEnded(child)) for (const pid of tree) kill(pid);
    running.delete(child);
  };

  const endAll = (): void => {
    for (const child of running) if (!hasEnded(child)) for (const pid of processTree(child.pid)) kill(pid);
    running.clear();
    rmSync(directory, { recursive: true, force: true });
  };

  return { directory, start, run, stop, endAll };
}
