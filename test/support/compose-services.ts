// Runs the services of a Compose file as plain processes: the same commands and variables, with each container path in a
// folder of the test, and each host and port on a free port of this machine.
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findClient } from '../clients/find-client.ts';
import { findOnPath } from '../servers/build-once.ts';
import { findServer } from '../servers/find-server.ts';
import { freePort } from '../servers/free-port.ts';
import { startProcess, type ProcessEnd, type RunningProcess } from '../servers/start-process.ts';
import type { ComposeProject, ComposeService } from './compose-project.ts';
import { readCommand, readEnvironment, type Stage } from './dockerfile.ts';

export interface ComposeServices {
  /** Where the service's port is here. */
  portOf(service: string, containerPort: number): number;
  /** A path of the container, here. */
  locate(service: string, containerPath: string): string;
  /** Starts what the service runs, with these variables in place of the file's. */
  start(service: string, environment?: Readonly<Record<string, string>>): RunningProcess;
  /** Runs a command in the service's environment to its end. */
  execute(service: string, command: readonly string[]): Promise<ProcessEnd & { readonly output: string }>;
  /** A text with the hosts and ports of the containers, for this machine. */
  localise(service: string, text: string): string;
}

/** What the images run by themselves, as their makers' Dockerfiles say; and where their programs are. */
const entrypoints: readonly (readonly [image: string, entrypoint: readonly string[]])[] = [
  ['openpolicyagent/opa:', ['/opa']],
  ['openfga/openfga:', ['/openfga']],
  ['jaegertracing/jaeger:', ['/cmd/jaeger/jaeger-linux']],
  ['prom/prometheus:', ['/bin/prometheus']],
  ['grafana/grafana:', ['/run.sh']],
  ['quay.io/minio/minio:', ['/usr/bin/docker-entrypoint.sh']],
];
/** Empty for the project's own image, which has a command alone. */
export const entrypointOf = (image: string): readonly string[] =>
  entrypoints.find(([begins]) => image.startsWith(begins))?.[1] ?? [];
const programPaths: Readonly<Record<string, string>> = { '/opa': 'opa', '/openfga': 'openfga' };

const repository = path.resolve(import.meta.dirname, '../..');
const pooledPorts = 24;

