// What may stand on the command line: the sub-commands, their options, and the help that tells of them.
import { parseArgs } from 'node:util';
import { findClosestName } from './closest-name.ts';
import { version } from './version.ts';

/** Wrong usage; the message is for whoever typed the command. */
export class UsageError extends Error {}

export type CommandName = 'serve' | 'validate' | 'token' | 'presign' | 'health';

interface Option {
  /** What stands behind it; undefined for a switch. */
  readonly argument?: string;
  readonly text: string;
  readonly isRequired?: boolean;
}

interface Command {
  readonly summary: string;
  readonly options: Readonly<Record<string, Option>>;
}

const fromConfiguration: Readonly<Record<string, Option>> = {
  config: { argument: 'PATH', text: 'the configuration; else MIZUCHI_CONFIG, else ./config.yaml' },
};

const commands: Readonly<Record<CommandName, Command>> = {
  serve: {
    summary: 'start the proxy (this is what happens without a command)',
    options: {
      ...fromConfiguration,
      validate: { text: 'only check the configuration, as the command validate does' },
      'print-config': { text: 'only print the effective configuration, secrets hidden' },
    },
  },
  validate: { summary: 'check the configuration: every fault at once, each with its line', options: fromConfiguration },
  token: {
    summary: 'print a bearer token, made with the secret of a bucket’s auth.jwt',
    options: {
      subject: { argument: 'NAME', text: 'who the token is for; required', isRequired: true },
      ttl: { argument: 'SECONDS', text: 'how long it is good for; 3600 when left out' },
      bucket: { argument: 'NAME', text: 'the bucket it is for; the first with a secret when left out' },
      claims: { argument: 'JSON', text: 'further claims, such as {"groups":["press"]}' },
      ...fromConfiguration,
    },
  },
  presign: {
    summary: 'print a URL by which anybody may make one request, signed with a key of auth.sigv4',
    options: {
      key: { argument: 'KEY', text: 'the object; required', isRequired: true },
      method: { argument: 'METHOD', text: 'PUT when left out' },
      expires: { argument: 'SECONDS', text: 'how long it is good for, up to 604800; 3600 when left out' },
      query: { argument: 'STRING', text: 'such as partNumber=1&uploadId=x' },
      bucket: { argument: 'NAME', text: 'the first with auth.sigv4 when left out' },
      'access-key': { argument: 'ID', text: 'the credential to sign with; the first when left out' },
      url: { argument: 'URL', text: 'where clients reach the proxy; server.address when left out' },
      ...fromConfiguration,
    },
  },
  health: {
    summary: 'ask the proxy that runs with this configuration whether it is alive (for container health checks)',
    options: fromConfiguration,
  },
};

const everywhere: Readonly<Record<string, Option>> = {
  help: { text: 'print this (with a command before it: its options), and exit' },
  version: { text: 'print the version, and exit' },
};

const allOptions: Readonly<Record<string, Option>> = Object.assign(
  {},
  everywhere,
  ...Object.values(commands).map(({ options }) => options),
);

export interface CommandLine {
  readonly command: CommandName;
  /** By option name; a switch is '' when it is given. */
  readonly values: Readonly<Partial<Record<string, string>>>;
  /** The help that was asked for. */
  readonly help: string | undefined;
}

