// YAML and environment in; a frozen Config, or every fault at once.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from './config.ts';
import { ConfigError, type ConfigFault, formatPath } from './config-error.ts';
import { decodeText } from './decode-text.ts';
import { describeIssue } from './describe-issue.ts';
import { type Environment, expandVariables } from './expand-variables.ts';
import { fillFromOtelEnvironment } from './otel-environment.ts';
import { parseYaml } from './parse-yaml.ts';
import { configSchema, type ConfigInput } from './schema.ts';
import { suggestKey } from './suggest-key.ts';
import { toConfig } from './to-config.ts';

interface Fault {
  readonly steps: readonly PropertyKey[];
  readonly message: string;
}

/**
 * The configuration that a file's text means. Reads nothing but its arguments.
 * @param path names the text in the error.
 * @throws ConfigError with every fault, each with its YAML path and line.
 */
export function loadConfig({ path, text, env }: { path: string; text: string; env: Environment }): Config {
  const yaml = parseYaml(text, path);
  const expanded = expandVariables(yaml.value, env);
  const filled = fillFromOtelEnvironment(expanded.value, env);
  const checked = checkConfig(filled.value);
  const unresolved = new Set(expanded.faults.map(({ steps }) => formatPath(steps)));
  const faults: ConfigFault[] = [
    ...expanded.faults,
    // What is wrong with a value only because its variable is missing is not a second fault.
    ...(checked.ok ? [] : checked.faults.filter(({ steps }) => !unresolved.has(formatPath(steps)))),
  ].map(({ steps, message }) => {
    const line = yaml.findLine(steps);
    return { path: formatPath(steps), message, ...(line !== undefined && { line }) };
  });
  if (!checked.ok || faults.length > 0) throw new ConfigError(path, faults.toSorted(byLine));
  const { config } = checked;
  return Object.freeze({ ...config, notices: Object.freeze([...config.notices, ...filled.notices]) });
}

/**
 * The configuration of the first of `--config PATH`, MIZUCHI_CONFIG and ./config.yaml that is given; undefined when
 * neither is and there is no ./config.yaml.
 * @param cwd the folder that relative paths start from.
 * @throws ConfigError also when the file cannot be read, or is not UTF-8.
 */
export function readConfig(options: { configPath?: string; env: Environment; cwd: string }): Config | undefined {
  const { configPath, env, cwd } = options;
  const chosen = configPath ?? (env['MIZUCHI_CONFIG'] || undefined);
  const path = chosen ?? 'config.yaml';
  let bytes: Buffer;
  try {
    bytes = readFileSync(resolve(cwd, path));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (chosen === undefined && code === 'ENOENT') return undefined;
    const remedy = `put it there, or name another with ${configPath === undefined ? 'MIZUCHI_CONFIG' : '--config'}`;
    throw new ConfigError(path, [{ path: '', message: `the file cannot be read (${code}); ${remedy}` }]);
  }
  return loadConfig({ path, text: decodeText(bytes, path), env });
}

/**
 * The configuration that an object means: the settings of the file under the same names, and no variables.
 * @throws ConfigError with every fault, each with its path.
 */
export function createConfig(input: ConfigInput): Config {
  return checkInput(input, 'configuration');
}

/**
 * The configuration when there is none: one bucket `uploads` in a local folder, open to bearers of tokens that are
 * signed with `secret`, on this machine only.
 * @param address host:port; 127.0.0.1:8080 when left out.
 * @throws ConfigError when the secret or another option is not fit.
 */
export function embeddedConfig(options: {
  secret: string;
  dataDir?: string;
  stateDir?: string;
  address?: string;
}): Config {
  const { secret, dataDir = './data', stateDir, address } = options;
  const input: ConfigInput = {
    server: { ...(address !== undefined && { address }), ...(stateDir !== undefined && { state_dir: stateDir }) },
    ui: { enabled: true },
    buckets: [
      {
        name: 'uploads',
        path_prefix: '/uploads',
        filesystem: { root: dataDir },
        auth: { enabled: true, jwt: { secret } },
      },
    ],
  };
  return checkInput(input, 'embedded configuration');
}

function checkInput(input: ConfigInput, name: string): Config {
  const checked = checkConfig(input);
  if (checked.ok) return checked.config;
  throw new ConfigError(
    name,
    checked.faults.map(({ steps, message }) => ({ path: formatPath(steps), message })),
  );
}

function checkConfig(input: unknown): { ok: true; config: Config } | { ok: false; faults: readonly Fault[] } {
  const parsed = configSchema.safeParse(input, { error: describeIssue });
  if (parsed.success) return { ok: true, config: toConfig(parsed.data) };
  const faults = parsed.error.issues.flatMap((issue): Fault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ steps: [...issue.path, key], message: describeUnknownKey(issue.path, key) }))
      : [{ steps: issue.path, message: issue.message }],
  );
  return { ok: false, faults };
}

function describeUnknownKey(path: readonly PropertyKey[], key: string): string {
  const meant = suggestKey(configSchema, path, key);
  return `unknown key${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function byLine(a: ConfigFault, b: ConfigFault): number {
  return (a.line ?? 0) - (b.line ?? 0);
}
