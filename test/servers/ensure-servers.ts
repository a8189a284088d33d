// Vitest's global set-up of the projects that need real servers: builds the missing ones before any test's time runs.
import { findIsaL } from './find-isa-l.ts';
import { findServer } from './find-server.ts';
import { findRotel } from './start-rotel.ts';

export async function setup(): Promise<void> {
  await Promise.all([
    findServer('minio'),
    findServer('versitygw'),
    findServer('toxiproxy'),
    findServer('openfga'),
    findServer('opa'),
    findServer('promtool'),
    findRotel(),
    findIsaL(),
  ]);
}