/** @param args behind the program's name. @throws UsageError */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const tokens = tokenize(args);
  const given = tokens.filter((token) => token.kind === 'option');
  const unknown = given.find(({ name }) => !Object.hasOwn(allOptions, toLongName(name)));
  if (unknown !== undefined) throw new UsageError(describeUnknownOption(unknown.name, unknown.rawName));
  const words = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const [word, second] = words;
  if (word !== undefined && !isCommand(word)) throw new UsageError(describeUnknownWord(word));
  if (second !== undefined) throw new UsageError(`one command at a time: ${words.join(' ')}`);
  const command = word ?? 'serve';

  const options: Readonly<Record<string, Option>> = { ...commands[command].options, ...everywhere };
  const values: Record<string, string> = {};
  for (const { name, rawName, value, inlineValue } of given) {
    const longName = toLongName(name);
    const option = options[longName];
    if (option === undefined) throw new UsageError(describeMisplacedOption(longName, rawName, command));
    if (Object.hasOwn(values, longName)) throw new UsageError(`${rawName} is given twice`);
    if (option.argument === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    // An empty path is a variable that the shell did not know; the embedded default is not what was meant.
    const isEmptyPath = value === '' && option.argument === 'PATH';
    const isMissing = value === undefined || isEmptyPath || (!inlineValue && value.startsWith('--'));
    if (option.argument !== undefined && isMissing)
      throw new UsageError(`${rawName} is to be followed by ${option.argument}`);
    values[longName] = value ?? '';
  }
  if (values['help'] !== undefined)
    return { command, values, help: word === undefined ? programHelp() : commandHelp(word) };
  const missing = Object.entries(options).find(([name, { isRequired }]) => isRequired && !Object.hasOwn(values, name));
  if (missing !== undefined && values['version'] === undefined) throw new UsageError(`--${missing[0]} is missing`);
  return { command, values, help: undefined };
}

function tokenize(args: readonly string[]) {
  const types = Object.entries(allOptions).map(([name, { argument }]) => [
    name,
    { type: argument === undefined ? ('boolean' as const) : ('string' as const) },
  ]);
  // Not strict: what is wrong is said here, in words that fit this program.
  return parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(types) as Record<string, { type: 'boolean' | 'string' }>,
  }).tokens;
}

function toLongName(name: string): string {
  return name === 'h' ? 'help' : name;
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commands, word);
}

function describeUnknownWord(word: string): string {
  const meant = findClosestName(word, Object.keys(commands));
  return `there is no command ${word}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function describeUnknownOption(name: string, rawName: string): string {
  const meant = findClosestName(name, Object.keys(allOptions));
  return `there is no option ${rawName}${meant === undefined ? '' : `; did you mean --${meant}?`}`;
}

function describeMisplacedOption(name: string, rawName: string, command: CommandName): string {
  const owners = Object.entries(commands).filter(([, { options }]) => Object.hasOwn(options, name));
  return `${rawName} belongs to ${owners.map(([owner]) => owner).join(' and ')}, not to ${command}`;
}

function programHelp(): string {
  const summaries = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  return `mizuchi-uploadr ${version}: upload-only, streaming S3 proxy

Usage: mizuchi-uploadr [COMMAND] [OPTIONS]

Commands
${inColumns(summaries)}
Options of serve
${inColumns(describeOptions(commands.serve.options))}
Options of every command
${inColumns(describeOptions(everywhere))}
Examples
  mizuchi-uploadr                                     the embedded default: stores into ./data, on 127.0.0.1:8080
  mizuchi-uploadr --config config.yaml
  mizuchi-uploadr validate --config config.yaml
  mizuchi-uploadr token --subject alice --ttl 600
  mizuchi-uploadr presign --key photos/1.jpg

The \${NAME}s of a configuration are taken from the environment, and from the files of NAME=value lines that
MIZUCHI_ENV_FILE names (several: with : between them).

Exit codes: 0 done, or stopped by a signal; 1 a fault of the configuration, at start or while running; 2 wrong usage.
`;
}

function commandHelp(name: CommandName): string {
  const { summary, options } = commands[name];
  return `mizuchi-uploadr ${name}: ${summary}

Usage: mizuchi-uploadr ${name} [OPTIONS]

${inColumns(describeOptions({ ...options, ...everywhere }))}`;
}

function describeOptions(options: Readonly<Record<string, Option>>): (readonly [string, string])[] {
  return Object.entries(options).map(([name, { argument, text }]) => [
    `${name === 'help' ? '-h, ' : ''}--${name}${argument === undefined ? '' : ` ${argument}`}`,
    text,
  ]);
}

function inColumns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}   ${right}\n`).join('');
}
