import { defineConfig } from 'vitest/config';

// unit needs nothing; the others start real servers through test/servers and fail when one cannot be had.
const needsServers = new Set(['contract', 'integration', 'fault']);

const project = (name: string, timeoutMs: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: 60_000,
    pool: 'forks' as const,
    fileParallelism: name === 'unit',
    globalSetup: needsServers.has(name) ? ['test/servers/ensure-servers.ts'] : [],
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
    ],
  },
});
