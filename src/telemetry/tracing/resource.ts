// What every span says of the process that made it.
import { randomUUID } from 'node:crypto';
import { arch, hostname, platform } from 'node:os';
import { SDK_INFO } from '@opentelemetry/core';
import type { TracingConfig } from '../../config/config.ts';
import { version } from '../../version.ts';

/** What is configured wins, save the service's name, which has a key of its own. */
export function describeResource({
  serviceName,
  resourceAttributes,
}: Pick<TracingConfig, 'serviceName' | 'resourceAttributes'>): Readonly<Record<string, string | number>> {
  return {
    'service.version': version,
    'service.instance.id': randomUUID(),
    'host.name': hostname(),
    'host.arch': arch() === 'x64' ? 'amd64' : arch(),
    'os.type': platform(),
    'process.pid': process.pid,
    ...SDK_INFO,
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
    ...resourceAttributes,
    'service.name': serviceName,
  };
}
