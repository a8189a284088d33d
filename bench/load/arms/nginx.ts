// nginx as a reverse proxy: with a large body buffer, and as most people run it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Arm, type ArmCommand, type ArmPlace, objectPath } from '../arm.ts';
import { findProgram, programVersion } from '../machine.ts';

function configuration(place: ArmPlace, locationSettings: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${place.directory}/${kind};`)
    .join('\n');
  return `worker_processes 1;
pid ${place.directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 0;
  keepalive_requests 100000000;
${temporary}
  upstream backend {
    server 127.0.0.1:${place.backendPort};
    keepalive 256;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${place.port};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
${locationSettings}
    }
  }
}
`;
}

function createNginx(name: string, note: string, locationSettings: string): Arm {
  return {
    name,
    note,
    find: async () => {
      const file = findProgram('nginx', 'MIZUCHI_BENCH_NGINX');
      if (file === undefined) return { missing: 'install the package `nginx`' };
      return { version: `nginx ${await programVersion(file, ['-v'], /nginx\/(\S+)/u)}` };
    },
    prepare: async (place): Promise<ArmCommand> => {
      const path = join(place.directory, 'nginx.conf');
      await writeFile(path, configuration(place, locationSettings));
      const args = ['-c', path, '-p', place.directory, '-e', 'stderr', '-g', 'daemon off;'];
      return { file: findProgram('nginx', 'MIZUCHI_BENCH_NGINX') ?? 'nginx', args };
    },
    request: () => ({ path: objectPath, headers: [] }),
  };
}

export const nginxTuned = createNginx(
  'nginx-tuned',
  '`proxy_request_buffering off`, `client_body_buffer_size 512k`, keep-alive to the backend; no authentication, no signing',
  '      client_body_buffer_size 512k;',
);

export const nginxShipped = createNginx('nginx-shipped', 'the same with its own body buffer of 16 KiB', '');
