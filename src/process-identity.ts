// Who has left something in a folder that several processes share, and whether it still lives.
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Where a process id means the same process: on one host, and there in one PID namespace (pid_namespaces(7)). Containers may
 * have a host's name in common, and each its own ids.
 */
export const idSpace = `${hostname()} ${pidNamespace()}`;

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has them.
    return '';
  }
}

/** @param pid of this id space. */
export function isAlive(pid: number): boolean {
  // 0 and below would ask for whole groups of processes (kill(2)).
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, but belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
