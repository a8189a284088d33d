// What one would write in Node without us: a piped proxy, and one on the SDK's PutObject command.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Arm, objectPath } from '../arm.ts';
import { accessKey, secretKey } from '../credentials.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const peer = (name: string): string => join(import.meta.dirname, '..', 'peers', `${name}.ts`);

function sdkVersion(): string {
  const text = readFileSync(join(root, 'node_modules/@aws-sdk/client-s3/package.json'), 'utf8');
  return /"version": "([^"]+)"/u.exec(text)?.[1] ?? 'version not known';
}

export const nodePipe: Arm = {
  name: 'node-pipe',
  note: 'a `node:http` server piped into a `node:http` request; no authentication, no signing',
  find: async () => ({ version: `Node ${process.version}` }),
  prepare: async (place) => ({
    file: process.execPath,
    args: [peer('node-pipe'), String(place.port), String(place.backendPort)],
  }),
  request: () => ({ path: objectPath, headers: [] }),
};

export const sdkPut: Arm = {
  name: 'sdk-put',
  note: 'a `node:http` server and the AWS SDK’s PutObject command; no authentication, signed',
  find: async () => ({ version: `@aws-sdk/client-s3 ${sdkVersion()}, Node ${process.version}` }),
  prepare: async (place) => ({
    file: process.execPath,
    args: [peer('sdk-put'), String(place.port), String(place.backendPort)],
    env: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey },
  }),
  request: () => ({ path: objectPath, headers: [] }),
};
