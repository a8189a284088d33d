// The process's own log: what a fault is told as, and a level that changes while it runs.
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LoggingConfig } from '../../../../src/config/config.ts';
import { S3Error } from '../../../../src/errors.ts';
import { Fault } from '../../../../src/fault.ts';
import { LineWriter } from '../../../../src/line-writer.ts';
import { createLog, sayAloud, toggleLevel, type Log } from '../../../../src/log.ts';

const terminal = vi.hoisted(() => ({ isThere: false }));
vi.mock(import('node:tty'), async (original) => ({ ...(await original()), isatty: () => terminal.isThere }));

let folder: string;
let fd: number;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-log-'));
  fd = openSync(path.join(folder, 'log'), 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

function logAt(
  level: LoggingConfig['level'],
  format: LoggingConfig['format'] | 'unsaid' = 'json',
  keys: LoggingConfig['keys'] = 'plain',
): Log {
  const rest = { keys, subjects: 'hashed', slowUploadMs: 0, auditDestination: undefined } as const;
  const said = format === 'unsaid' ? undefined : format;
  return createLog({ level, format: said, ...rest }, new LineWriter({ fd, isImmediate: true }));
}
const text = (): string => readFileSync(path.join(folder, 'log'), 'utf8');
const entries = (): Record<string, unknown>[] =>
  text()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a fault is told with its causes, and with nothing that a library has hung on it', () => {
  const request = { headers: { authorization: 'Bearer planted' } };
  const cause = Object.assign(new Error('reset'), { code: 'ECONNRESET', config: request, request });
  const error = Object.assign(new Error('backend failed', { cause }), {
    $metadata: { httpStatusCode: 503 },
    $response: request,
  });
  logAt('info').error({ err: error }, 'request failed');
  expect(text()).not.toContain('planted');
  expect(entries()).toMatchObject([
    {
      level: 50,
      err: {
        type: 'Error',
        message: 'backend failed',
        status: 503,
        stack: expect.stringContaining('log.test.ts'),
        cause: { message: 'reset', code: 'ECONNRESET' },
      },
    },
  ]);
});

test.each(['hashed', 'off'] as const)(
  'a fault of the file system is told without its path where keys are %s',
  (keys) => {
    const failures = [
      () => readFileSync(path.join(folder, 'planted')),
      () => renameSync(path.join(folder, 'log'), path.join(folder, 'none/planted\n    at planted')),
    ];
    for (const fail of failures) {
      try {
        fail();
      } catch (cause) {
        const err = new Fault('several', { cause: new AggregateError([cause]) });
        logAt('info', 'json', keys).error({ err });
      }
    }
    expect(text()).not.toContain('planted');
    const told = (message: string) => ({
      type: 'Error',
      message,
      code: 'ENOENT',
      stack: expect.stringMatching(new RegExp(`^Error: ${message}\\n    at .*log\\.test\\.ts`, 'su')),
    });
    expect(entries().map(({ err }) => err)).toMatchObject([
      { message: 'several', cause: { errors: [told('ENOENT: open')] } },
      { message: 'several', cause: { errors: [told('ENOENT: rename')] } },
    ]);
  },
);

const leftOut = 'left out, as it could hold an object key';

