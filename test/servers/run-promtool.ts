// Runs promtool: what it says, and whether it is content.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findServer } from './find-server.ts';

export interface PromtoolRun {
  readonly code: number | null;
  /** Standard output and error. */
  readonly output: string;
}

export async function runPromtool(
  args: readonly string[],
  { cwd, stdin = '' }: { readonly cwd?: string; readonly stdin?: string } = {},
): Promise<PromtoolRun> {
  const child = spawn(await findServer('promtool'), args, { ...(cwd !== undefined && { cwd }), stdio: 'pipe' });
  child.stdin.end(stdin);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, output: output + errors };
}
