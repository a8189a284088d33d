// The backend that all arms upload to: a process of its own that drops bodies and counts them.
import { type Child, type Children, type ChildCommand } from './children.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

export interface BackendRates {
  /** Most bytes per second that one connection is read with. */
  readonly connectionBytesPerSecond?: number;
  /** Most bytes per second that all connections together are read with. */
  readonly totalBytesPerSecond?: number;
}

const statsSchema = z.object({
  bytes: z.number(),
  requests: z.number(),
  puts: z.number(),
  parts: z.number(),
  creates: z.number(),
  completes: z.number(),
  aborts: z.number(),
  accepted: z.number(),
});

/** What the backend has seen since it was started. */
export type BackendStats = z.infer<typeof statsSchema>;

export interface Backend {
  readonly port: number;
  readonly child: Child;
  stats(): Promise<BackendStats>;
}

async function readPort(child: Child): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const port = Number(child.lastWords().split('\n').at(-1));
    if (port > 0) return port;
    if (child.process.exitCode !== null) break;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await delay(10);
  }
  throw new Error(`the backend did not start: ${child.lastWords()}`);
}

export async function startBackend(
  children: Children,
  sink: ChildCommand,
  rates: BackendRates,
  logName: string,
): Promise<Backend> {
  const args = [...sink.args];
  if (rates.connectionBytesPerSecond) args.push('--connection-rate', String(rates.connectionBytesPerSecond));
  if (rates.totalBytesPerSecond) args.push('--total-rate', String(rates.totalBytesPerSecond));
  const child = children.start({ ...sink, args }, logName);
  const port = await readPort(child);
  const stats = async (): Promise<BackendStats> => {
    const response = await fetch(`http://127.0.0.1:${port}/-/stats`, { headers: { connection: 'close' } });
    return statsSchema.parse(await response.json());
  };
  return { port, child, stats };
}