describe('where keys are not plain, the words of others are left out', () => {
  function parse(): unknown {
    try {
      return JSON.parse('{"key":planted}');
    } catch (error) {
      return error;
    }
  }
  function changeMessage(): Error {
    const error = new Error('planted: and more');
    // Made when it is first asked for.
    expect(error.stack).toContain('planted: and more');
    error.message = 'planted';
    return error;
  }

  test.each([
    ['of a library, which quotes what it was given', parse(), { type: 'SyntaxError', message: leftOut }],
    ['that look like lines of a stack', new TypeError('no\n    at planted (a:1:1)'), { message: leftOut }],
    ['changed since the stack was taken', changeMessage(), { message: leftOut }],
    ['of no error', 'planted', { type: 'string', message: leftOut }],
  ])('%s', (_, err, told) => {
    for (const keys of ['hashed', 'off'] as const) logAt('info', 'json', keys).error({ err }, 'failed');
    expect(text()).not.toContain('planted');
    expect(entries()).toMatchObject([{ err: told }, { err: told }]);
    logAt('info').error({ err }, 'failed');
    expect(text()).toContain('planted');
  });

  test('but not where it was', () => {
    logAt('info', 'json', 'off').error({ err: new TypeError('planted') }, 'failed');
    const stack = expect.stringMatching(new RegExp(`^TypeError: ${leftOut}\\n    at .*log\\.test\\.ts`, 'su'));
    expect(entries()).toMatchObject([{ err: { type: 'TypeError', stack } }]);
  });

  test('but not our own, nor which address could not be reached', () => {
    const call = { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.7', port: 9000 };
    const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:9000'), call);
    const err = new S3Error('ServiceUnavailable', { cause: new Fault('lost', { cause, detail: 'planted' }) });
    for (const keys of ['hashed', 'plain'] as const) logAt('info', 'json', keys).error({ err }, 'failed');
    const told = { message: 'lost', cause: { message: cause.message, code: 'ECONNREFUSED' } };
    const [hashed, plain] = entries();
    expect(hashed).toMatchObject({ err: { message: err.message, code: 'ServiceUnavailable', cause: told } });
    expect(JSON.stringify(hashed)).not.toContain('planted');
    expect(plain).toMatchObject({ err: { cause: { ...told, detail: 'planted' } } });
  });
});

test('faults of many, in a ring, and of no kind', () => {
  const ring = new Error('ring');
  ring.cause = ring;
  const many = new AggregateError([new Error('one'), 'two'], 'many');
  for (const err of [ring, many, 'text', 5]) logAt('info').error({ err });
  expect(entries()).toMatchObject([
    { err: { message: 'ring', cause: { message: 'ring' } } },
    { err: { message: 'many', errors: [{ message: 'one' }, { message: 'two' }] } },
    { err: { message: 'text' } },
    { err: { message: '5' } },
  ]);
});

describe('the level', () => {
  test.each([
    ['info', ['debug', 'info', 'debug']],
    ['warn', ['debug', 'warn', 'debug']],
    ['silent', ['debug', 'silent', 'debug']],
    ['debug', ['info', 'debug', 'info']],
    ['trace', ['info', 'trace', 'info']],
  ] as const)('%s is changed to debug and back, or to info where it says as much', (configured, levels) => {
    const log = logAt(configured);
    for (const [index, to] of levels.entries()) {
      toggleLevel(log, configured);
      expect(log.level).toBe(to);
      // Each change is said, even where one of the two levels would not say it.
      expect(entries()).toHaveLength(index + 1);
      expect(entries().at(-1)).toMatchObject({ msg: 'log level changed', to });
    }
  });
});

test('what is said aloud is held back by no level but silent, and is a line like any other', () => {
  for (const level of ['trace', 'info', 'warn', 'error', 'fatal', 'silent'] as const) {
    const log = logAt(level);
    sayAloud(log, ['one', 'two']);
    expect(log.level).toBe(level);
  }
  const line = (msg: string) => ({ level: 40, time: expect.stringMatching(/^\d{4}-.*Z$/u) as string, msg });
  expect(entries()).toEqual(Array.from({ length: 5 }, () => [line('one'), line('two')]).flat());
  sayAloud(logAt('error', 'pretty'), ['one']);
  expect(text().split('\n')[10]).toMatch(/^\d\d:\d\d:\d\d WARN {2}one$/u);
});

test('an entry that is JSON already has time and level like any other, and is shown to people like any other', () => {
  logAt('info').writeEntry('warn', ',"key":"a","n":1.5', 'request');
  expect(entries()).toEqual([
    { level: 40, time: expect.stringMatching(/^\d{4}-.*Z$/u), key: 'a', n: 1.5, msg: 'request' },
  ]);
  logAt('info', 'pretty').writeEntry('warn', ',"key":"a","n":1.5', 'request');
  expect(text().split('\n')[1]).toMatch(/^\d\d:\d\d:\d\d WARN {2}request key=a n=1\.5$/u);
});

test.each([
  ['unsaid', true, false],
  ['unsaid', false, true],
  ['json', true, true],
  ['pretty', false, false],
] as const)('format %s, at a terminal: %s', (format, isThere, isJson) => {
  terminal.isThere = isThere;
  logAt('info', format).info({ key: 'a' }, 'told');
  expect(text().startsWith('{')).toBe(isJson);
});
