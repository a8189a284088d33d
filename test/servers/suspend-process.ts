// Stops a process without ending it.
import { readdirSync, readFileSync } from 'node:fs';

/** Returns when every thread has stopped (Linux): one that still ran could answer a last question. SIGCONT lets it go on. */
export function suspendProcess(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  const deadline = Date.now() + 2000;
  while (!isStopped(pid)) if (Date.now() > deadline) throw new Error(`process ${pid} does not stop`);
}

function isStopped(pid: number): boolean {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).every((thread) => / [tT] /u.test(readFileSync(`${folder}/${thread}/stat`, 'latin1')));
}
