// Configurations that are refused: small ones to begin with, and the faults that loading tells.
import { ConfigError, type ConfigFault } from '../../../src/config/config-error.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { env, secret } from './secret-in-environment.ts';

export function faultsOf(text: string): readonly ConfigFault[] {
  try {
    loadConfig({ path: 'config.yaml', text, env });
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

export const pathsOf = (text: string) => faultsOf(text).map(({ path }) => path);
export const jwt = `jwt: { secret: ${secret} }`;
export const bucketWith = (settings: string) => `buckets: [{ name: uploads, ${settings} }]`;
