// Finds the program of a test server: by explicit path, on PATH, in the user's cache, or by building the pinned version.
import path from 'node:path';
import { buildOnce, findOnPath, isProgram, runBuildTool } from './build-once.ts';

export type ServerName = 'minio' | 'versitygw' | 'toxiproxy' | 'openfga' | 'opa';

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
  const { goPackage, version, variable, namesOnPath } = sources[name];
  const target = `${goPackage}@${version}`;
  try {
    await runBuildTool('go', ['install', target], { env: { GOBIN: folder } });
  } catch (error) {
    throw new Error(
      `${name} is needed by these tests and could not be built: ${error instanceof Error ? error.message : String(error)}. ` +
        `Do one of these: set ${variable} to the program's path; put ${namesOnPath.join(' or ')} on PATH; ` +
        `or install Go (https://go.dev/dl) and run \`go install ${target}\` (the tests run it by themselves when go is on PATH).`,
      { cause: error },
    );
  }
}
