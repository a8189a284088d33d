// From nothing to the first upload taken, and the memory held when nothing is asked.
import { setTimeout as delay } from 'node:timers/promises';

import { residentBytes } from '../accounting.ts';
import type { Scenario } from '../scenario.ts';

export function createStart(): Scenario {
  return {
    name: 'start',
    title: 'Start to the first accepted upload, and resident memory when idle',
    columns: [
      { key: 'startMs', title: 'start ms', digits: 0, ratio: true },
      { key: 'idleMib', title: 'idle RSS MiB', digits: 0, ratio: true },
    ],
    armNames: ['mizuchi', 'mizuchi-built', 'nginx-tuned', 'haproxy', 'node-pipe', 'sdk-put', 'versitygw'],
    rounds: 5,
    fresh: true,
    measure: async (_bench, arm) => {
      await delay(1000);
      return { startMs: arm.firstAcceptedSeconds * 1000, idleMib: residentBytes(arm.pids()) / 2 ** 20 };
    },
  };
}
