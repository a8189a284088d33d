// Finds the program of a test server: by explicit path, on PATH, in the user's cache, or by building the pinned version.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildOnce, findOnPath, isProgram, runBuildTool } from './build-once.ts';

export type ServerName = 'minio' | 'versitygw' | 'toxiproxy' | 'openfga' | 'opa' | 'promtool';

interface ServerSource {
  readonly variable: string;
  readonly namesOnPath: readonly string[];
  readonly goPackage: string;
  readonly version: string;
  /** What Go calls the program. */
  readonly builtName: string;
  /** Set where `go install` refuses, because the module replaces some of its own requirements: it is built as another's requirement. */
  readonly module?: string;
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
  openfga: {
    variable: 'MIZUCHI_TEST_OPENFGA',
    namesOnPath: ['openfga'],
    goPackage: 'github.com/openfga/openfga/cmd/openfga',
    version: 'v1.22.1',
    builtName: 'openfga',
  },
  opa: {
    variable: 'MIZUCHI_TEST_OPA',
    namesOnPath: ['opa'],
    goPackage: 'github.com/open-policy-agent/opa',
    version: 'v1.22.0',
    builtName: 'opa',
  },
  promtool: {
    variable: 'MIZUCHI_TEST_PROMTOOL',
    namesOnPath: ['promtool'],
    goPackage: 'github.com/prometheus/prometheus/cmd/promtool',
    version: 'v0.315.0',
    builtName: 'promtool',
    module: 'github.com/prometheus/prometheus',
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
  const folder = await buildOnce({
    name: path.join('test-servers', `${name}-${source.version}`),
    program: source.builtName,
    build: (unfinished) => build(name, unfinished),
  });
  return path.join(folder, source.builtName);
}

async function build(name: ServerName, folder: string): Promise<void> {
  const { goPackage, version, variable, namesOnPath, module } = sources[name];
  const target = `${goPackage}@${version}`;
  try {
    if (module === undefined) await runBuildTool('go', ['install', target], { env: { GOBIN: folder } });
    else await buildAsRequirement({ goPackage, requirement: `${module} ${version}` }, folder);
  } catch (error) {
    throw new Error(
      `${name} is needed by these tests and could not be built: ${error instanceof Error ? error.message : String(error)}. ` +
        `Do one of these: set ${variable} to the program's path; put ${namesOnPath.join(' or ')} on PATH; ` +
        `or install Go (https://go.dev/dl): the tests build ${target} by themselves when go is on PATH.`,
      { cause: error },
    );
  }
}

async function buildAsRequirement(
  { goPackage, requirement }: { readonly goPackage: string; readonly requirement: string },
  folder: string,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'go.mod'), `module tools\n\nrequire ${requirement}\n`);
  await runBuildTool('go', ['build', '-mod=mod', '-o', folder, goPackage], { cwd: folder });
}
