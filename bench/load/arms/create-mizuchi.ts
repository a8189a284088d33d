// Makes an arm of ours: the proxy as it is started by `npm start`, with authentication on and signing on.
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';

import { type Arm, type ArmBody, type ArmPlace, type ArmRequest, objectPath } from '../arm.ts';
import { accessKey, bearerToken, jwtSettings, region, secretKey } from '../credentials.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const sourceEntry = join(root, 'src', 'cli.ts');
export const builtEntry = join(root, 'dist', 'cli.js');

type Settings = Readonly<Record<string, unknown>>;

/** A real server that the proxy talks to besides its backend, and the settings by which it does. */
export interface Neighbour {
  /** The bucket's `authz` settings. */
  readonly authz?: Settings;
  /** Put over the configuration. */
  readonly settings?: Settings;
  stop(): Promise<void>;
}

interface MizuchiOptions extends Pick<Arm, 'name' | 'note' | 'digests'> {
  /** What Node runs; the source when it is left out. */
  readonly entry?: string;
  /** Put over the bucket's `upload` settings. */
  readonly upload?: Settings;
  /** The bucket's `auth` settings; JWTs by HS256 when left out. */
  readonly auth?: Settings;
  /** Starts a policy engine that is asked about every request, or a collector that is told of them; none when left out. */
  readonly startNeighbour?: () => Promise<Neighbour>;
  /** Put over the configuration. */
  readonly settings?: Settings;
  /** Done before the proxy is started. */
  readonly ready?: () => Promise<void>;
  /** A PUT with a token that is always the same when left out. */
  readonly request?: (place: ArmPlace, body: ArmBody) => ArmRequest;
}

function configuration(
  place: ArmPlace,
  { auth, upload, settings }: MizuchiOptions,
  neighbour: Neighbour | undefined,
): string {
  const authz = neighbour?.authz;
  return stringify({
    server: { address: `127.0.0.1:${place.port}`, state_dir: join(place.directory, 'state') },
    // On, as by default; several arms run side by side.
    metrics: { port: 0 },
    ...settings,
    ...neighbour?.settings,
    buckets: [
      {
        name: 'uploads',
        path_prefix: '/uploads',
        s3: {
          bucket: 'bench',
          region,
          endpoint: `http://127.0.0.1:${place.backendPort}`,
          access_key: accessKey,
          secret_key: secretKey,
        },
        auth: auth ?? { jwt: jwtSettings('HS256') },
        ...(authz && { authz }),
        ...(upload && { upload }),
      },
    ],
  });
}

/** A PUT with that token, and perhaps further header fields. */
export const withToken = (token: string, ...headers: readonly string[]): ArmRequest => ({
  path: objectPath,
  headers: [`Authorization: Bearer ${token}`, ...headers],
});

export function createMizuchi(options: MizuchiOptions): Arm {
  const { name, note, digests, entry = sourceEntry, request = () => withToken(bearerToken()) } = options;
  return {
    name,
    note,
    ...(digests && { digests }),
    find: async () => {
      if (!existsSync(entry)) return { missing: '`npm run build` makes it' };
      const version = /"version": "([^"]+)"/u.exec(readFileSync(join(root, 'package.json'), 'utf8'))?.[1];
      return { version: `mizuchi-uploadr ${version}, Node ${process.version}` };
    },
    prepare: async (place) => {
      await options.ready?.();
      const path = join(place.directory, 'config.yaml');
      const neighbour = await options.startNeighbour?.();
      await writeFile(path, configuration(place, options, neighbour));
      // For profiles: `--cpu-prof`, `--perf-basic-prof`.
      const flags = (process.env['MIZUCHI_BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean);
      const args = [...flags, entry, '--config', path];
      return { file: process.execPath, args, ...(neighbour && { release: () => neighbour.stop() }) };
    },
    request,
  };
}
