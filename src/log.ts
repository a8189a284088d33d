// The process's own log (pino): what an operator must know. Never a token, a secret, or a query.
import { isatty } from 'node:tty';
import pino from 'pino';
import type { LoggingConfig } from './config/config.ts';
import { describeError } from './describe-error.ts';
import { standardOutput, type LineWriter } from './line-writer.ts';
import { escapeUnprintable, writePrettyLine } from './printable.ts';

export interface Log extends pino.Logger {
  /**
   * An entry whose fields are JSON already, each with a comma before it, and hold nothing unprintable: for the line that is
   * written most. Whether the level is enabled is for the caller to see.
   */
  writeEntry(level: pino.Level, fields: string, message: string): void;
}

/** @param writer standard output unless told. */
export function createLog({ level, format, keys }: LoggingConfig, writer: LineWriter = standardOutput()): Log {
  const isPretty = format === 'pretty' || (format === undefined && isatty(1));
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${writeTime()}"`,
      serializers: { err: (error) => describeError(error, keys !== 'plain') },
    },
    toStream(writer, isPretty ? writePrettyLine : escapeUnprintable),
  );
  writer.onDropped = (lines) =>
    log.warn({ lines }, 'log lines were dropped: what takes the log did not keep up, or failed');
  const writeEntry: Log['writeEntry'] = (of, fields, message) => {
    const value = pino.levels.values[of] ?? 0;
    const json = `{"level":${value},"time":"${writeTime()}"${fields},"msg":"${message}"}\n`;
    writer.write(isPretty ? writePrettyLine(json) : json, value >= urgentLevel);
  };
  return Object.assign(log, { writeEntry });
}

/** @param log of a program that the proxy is part of, any of pino's: its level and its form are for that program to say. */
export function toLog(log: pino.Logger, { keys }: Pick<LoggingConfig, 'keys'>): Log {
  if (isLog(log)) return log;
  const describe = (error: unknown) => (error instanceof Error ? describeError(error, keys !== 'plain') : error);
  const child = log.child({}, { serializers: { err: describe } });
  const writeEntry: Log['writeEntry'] = (level, fields, message) =>
    child[level](JSON.parse(`{${fields.slice(1)}}`) as object, message);
  return Object.assign(child, { writeEntry });
}

const isLog = (log: pino.Logger): log is Log => 'writeEntry' in log;

/** As warnings, at every level but silent: who asks for faults alone must still learn that a bucket is open to everybody. */
export function sayAloud(log: pino.Logger, sentences: readonly string[]): void {
  const aloud = log.level === 'silent' ? log : log.child({}, { level: 'warn' });
  for (const sentence of sentences) aloud.warn(sentence);
}

/** From debug to the configured level and back; where that says as much as debug, info is the other one. */
export function toggleLevel(log: Log, configured: LoggingConfig['level']): void {
  const other = configured === 'debug' || configured === 'trace' ? 'info' : 'debug';
  const from = log.level;
  const to = from === configured ? other : configured;
  const say = () => log.info({ from, to }, 'log level changed');
  // Said while the level is the one that says more.
  const saysMore = (log.levels.values[to] ?? Infinity) < (log.levels.values[from] ?? Infinity);
  if (!saysMore) say();
  log.level = to;
  if (saysMore) say();
}

/** From here on lines are not gathered. */
const urgentLevel = pino.levels.values['warn'] ?? 0;

function toStream(writer: LineWriter, toLine: (json: string) => string) {
  return {
    // Has pino set lastLevel before each write.
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 0,
    write(json: string) {
      writer.write(toLine(json), this.lastLevel >= urgentLevel);
    },
    flush: (flushed?: () => void) => writer.flush(flushed),
  };
}

let written = { ms: 0, text: '' };

/** Under load many lines have the same time. */
function writeTime(): string {
  const ms = Date.now();
  if (ms !== written.ms) written = { ms, text: new Date(ms).toISOString() };
  return written.text;
}
