// Sends uploads to an arm and says what came of them.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import type { ArmRequest } from './arm.ts';
import type { ChildCommand, Children } from './children.ts';
import { describeFrames } from './frames.ts';

export interface Load {
  readonly port: number;
  readonly request: ArmRequest;
  readonly payloadPath: string;
  /** Of payload, without any framing. */
  readonly bodyBytes: number;
  readonly connections: number;
  /** Ends after so many requests, or when no more are begun after so many seconds. */
  readonly until: { readonly requests: number } | { readonly seconds: number };
}

const outcomeSchema = z.object({
  seconds: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  bytes: z.number(),
  reconnects: z.number(),
  timedOut: z.boolean(),
  p50Us: z.number(),
  p99Us: z.number(),
  maxUs: z.number(),
  cpuSeconds: z.number(),
  firstFault: z.string(),
  statuses: z.record(z.string(), z.number()),
});

/** `bytes` are those of payload. Latencies in microseconds, from the first byte sent to the last byte of the answer. */
export type LoadOutcome = z.infer<typeof outcomeSchema>;

/** @throws Error when any request failed: a number that was made while some did says nothing. */
export async function sendLoad(children: Children, tool: ChildCommand, load: Load): Promise<LoadOutcome> {
  const { until } = load;
  const args = [...tool.args, '--port', String(load.port), '--path', load.request.path];
  args.push('--payload', load.payloadPath, '--body-bytes', String(load.bodyBytes));
  args.push('--connections', String(load.connections));
  args.push(...('requests' in until ? ['--requests', String(until.requests)] : ['--seconds', String(until.seconds)]));
  const { headers, frames, turns } = load.request;
  for (const header of headers) args.push('--header', header);
  const files = [
    ...(frames ? [{ option: '--frames', path: join(children.directory, 'frames'), text: describeFrames(frames) }] : []),
    ...(turns ? [{ option: '--turns', path: join(children.directory, 'turns'), text: `${turns.join('\n')}\n` }] : []),
  ];
  for (const { option, path, text } of files) {
    writeFileSync(path, text);
    args.push(option, path);
  }
  const outcome = outcomeSchema.parse(JSON.parse(await children.run({ ...tool, args }, 'load')));
  for (const { path } of files) rmSync(path);
  if (outcome.timedOut) throw new Error('no answer within ten minutes');
  if (outcome.failed > 0 || outcome.succeeded === 0) {
    const answers = JSON.stringify(outcome.statuses);
    throw new Error(`${outcome.failed} requests failed (answers ${answers}); the first: ${outcome.firstFault}`);
  }
  return outcome;
}
