// Tells whether the process that owns a folder still lives, also after kill -9, and also when its process id has been
// given to another process since.
import { readFile, writeFile, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { idSpace, isAlive } from '../../process-identity.ts';

const lockFile = 'process.json';
const heartbeatMs = 30_000;
/** A process on another host or in another container cannot be asked: it counts as gone when its heartbeat is this old. */
const foreignGraceMs = 10 * heartbeatMs;

interface Owner {
  /** Where its id is one. */
  readonly host: string;
  readonly pid: number;
  /** When the process began, as its kernel counts it; empty where that cannot be learned. */
  readonly started: string;
}

/** No process has this id: what is its owner's is found at once. */
const nobody: Owner = { host: idSpace, pid: 0, started: '' };

export interface FolderLock {
  /** Ends the heartbeat. */
  stop(): void;
  /** Leaves the folder to whoever looks for abandoned ones. Never rejects. */
  release(): Promise<void>;
}

/** Marks the folder as this process's own until the process ends, or releases it. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, lockFile);
  const owner: Owner = { host: idSpace, pid: process.pid, started: await startOf(process.pid) };
  await writeOwner(path, owner);
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, heartbeatMs);
  timer.unref();
  return {
    stop: () => clearInterval(timer),
    // If it fails, the folder is found when the process has ended.
    release: () => writeOwner(path, nobody).catch(() => undefined),
  };
}

function writeOwner(path: string, owner: Owner): Promise<void> {
  return writeFile(path, JSON.stringify(owner), { mode: 0o600 });
}

/** Whether nobody holds the folder any more. A folder that has no readable lock yet is taken as new until its grace is over. */
export async function isAbandoned(folder: string): Promise<boolean> {
  const path = join(folder, lockFile);
  const owner = await readOwner(path);
  if (owner?.host !== idSpace) return isOlderThan(owner === undefined ? folder : path, foreignGraceMs);
  if (!isAlive(owner.pid)) return true;
  return owner.started !== (await startOf(owner.pid));
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    const owner = JSON.parse(await readFile(path, 'utf8')) as Partial<Owner>;
    const { host, pid, started } = owner;
    return host !== undefined && pid !== undefined && started !== undefined ? { host, pid, started } : undefined;
  } catch {
    return undefined;
  }
}

async function isOlderThan(path: string, ageMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > ageMs;
  } catch {
    return true;
  }
}

/** Field 22 of /proc/PID/stat (proc(5)): ticks since boot at which the process started. The name before it may hold spaces. */
async function startOf(pid: number): Promise<string> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    return `${boot.trim()}/${text.slice(text.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return '';
  }
}
