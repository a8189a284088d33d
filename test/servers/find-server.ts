// Finds the program of a test server: by explicit path, on PATH, in the user's cache, or by building the pinned version.
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

export type ServerName = 'minio' | 'versitygw' | 'toxiproxy';

interface ServerSource {
  readonly variable: string;
  readonly namesOnPath: readonly string[];
  readonly goPackage: string;
  readonly version: string;
  /** What `go install` calls the program. */
  readonly builtName: string;
}

const sources: Readonly<Record<ServerName, ServerSource>> = {
  minio: {
    variable: 'MIZUCHI_TEST_MINIO',
    namesOnPath: ['minio'],
    goPackage: 'github.com/minio/minio',
    version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
    builtName: 'minio',
  },
  versitygw: {
    variable: 'MIZUCHI_TEST_VERSITYGW',
    namesOnPath: ['versitygw'],
    goPackage: 'github.com/versity/versitygw/cmd/versitygw',
    version: 'v1.8.0',
    builtName: 'versitygw',
  },
  toxiproxy: {
    variable: 'MIZUCHI_TEST_TOXIPROXY',
    namesOnPath: ['toxiproxy-server'],
    goPackage: 'github.com/Shopify/toxiproxy/v2/cmd/server',
    version: 'v2.5.0',
    builtName: 'server',
  },
};

/**
 * The program's path. Builds the pinned version with `go install` into the cache when it is nowhere else, which takes
 * minutes the first time.
 * @throws Error that says how to get the program, when it can be neither found nor built.
 */
export async function findServer(name: ServerName): Promise<string> {
  const source = sources[name];
  const explicit = process.env[source.variable];
  if (explicit !== undefined && explicit !== '') {
    if (isProgram(explicit)) return explicit;
    throw new Error(`${source.variable} is ${explicit}, which is not an executable file`);
  }
  const onPath = findOnPath(source.namesOnPath);
  if (onPath !== undefined) return onPath;
  const folder = path.join(cacheFolder(), `${name}-${source.version}`);
  const cached = path.join(folder, source.builtName);
  if (!isProgram(cached)) await buildOnce(name, folder);
  return cached;
}

function cacheFolder(): string {
  const cacheHome = process.env['XDG_CACHE_HOME'] ?? '';
  return path.join(cacheHome === '' ? path.join(homedir(), '.cache') : cacheHome, 'mizuchi-uploadr', 'test-servers');
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function findOnPath(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isProgram);
}

/** Test files run side by side: the first builds, the others wait for it. */
async function buildOnce(name: ServerName, folder: string): Promise<void> {
  mkdirSync(path.dirname(folder), { recursive: true });
  const unlock = await lock(`${folder}.lock`);
  try {
    if (!isProgram(path.join(folder, sources[name].builtName))) await build(name, folder);
  } finally {
    unlock();
  }
}

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

async function build(name: ServerName, folder: string): Promise<void> {
  const { goPackage, version, variable, namesOnPath } = sources[name];
  const target = `${goPackage}@${version}`;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  process.stderr.write(`building ${name} (go install ${target}), once; this takes some minutes\n`);
  try {
    await promisify(execFile)('go', ['install', target], { env: { ...process.env, GOBIN: unfinished } });
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    const noGo = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${name} is needed by these tests and ${noGo ? 'Go, which would build it, is not on PATH' : `could not be built: ${reason}`}. ` +
        `Do one of these: set ${variable} to the program's path; put ${namesOnPath.join(' or ')} on PATH; ` +
        `or install Go (https://go.dev/dl) and run \`go install ${target}\` (the tests run it by themselves when go is on PATH).`,
      { cause: error },
    );
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(unfinished, folder);
}
