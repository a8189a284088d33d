// Our own arms: the proxy as it is started by `npm start`, with JWT on and signing on, in the forms worth comparing.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { stringify } from 'yaml';

import { type Arm, type ArmBody, type ArmPlace, objectPath } from '../arm.ts';
import { accessKey, bearerToken, jwtSecret, secretKey } from '../credentials.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const sourceEntry = join(root, 'src', 'cli.ts');
const builtEntry = join(root, 'dist', 'cli.js');

interface MizuchiOptions {
  readonly note: string;
  /** What Node runs; the source when it is left out. */
  readonly entry?: string;
  /** Put over the bucket's `upload` settings. */
  readonly upload?: Readonly<Record<string, unknown>>;
  /** Header fields that depend on the body. */
  readonly bodyHeaders?: (body: ArmBody) => readonly string[];
}

function configuration(place: ArmPlace, upload: Readonly<Record<string, unknown>>): string {
  return stringify({
    server: { address: `127.0.0.1:${place.port}`, state_dir: join(place.directory, 'state') },
    buckets: [
      {
        name: 'uploads',
        path_prefix: '/uploads',
        s3: {
          bucket: 'bench',
          region: 'us-east-1',
          endpoint: `http://127.0.0.1:${place.backendPort}`,
          access_key: accessKey,
          secret_key: secretKey,
        },
        auth: { enabled: true, jwt: { algorithm: 'HS256', secret: jwtSecret } },
        ...(Object.keys(upload).length > 0 ? { upload } : {}),
      },
    ],
  });
}

function createMizuchi(name: string, options: MizuchiOptions): Arm {
  const entry = options.entry ?? sourceEntry;
  return {
    name,
    note: options.note,
    find: async () => {
      if (!existsSync(entry)) return { missing: '`npm run build` makes it' };
      const version = /"version": "([^"]+)"/u.exec(readFileSync(join(root, 'package.json'), 'utf8'))?.[1];
      return { version: `mizuchi-uploadr ${version}, Node ${process.version}` };
    },
    prepare: async (place) => {
      const path = join(place.directory, 'config.yaml');
      await writeFile(path, configuration(place, options.upload ?? {}));
      // For profiles: `--cpu-prof`, `--perf-basic-prof`.
      const flags = (process.env['MIZUCHI_BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean);
      return { file: process.execPath, args: [...flags, entry, '--config', path] };
    },
    request: (_place, body) => ({
      path: objectPath,
      headers: [`Authorization: Bearer ${bearerToken()}`, ...(options.bodyHeaders?.(body) ?? [])],
    }),
  };
}

/** Calls back with the payload repeated until the body is whole. */
function eachBlock({ payload, bytes }: ArmBody, take: (block: Buffer) => void): void {
  for (let left = bytes; left > 0; left -= payload.length) take(payload.subarray(0, Math.min(left, payload.length)));
}

function sha256Header(body: ArmBody): readonly string[] {
  const hash = createHash('sha256');
  eachBlock(body, (block) => hash.update(block));
  return [`x-amz-checksum-sha256: ${hash.digest('base64')}`];
}

function crc32Header(body: ArmBody): readonly string[] {
  let sum = 0;
  eachBlock(body, (block) => {
    sum = crc32(block, sum);
  });
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return [`x-amz-checksum-crc32: ${bytes.toString('base64')}`];
}

export const mizuchi = createMizuchi('mizuchi', {
  note: 'this proxy as configured by default: JWT verified, requests signed, large bodies in parts',
});

export const mizuchiBuilt = createMizuchi('mizuchi-built', {
  note: 'the same from `dist`, as it is installed: Node has no types to strip',
  entry: builtEntry,
});

/** S3 takes single PUTs of up to 5 GiB. */
export const mizuchiSingle = createMizuchi('mizuchi-single', {
  note: 'the same with `multipart_threshold: 5GiB`: one PUT to the backend for one PUT, as the other proxies do',
  upload: { multipart_threshold: 5 * 2 ** 30 },
});

export const mizuchiEightParts = createMizuchi('mizuchi-8-parts', {
  note: 'the same with `concurrent_parts: 8`',
  upload: { concurrent_parts: 8 },
});

export const mizuchiCrc32 = createMizuchi('mizuchi+crc32', {
  note: 'the same, with `x-amz-checksum-crc32` sent by the client and verified',
  bodyHeaders: crc32Header,
});

export const mizuchiSha256 = createMizuchi('mizuchi+sha256', {
  note: 'the same, with `x-amz-checksum-sha256` sent by the client and verified',
  bodyHeaders: sha256Header,
});
