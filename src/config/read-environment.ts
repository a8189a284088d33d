// The variables that a configuration may ask for: the process's own, and those of files, where secrets are handed over as files.
import { readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { parseEnv } from 'node:util';
import { ConfigError } from './config-error.ts';
import { decodeText } from './decode-text.ts';
import type { Environment } from './expand-variables.ts';

/**
 * MIZUCHI_ENV_FILE names the files, with the system's delimiter between them. Of variables that several have, the process's own
 * counts, and then the earlier file's.
 * @throws ConfigError when a file cannot be read, or is not UTF-8.
 */
export function readEnvironment(env: Environment): Environment {
  const paths = (env['MIZUCHI_ENV_FILE'] ?? '').split(delimiter).filter((path) => path !== '');
  return Object.assign({}, ...paths.map(readVariables).toReversed(), env) as Environment;
}

function readVariables(path: string): Environment {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const message = `the file of variables cannot be read (${code}); put it there, or set MIZUCHI_ENV_FILE`;
    throw new ConfigError(path, [{ path: '', message }]);
  }
  return parseEnv(decodeText(bytes, path));
}
