// A descriptor whose writes never wait for a reader: one that does would keep a thread, and with it the process, from ending.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

const { O_WRONLY, O_NONBLOCK } = constants;

/** @returns undefined where there is none to be had; the caller then uses `fd` as it is. */
export function openNonblocking(fd: number): number | undefined {
  const stats = fstatSync(fd);
  if (stats.isFIFO()) return openPipeAnew(fd);
  if (!stats.isSocket() || fd !== 1) return undefined;
  // A socket cannot be opened a second time. Node makes the one of its standard output non-blocking, as soon as that is asked for.
  void process.stdout;
  return isNonblocking(fd) ? fd : undefined;
}

/**
 * A description of its own: the flag of the given one would hold for all who share it, and they may not expect it. Node closes
 * it in children (O_CLOEXEC), so readers see the end of the pipe as before.
 */
function openPipeAnew(fd: number): number | undefined {
  let opened: number;
  try {
    opened = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK);
  } catch {
    // No /proc; not allowed, as the pipe is somebody else's; or its reader has gone.
    return undefined;
  }
  if (isNonblocking(opened)) return opened;
  closeSync(opened);
  return undefined;
}

/** proc_pid_fdinfo(5). */
function isNonblocking(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_NONBLOCK) !== 0;
  } catch {
    return false;
  }
}
