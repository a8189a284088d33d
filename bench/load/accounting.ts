// What the operating system has counted for a process and all that it started. Source: Linux, proc(5).
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

let ticksPerSecond: number | undefined;

function clockTicksPerSecond(): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticksPerSecond;
}

/** Fields of /proc/PID/stat from the third on; empty when the process is gone. The second, its name, may hold spaces. */
function statFields(pid: number): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** The process and all its descendants that live. */
export function processTree(root: number): readonly number[] {
  const childrenOf = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)[1] ?? Number.NaN);
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** User and system time of the processes' threads, and of children that have ended and were waited for. In seconds. */
export function cpuSeconds(pids: readonly number[]): { readonly user: number; readonly system: number } {
  let userTicks = 0;
  let systemTicks = 0;
  for (const pid of pids) {
    const [utime, stime, cutime, cstime] = statFields(pid).slice(11, 15).map(Number);
    userTicks += (utime ?? 0) + (cutime ?? 0);
    systemTicks += (stime ?? 0) + (cstime ?? 0);
  }
  return { user: userTicks / clockTicksPerSecond(), system: systemTicks / clockTicksPerSecond() };
}

function statusBytes(pids: readonly number[], field: 'VmHWM' | 'VmRSS'): number {
  let bytes = 0;
  for (const pid of pids) {
    try {
      const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'mu').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      bytes += Number(match?.[1] ?? 0) * 1024;
    } catch {
      // It ended meanwhile: it holds no memory.
    }
  }
  return bytes;
}

/** Resident bytes now. Pages that several processes share count once for each. */
export const residentBytes = (pids: readonly number[]): number => statusBytes(pids, 'VmRSS');

/** The most that was resident since the start, or since `resetPeakResident`. In bytes. */
export const peakResidentBytes = (pids: readonly number[]): number => statusBytes(pids, 'VmHWM');

/** Starts the count of the peak again at what is resident now (value 5 of clear_refs). */
export function resetPeakResident(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Some kernels are built without it: the peak is then that of the whole life of the process.
    }
  }
}
