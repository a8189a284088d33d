// What the run was made on: a ratio is worth little without it.
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { isCrc, loadFromLibrary } from '../../src/upload/body/crc-step.ts';
import { checksumAlgorithms } from '../../src/upload/body/verify.ts';

const run = promisify(execFile);

/** The path of a program, from the variable when it is set, else on PATH or in the folders where daemons are installed. */
export function findProgram(name: string, variable?: string): string | undefined {
  const explicit = variable === undefined ? undefined : process.env[variable];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  const candidates = explicit ? [explicit] : folders.filter(Boolean).map((folder) => join(folder, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The first line that matches of what a program prints about itself, on either stream. */
export async function programVersion(file: string, args: readonly string[], pattern: RegExp): Promise<string> {
  const { stdout, stderr } = await run(file, args);
  return pattern.exec(`${stdout}\n${stderr}`)?.[1]?.trim() ?? 'version not known';
}

/** Of a program in Go that says nothing useful of its own version: what the record of its build says. */
export async function goModuleVersion(file: string, goModule: string): Promise<string> {
  const go = findProgram('go');
  if (go === undefined) return 'version not told';
  const pattern = new RegExp(String.raw`mod\s+${goModule.replaceAll('.', String.raw`\.`)}\s+(\S+)`, 'u');
  return programVersion(go, ['version', '-m', file], pattern);
}

/** One Markdown list item for each fact. */
export function describeMachine(): readonly string[] {
  const cores = cpus();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const system = /^PRETTY_NAME="?(.+?)"?$/mu.exec(readIfThere('/etc/os-release'))?.[1] ?? type();
  // On loopback too: BBR, which paces by timers, costs a large body a fifth more of this proxy's CPU than CUBIC.
  const congestion = readIfThere('/proc/sys/net/ipv4/tcp_congestion_control').trim() || 'not known';
  return [
    `${cores[0]?.model.trim() ?? 'unknown processor'}, ${cores.length} cores, ${gib} GiB of memory, loopback only`,
    `${system}, kernel ${release()}, TCP congestion control ${congestion}, load average at the start ${loadavg()[0]?.toFixed(2)}`,
    describeCrcs(),
  ];
}

/** Not every system describes itself everywhere. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function describeCrcs(): string {
  const names = checksumAlgorithms.filter((algorithm) => isCrc(algorithm) && loadFromLibrary(algorithm) !== undefined);
  return names.length === 0 ? 'CRCs by packages of npm' : `CRCs by ISA-L: ${names.join(', ')}`;
}
