// Builds programs for tests into the user's cache, once however many processes want them at the same time.
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface BuiltFolder {
  /** Below the cache. A new version needs a new name: what is there is never looked into. */
  readonly name: string;
  /** A program that is in the folder when it is built. */
  readonly program: string;
  readonly build: (unfinishedFolder: string) => Promise<void>;
}

/** @returns the folder, which nobody may write to, with the program in it. */
export async function buildOnce({ name, program, build }: BuiltFolder): Promise<string> {
  const folder = path.join(cacheFolder(), name);
  if (isProgram(path.join(folder, program))) return folder;
  mkdirSync(path.dirname(folder), { recursive: true });
  const unlock = await lock(`${folder}.lock`);
  try {
    if (isProgram(path.join(folder, program))) return folder;
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    rmSync(unfinished, { recursive: true, force: true });
    process.stderr.write(`building ${name}, once; this takes some minutes\n`);
    await build(unfinished);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
    return folder;
  } finally {
    unlock();
  }
}

/** @throws Error with what the tool has written. */
export async function runBuildTool(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  try {
    await promisify(execFile)(command, args, { ...options, env: { ...process.env, ...options.env } });
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(isAbsent ? `${command} is not on PATH` : reason, { cause: error });
  }
}

export function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function findOnPath(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isProgram);
}

function cacheFolder(): string {
  const cacheHome = process.env['XDG_CACHE_HOME'] ?? '';
  return path.join(cacheHome === '' ? path.join(homedir(), '.cache') : cacheHome, 'mizuchi-uploadr');
}

/** Test files run side by side: the first builds, the others wait for it. */
async function lock(file: string): Promise<() => void> {
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (!isHeld(file)) rmSync(file, { force: true });
    else await delay(250);
  }
}

/** A lock whose process was killed must not stop every later run. */
function isHeld(file: string): boolean {
  try {
    const holder = Number(readFileSync(file, 'utf8'));
    // The holder creates the file and writes its number in two steps.
    if (holder === 0) return Date.now() - statSync(file).mtimeMs < 5_000;
    process.kill(holder, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
