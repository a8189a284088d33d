// A Compose file as Docker Compose reads it, by the specification's own loader (compose-config/main.go).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { buildOnce, runBuildTool } from '../servers/build-once.ts';

export interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly pull_policy?: string;
  readonly profiles?: readonly string[];
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly depends_on?: Readonly<
    Record<string, { readonly condition: string; readonly required: boolean; readonly restart?: boolean }>
  >;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly { readonly host_ip?: string; readonly target: number; readonly published?: string }[];
  readonly volumes?: readonly ComposeMount[];
  readonly tmpfs?: readonly string[];
}

export interface ComposeMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

export interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>;
}

const sources = path.join(import.meta.dirname, 'compose-config');

/** @throws Error with the loader's words when the file is not as the specification's schema wants it. */
export async function readComposeProject(file: string, profiles: readonly string[] = []): Promise<ComposeProject> {
  const program = 'compose-config';
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(path.join(sources, name)));
  const folder = await buildOnce({
    name: path.join('test-servers', `${program}-${hash.digest('hex').slice(0, 12)}`),
    program,
    build: (unfinished) =>
      runBuildTool('go', ['build', '-mod=readonly', '-o', path.join(unfinished, program), '.'], { cwd: sources }),
  });
  const env = { PATH: process.env['PATH'] ?? '' };
  const { stdout } = await promisify(execFile)(path.join(folder, program), [file, ...profiles], { env });
  return JSON.parse(stdout) as ComposeProject;
}
