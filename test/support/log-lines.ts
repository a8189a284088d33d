// The lines of a log as values, and the names of their fields that the README promises.
import { readFile } from 'node:fs/promises';
import path from 'node:path';

export type LogLine = Readonly<Record<string, unknown>>;

/** @param text a last line that is not whole yet is left out. @throws SyntaxError for a line that is not JSON. */
export function parseLines(text: string): LogLine[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}

/** Of requests. */
export const requestLines = (text: string): LogLine[] =>
  parseLines(text).filter(
    ({ stream, requestId, status, code }) =>
      stream === undefined && requestId !== undefined && (status !== undefined || code === 'ClientGone'),
  );

export const fieldsOf = (lines: readonly LogLine[]): string[] => [...new Set(lines.flatMap(Object.keys))].toSorted();

/** The names in the first column of a table of the README. */
export async function readPromisedFields(table: 'log-fields' | 'audit-fields'): Promise<string[]> {
  const readme = await readFile(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
  const [, text = ''] = readme.split(`<!-- ${table}:begin -->`);
  const [rows = ''] = text.split(`<!-- ${table}:end -->`);
  const columns = rows.split('\n').flatMap((row) => row.split('|').slice(1, 2));
  return columns
    .flatMap((cell) => [...cell.matchAll(/`(?<name>\w+)`/gu)].map(({ groups }) => groups?.['name'] ?? ''))
    .toSorted();
}
