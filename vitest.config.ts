import { defineConfig } from 'vitest/config';

// unit and fuzz need nothing; the others start real servers and clients, and fail when one cannot be had.
const servers = 'test/servers/ensure-servers.ts';
const setUps: Readonly<Record<string, string>> = {
  contract: servers,
  integration: servers,
  fault: servers,
  clients: 'test/clients/ensure-clients.ts',
};

const project = (name: string, timeoutMs: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: 60_000,
    pool: 'forks' as const,
    fileParallelism: name === 'unit',
    globalSetup: setUps[name] ?? [],
  },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 10_000),
      project('fuzz', 60_000),
      project('contract', 120_000),
      project('integration', 180_000),
      project('fault', 180_000),
      project('clients', 180_000),
    ],
  },
});
