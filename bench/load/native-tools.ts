// The backend and the load generator: compiled from C where there is a compiler, since they share the cores with what is
// measured; otherwise the same in Node, which costs more and is said in the output.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { ChildCommand } from './children.ts';
import { findProgram } from './machine.ts';

const run = promisify(execFile);
const here = import.meta.dirname;

export interface Tools {
  readonly sink: ChildCommand;
  readonly load: ChildCommand;
  /** For the output. */
  readonly description: string;
}

/** Both in Node, for machines without a compiler. */
export function nodeTools(): Tools {
  const program = (name: string): ChildCommand => ({
    file: process.execPath,
    args: [join(here, 'fallback', `${name}.ts`)],
  });
  const description = 'backend and load generator in Node (no C compiler here: throughput is limited by them)';
  return { sink: program('sink'), load: program('load'), description };
}

/** @param directory where the programs are put. */
export async function buildTools(directory: string): Promise<Tools> {
  const compiler = findProgram('cc');
  if (compiler === undefined) return nodeTools();
  const compile = async (name: string): Promise<ChildCommand> => {
    const file = join(directory, name);
    await run(compiler, ['-O2', '-o', file, join(here, 'native', `${name}.c`)]);
    return { file, args: [] };
  };
  const [sink, load] = await Promise.all([compile('sink'), compile('load')]);
  return { sink, load, description: 'backend (drops bodies) and load generator in C, one thread each' };
}
