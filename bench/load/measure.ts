// One measurement: a load is sent to an arm while the operating system counts what that costs it.
import { cpuSeconds, peakResidentBytes, residentBytes, resetPeakResident } from './accounting.ts';
import type { Backend } from './backend.ts';
import type { ChildCommand, Children } from './children.ts';
import type { RunningArm } from './running-arm.ts';
import { type Load, type LoadOutcome, sendLoad } from './send-load.ts';

export interface Bench {
  readonly children: Children;
  readonly backend: Backend;
  readonly load: ChildCommand;
  readonly payload: Buffer;
  readonly payloadPath: string;
}

export type LoadShape = Pick<Load, 'bodyBytes' | 'connections' | 'until'>;

export interface Measured extends LoadOutcome {
  /** Of the proxy alone. */
  readonly proxyCpuSeconds: number;
  readonly proxyUserSeconds: number;
  /** The most that was resident during the load. In bytes. */
  readonly peakResidentBytes: number;
  /** Resident bytes four times a second while the load was running. */
  readonly residentSeries: readonly number[];
}

async function watchResident(arm: RunningArm, whileRunning: Promise<unknown>): Promise<readonly number[]> {
  const series: number[] = [];
  const timer = setInterval(() => series.push(residentBytes(arm.pids())), 250);
  try {
    await whileRunning;
  } finally {
    clearInterval(timer);
  }
  return series;
}

/** @throws Error when a request failed, or when fewer bytes arrived at the backend than were answered for. */
export async function measure(bench: Bench, arm: RunningArm, shape: LoadShape): Promise<Measured> {
  const body = { payload: bench.payload, bytes: shape.bodyBytes };
  const request = arm.arm.request(arm.place, body);
  const pidsBefore = arm.pids();
  resetPeakResident(pidsBefore);
  const statsBefore = await bench.backend.stats();
  const cpuBefore = cpuSeconds(pidsBefore);
  const sending = sendLoad(bench.children, bench.load, {
    ...shape,
    port: arm.place.port,
    request,
    payloadPath: bench.payloadPath,
  });
  const [outcome, residentSeries] = await Promise.all([sending, watchResident(arm, sending)]);
  const pidsAfter = arm.pids();
  const cpuAfter = cpuSeconds(pidsAfter);
  const arrived = (await bench.backend.stats()).bytes - statsBefore.bytes;
  if (arrived < outcome.bytes) {
    throw new Error(`${outcome.bytes} bytes were answered for, ${arrived} arrived at the backend`);
  }
  const proxyUserSeconds = cpuAfter.user - cpuBefore.user;
  const proxyCpuSeconds = proxyUserSeconds + cpuAfter.system - cpuBefore.system;
  return {
    ...outcome,
    proxyCpuSeconds,
    proxyUserSeconds,
    residentSeries,
    peakResidentBytes: peakResidentBytes(pidsAfter),
  };
}