export async function createComposeServices(options: {
  readonly project: ComposeProject;
  /** Of the project's own image. */
  readonly stage: Stage;
  readonly folder: string;
}): Promise<ComposeServices> {
  const { project, stage, folder } = options;
  const bin = await linkPrograms(folder);
  const pool: number[] = [];
  while (pool.length < pooledPorts) {
    const port = await freePort();
    if (!pool.includes(port)) pool.push(port);
  }
  const ports = new Map<string, number>();
  const portOf = (service: string, containerPort: number): number => {
    const name = `${service}:${containerPort}`;
    const port = ports.get(name) ?? pool.pop();
    if (port === undefined) throw new Error('more ports are needed');
    ports.set(name, port);
    return port;
  };
  const serviceOf = (name: string): ComposeService => {
    const service = project.services[name];
    if (service === undefined) throw new Error(`no service ${name}`);
    return service;
  };
  const localise = (name: string, text: string): string =>
    text.replaceAll(
      /(?<![\w.-])(?<host>[a-z][a-z-]*|0\.0\.0\.0|127\.0\.0\.1)?:(?<port>\d{2,5})(?!\d)/gu,
      (whole, host, port) => {
        const isOther = typeof host === 'string' && Object.hasOwn(project.services, host);
        if (typeof host === 'string' && !isOther && /^[a-z]/u.test(host)) return whole;
        return `127.0.0.1:${portOf(isOther ? host : name, Number(port))}`;
      },
    );
  const mountsOf = async (name: string): Promise<ReadonlyMap<string, string>> => {
    const mounts = new Map<string, string>([['/tmp', path.join(folder, 'tmp', name)]]);
    for (const { type, source, target } of serviceOf(name).volumes ?? []) {
      const place = type === 'volume' ? path.join(folder, 'volumes', source) : source;
      if (type === 'volume') await mkdir(place, { recursive: true });
      if (target === '/etc/mizuchi/config.yaml') {
        const copy = path.join(folder, `${name}.yaml`);
        const text = localise(name, await readFile(source, 'utf8')).replaceAll(
          /(?<key>\bport: )(?<port>\d+)/gu,
          (_, key: string, port: string) => key + portOf(name, Number(port)),
        );
        await writeFile(copy, translate(text, mountTargets(name)));
        mounts.set(target, copy);
      } else mounts.set(target, place);
    }
    await mkdir(path.join(folder, 'tmp', name), { recursive: true });
    return mounts;
  };
  const mountTargets = (name: string): ReadonlyMap<string, string> =>
    new Map(
      (serviceOf(name).volumes ?? [])
        .filter(({ type }) => type === 'volume')
        .map(({ source, target }) => [target, path.join(folder, 'volumes', source)]),
    );
  const prepared = new Map<string, ReadonlyMap<string, string>>();
  for (const name of Object.keys(project.services)) prepared.set(name, await mountsOf(name));
  const convert = (name: string, text: string): string =>
    translate(localise(name, text), prepared.get(name) ?? new Map());

  const isOwn = (image: string): boolean => image.startsWith('localhost/mizuchi-uploadr:');
  const environmentOf = (name: string, changed: Readonly<Record<string, string>>): Record<string, string> => {
    const { image, environment } = serviceOf(name);
    const all = { ...(isOwn(image) ? readEnvironment(stage) : {}), ...environment, ...changed };
    const set = Object.entries(all).map(([key, value]) => [key, convert(name, value ?? '')]);
    // Of a system MinIO's image has no more than a shell and coreutils.
    const rest = image.startsWith('quay.io/minio/minio:') ? [] : [process.env['PATH'] ?? ''];
    return { PATH: [bin, ...rest].join(':'), HOME: folder, ...Object.fromEntries(set) };
  };
  const run = (
    name: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): RunningProcess => {
    const [program = '', ...args] = words;
    return startProcess({
      command: programPaths[program] ?? program,
      args: args.map((one) => convert(name, one)),
      env: environmentOf(name, environment),
      cwd: folder,
    });
  };
  return {
    portOf,
    localise,
    locate: (name, containerPath) => convert(name, containerPath),
    start(name, environment) {
      const service = serviceOf(name);
      const entrypoint = service.entrypoint ?? entrypointOf(service.image);
      const command = service.command ?? (isOwn(service.image) ? readCommand(stage) : []);
      return run(name, [...entrypoint, ...command], environment);
    },
    async execute(name, command) {
      const running = run(name, command);
      return { ...(await running.ended), output: running.output() };
    },
  };
}

/** The longest of the container's paths that a path begins with becomes the folder that is mounted there. */
function translate(text: string, mounts: ReadonlyMap<string, string>): string {
  const targets = [...mounts.keys()].toSorted((a, b) => b.length - a.length).map((one) => one.replaceAll('.', '\\.'));
  if (targets.length === 0) return text;
  const target = new RegExp(`(?<![\\w./-])(?:${targets.join('|')})(?=$|[/:"'\\s])`, 'gmu');
  return text.replaceAll(target, (found) => mounts.get(found) ?? found);
}

/** What the images have on their PATH. */
async function linkPrograms(folder: string): Promise<string> {
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  for (const name of ['minio', 'opa', 'openfga'] as const) await symlink(await findServer(name), path.join(bin, name));
  const [mc] = await findClient('mc');
  await symlink(mc, path.join(bin, 'mc'));
  await symlink(process.execPath, path.join(bin, 'node'));
  for (const name of ['sh', 'env']) {
    const found = findOnPath([name]);
    if (found === undefined) throw new Error(`no ${name}`);
    await symlink(found, path.join(bin, name));
  }
  const own = `#!/bin/sh\nexec "${process.execPath}" "${path.join(repository, 'src/cli.ts')}" "$@"\n`;
  await writeFile(path.join(bin, 'mizuchi-uploadr'), own, { mode: 0o755 });
  return bin;
}
