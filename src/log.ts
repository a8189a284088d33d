// The process's own log (pino): what an operator must know. Never a token, a secret, a key of a user, or a query.
import pino from 'pino';
import type { LoggingConfig } from './config/config.ts';

export type Log = pino.Logger;

export function createLog({ level, format }: LoggingConfig): Log {
  const isPretty = format === 'pretty' || (format === undefined && process.stdout.isTTY);
  return isPretty
    ? pino({ level, base: null }, prettyLines())
    : pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}

const levelNames = new Map(Object.entries(pino.levels.labels));

/** One readable line for each entry: time, level, message, and the fields that remain. */
function prettyLines(): { write(line: string): void } {
  return {
    write(line) {
      const { level, time, msg, ...fields } = JSON.parse(line) as { level: number; time: number; msg?: string };
      const rest = Object.entries(fields).map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      const clock = new Date(time).toTimeString().slice(0, 8);
      const name = (levelNames.get(String(level)) ?? '').toUpperCase();
      process.stdout.write(`${clock} ${name.padEnd(5)} ${[msg ?? '', ...rest].join(' ')}\n`);
    },
  };
}
