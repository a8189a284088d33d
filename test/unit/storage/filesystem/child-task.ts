// What put-in-child.ts is asked to do, and how it is started.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

export interface ChildTask {
  readonly root: string;
  /** Put one after the other, all with the same body. */
  readonly keys: readonly string[];
  readonly seed: string;
  readonly sizeBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body stops coming halfway, for ever. */
  readonly waitsAtHalf?: boolean;
  readonly userId?: number;
}

export interface RunningChild {
  readonly process: ChildProcess;
  /** Resolves once half of the first body has been written. */
  readonly half: Promise<void>;
  /** The ETag or the error's code of each put. @throws Error with what the process said, when it said no outcome. */
  readonly outcomes: Promise<readonly string[]>;
}

const program = path.resolve(import.meta.dirname, 'put-in-child.ts');

/** @param shell runs before the process becomes Node, for example `ulimit -f 1024`. */
export function startChild(task: ChildTask, shell = ':'): RunningChild {
  const command = `${shell} && exec "$0" "$@"`;
  const args = ['-c', command, process.execPath, '--no-warnings', program, JSON.stringify(task)];
  const child = spawn('/bin/bash', args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
  let said = '';
  let complained = '';
  const half = Promise.withResolvers<void>();
  const outcomes = Promise.withResolvers<readonly string[]>();
  outcomes.promise.catch(() => undefined);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes('half\n')) half.resolve();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text;
  });
  child.on('close', () => {
    const failure = new Error(`the child ended: ${complained}`);
    half.reject(failure);
    const last = said.trimEnd().split('\n').at(-1) ?? '';
    if (last.startsWith('[')) outcomes.resolve(JSON.parse(last) as string[]);
    else outcomes.reject(failure);
  });
  half.promise.catch(() => undefined);
  return { process: child, half: half.promise, outcomes: outcomes.promise };
}

/** What a put failed with: the S3 code and, behind it, the system's. */
export function toOutcome(error: unknown): string {
  const codeOf = (value: unknown) => (value instanceof Error && 'code' in value ? String(value.code) : String(value));
  return error instanceof Error ? `${codeOf(error)} ${codeOf(error.cause)}` : String(error);
}
