// Finds ISA-L for the tests: by explicit path, or built once from the sources that the Python package isal brings along. What is
// built are its functions in C, so that a C compiler is all that is needed: slow, and otherwise those of every other build.
import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { buildOnce, runBuildTool } from './build-once.ts';

const version = '1.9.1';
const libraryName = 'libisal.so.2';

export interface IsaL {
  /** A folder for LD_LIBRARY_PATH, with the library in it. */
  readonly folder: string;
  /** The same with a library of that name that has none of its functions. */
  readonly emptyFolder: string;
}

/** @throws Error that says how to get the library, when it can be neither found nor built. */
export async function findIsaL(): Promise<IsaL> {
  const explicit = process.env['MIZUCHI_TEST_ISAL'] ?? '';
  if (explicit !== '' && !existsSync(explicit))
    throw new Error(`MIZUCHI_TEST_ISAL is ${explicit}, which does not exist`);
  const built = await buildOnce({
    name: path.join('test-servers', explicit === '' ? `isal-${version}` : `isal-at-${encodeURIComponent(explicit)}`),
    program: path.join('empty', libraryName),
    build: (folder) => build(folder, explicit),
  });
  return { folder: path.join(built, 'isal'), emptyFolder: path.join(built, 'empty') };
}

async function build(folder: string, explicit: string): Promise<void> {
  const compile = (target: string, ...sources: readonly string[]) =>
    runBuildTool('cc', ['-O2', '-shared', '-fPIC', '-o', path.join(folder, target, libraryName), ...sources]);
  try {
    for (const name of ['isal', 'empty']) await mkdir(path.join(folder, name), { recursive: true });
    if (explicit === '') {
      const root = path.join(await unpackSources(folder), 'src/isal/isa-l');
      const sources = ['crc_base.c', 'crc64_base.c', 'crc_base_aliases.c'].map((name) => path.join(root, 'crc', name));
      await compile('isal', `-I${path.join(root, 'include')}`, ...sources);
      await rm(path.join(folder, 'sources'), { recursive: true });
    } else {
      await symlink(path.resolve(explicit), path.join(folder, 'isal', libraryName));
    }
    await compile('empty', '-x', 'c', '/dev/null');
  } catch (error) {
    throw new Error(
      `ISA-L is needed by these tests and could not be built: ${error instanceof Error ? error.message : String(error)}. ` +
        `Set MIZUCHI_TEST_ISAL to the path of ${libraryName}, 2.31 or newer (Debian 13: apt-get install libisal2), and have a C compiler, cc, ` +
        `on PATH; with Python 3 and pip the tests get the sources by themselves, in the package isal ${version}.`,
      { cause: error },
    );
  }
}

async function unpackSources(folder: string): Promise<string> {
  const sources = path.join(folder, 'sources');
  const python = path.join(sources, 'venv/bin/python');
  await runBuildTool('python3', ['-m', 'venv', path.join(sources, 'venv')]);
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-binary', 'isal'];
  await runBuildTool(python, [...pip, '--dest', sources, `isal==${version}`]);
  await runBuildTool('tar', ['-xzf', path.join(sources, `isal-${version}.tar.gz`), '-C', sources]);
  return path.join(sources, `isal-${version}`);
}
