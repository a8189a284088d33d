// The version of this package, as package.json says it.
import { createRequire } from 'node:module';

// One folder up from here, built or not.
const packageJson = createRequire(import.meta.url)('../package.json') as { version: string };

export const { version } = packageJson;
