// HAProxy as a reverse proxy that may splice.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Arm, objectPath } from '../arm.ts';
import { findProgram, programVersion } from '../machine.ts';

const variable = 'MIZUCHI_BENCH_HAPROXY';

export const haproxy: Arm = {
  name: 'haproxy',
  note: '`splice-auto`, one thread, `http-reuse always`; no authentication, no signing',
  find: async () => {
    const file = findProgram('haproxy', variable);
    if (file === undefined) return { missing: 'install the package `haproxy`' };
    return { version: `HAProxy ${await programVersion(file, ['-v'], /version (\S+)/u)}` };
  },
  prepare: async (place) => {
    const path = join(place.directory, 'haproxy.cfg');
    const text = `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option splice-auto
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend in
  bind 127.0.0.1:${place.port}
  default_backend out
backend out
  server sink 127.0.0.1:${place.backendPort}
`;
    await writeFile(path, text);
    return { file: findProgram('haproxy', variable) ?? 'haproxy', args: ['-db', '-f', path] };
  },
  request: () => ({ path: objectPath, headers: [] }),
};
