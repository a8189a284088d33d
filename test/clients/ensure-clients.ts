// Vitest's global set-up of the clients project: installs the missing clients before any test's time runs.
import { findServer } from '../servers/find-server.ts';
import { clientPrograms, findClient } from './find-client.ts';

export async function setup(): Promise<void> {
  await Promise.all([findServer('minio'), ...clientPrograms.map(findClient)]);
}
