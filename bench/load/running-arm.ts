// An arm that has been started, and the first upload that it took.
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { freePort } from '../../test/servers/free-port.ts';
import { processTree } from './accounting.ts';
import type { Arm, ArmPlace, ArmRequest } from './arm.ts';
import type { Child, Children } from './children.ts';
import { joinFrames } from './frames.ts';

export interface RunningArm {
  readonly arm: Arm;
  readonly place: ArmPlace;
  /** Undefined for the control arm, which has no process. */
  readonly child: Child | undefined;
  /** From the start of the process to the answer of the first upload that it accepted. */
  readonly firstAcceptedSeconds: number;
  /** The arm's processes now. */
  pids(): readonly number[];
  /** Ends it, and what was started beside it. */
  stop(): Promise<void>;
}

/** The status of one small PUT; 0 when there was no answer. */
function putOnce(port: number, { path, headers, frames, turns }: ArmRequest, payload: Buffer): Promise<number> {
  const body = frames ? joinFrames(frames, payload) : payload;
  return new Promise((resolve) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method: 'PUT', agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    });
    outgoing.on('error', () => resolve(0));
    outgoing.setHeader('Content-Length', body.length);
    for (const header of [...headers, ...(turns ?? []).slice(0, 1)]) outgoing.setHeader(...splitHeader(header));
    outgoing.end(body);
  });
}

function splitHeader(header: string): [name: string, value: string] {
  const colon = header.indexOf(':');
  return [header.slice(0, colon), header.slice(colon + 1).trim()];
}

async function firstAccepted(arm: Arm, place: ArmPlace, child: Child): Promise<void> {
  const payload = Buffer.alloc(1024, 'x');
  const givenUpAt = performance.now() + 20_000;
  let status = 0;
  while (performance.now() < givenUpAt && child.process.exitCode === null) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    status = await putOnce(place.port, arm.request(place, { payload, bytes: payload.length }), payload);
    if (status === 200) return;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await delay(5);
  }
  throw new Error(`${arm.name} accepted no upload (last answer ${status}):\n${child.lastWords()}`);
}

let startCount = 0;

export async function startArm(children: Children, arm: Arm, backendPort: number): Promise<RunningArm> {
  const name = `${arm.name}-${(startCount += 1)}`;
  const directory = join(children.directory, name);
  mkdirSync(directory);
  const place = { port: await freePort(), backendPort, directory };
  const command = await arm.prepare(place);
  if (command === undefined) {
    const atBackend = { ...place, port: backendPort };
    return { arm, place: atBackend, child: undefined, firstAcceptedSeconds: 0, pids: () => [], stop: async () => {} };
  }
  const startedAt = performance.now();
  const child = children.start(command, name);
  const stop = async (): Promise<void> => {
    await children.stop(child);
    await command.release?.();
  };
  try {
    await firstAccepted(arm, place, child);
  } catch (error) {
    await stop();
    throw error;
  }
  const firstAcceptedSeconds = (performance.now() - startedAt) / 1000;
  return { arm, place, child, firstAcceptedSeconds, pids: () => processTree(child.pid), stop };
}
