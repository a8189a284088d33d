// Large bodies: one on one connection, and many side by side.
import { measure, type Bench, type LoadShape } from '../measure.ts';
import type { RunningArm } from '../running-arm.ts';
import type { Column, Sample, Scenario } from '../scenario.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;

export const bodyColumns: readonly Column[] = [
  { key: 'cpuPerGib', title: 'CPU-s/GiB', digits: 2, ratio: true },
  { key: 'mibPerSecond', title: 'MiB/s', digits: 0, ratio: true },
  { key: 'seconds', title: 'wall s', digits: 2 },
  { key: 'cpuSeconds', title: 'CPU-s', digits: 2 },
  { key: 'userShare', title: 'of it user %', digits: 0 },
  { key: 'peakMib', title: 'peak RSS MiB', digits: 0 },
];

const proxies = ['nginx-tuned', 'nginx-shipped', 'haproxy', 'node-pipe', 'sdk-put', 'versitygw', 'direct'];

export async function measureBody(bench: Bench, arm: RunningArm, shape: LoadShape): Promise<Sample> {
  const measured = await measure(bench, arm, shape);
  return {
    cpuPerGib: measured.proxyCpuSeconds / (measured.bytes / gib),
    mibPerSecond: measured.bytes / mib / measured.seconds,
    seconds: measured.seconds,
    cpuSeconds: measured.proxyCpuSeconds,
    userShare: measured.proxyCpuSeconds > 0 ? (100 * measured.proxyUserSeconds) / measured.proxyCpuSeconds : 0,
    peakMib: measured.peakResidentBytes / mib,
  };
}

interface BodiesOptions extends Pick<Scenario, 'name' | 'title' | 'armNames'> {
  readonly shape: LoadShape;
}

function createBodies({ shape, ...rest }: BodiesOptions): Scenario {
  return {
    ...rest,
    columns: bodyColumns,
    rounds: 5,
    warmUp: (bench, arm) => measure(bench, arm, { ...shape, bodyBytes: Math.min(shape.bodyBytes, 128 * mib) }),
    measure: (bench, arm) => measureBody(bench, arm, shape),
  };
}

/** @param scale 1 for the real sizes, less for a quick look. */
export function createBodyScenarios(scale: number): readonly Scenario[] {
  const oneBytes = Math.round(gib * scale);
  const manyBytes = Math.round(64 * mib * scale);
  return [
    createBodies({
      name: 'large',
      title: `One body of ${oneBytes / mib} MiB on one connection`,
      armNames: ['mizuchi', 'mizuchi-single', ...proxies],
      shape: { bodyBytes: oneBytes, connections: 1, until: { requests: 1 } },
    }),
    createBodies({
      name: 'seen',
      title: `One body of ${oneBytes / mib} MiB on one connection, by what is told of it`,
      armNames: ['unseen', 'metrics', 'logs', 'mizuchi', 'traced', 'traced-http'],
      shape: { bodyBytes: oneBytes, connections: 1, until: { requests: 1 } },
    }),
    createBodies({
      name: 'many',
      title: `16 bodies of ${manyBytes / mib} MiB at once`,
      armNames: ['mizuchi', 'mizuchi-single', ...proxies],
      shape: { bodyBytes: manyBytes, connections: 16, until: { requests: 16 } },
    }),
  ];
}
