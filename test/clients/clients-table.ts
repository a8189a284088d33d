// The README's table of clients, made of what a run has seen to work.
import { format, resolveConfig } from 'prettier';
import type { Client } from './client.ts';

const marks = { begin: '<!-- clients:begin -->', end: '<!-- clients:end -->' } as const;

/** What `client` showed: labels, in Markdown. */
export interface Showing {
  readonly client: Client;
  readonly works: readonly string[];
  readonly refused: readonly string[];
}

/** @returns the Markdown file's text with the table between its two marks. @throws Error when they are not there. */
export async function insertClientsTable(
  markdownFile: string,
  text: string,
  showings: readonly Showing[],
): Promise<string> {
  const [start, end] = [text.indexOf(marks.begin), text.indexOf(marks.end)];
  if (start < 0 || end < start) throw new Error(`${markdownFile} lacks ${marks.begin} and ${marks.end}`);
  const rows = showings.map(({ client, works, refused }) =>
    [client.name, client.version, works.join(', '), client.settings, refused.join(', ')].join(' | '),
  );
  const table = [
    'client | version | uploads with | needs besides endpoint, keys, region and path-style addresses | is refused',
    '--- | --- | --- | --- | ---',
    ...rows,
  ].map((row) => `| ${row} |`);
  const options = await resolveConfig(markdownFile);
  const formatted = await format(table.join('\n'), { ...options, parser: 'markdown' });
  return `${text.slice(0, start)}${marks.begin}\n\n${formatted}\n${text.slice(end)}`;
}

/** The labels of the entries that are in `passed`, each once. */
export function labelsOf(
  entries: readonly { readonly name: string; readonly label?: string }[],
  passed: (name: string) => boolean,
): string[] {
  const labels = new Map<string, boolean>();
  for (const { name, label = `\`${name}\`` } of entries) labels.set(label, passed(name) && (labels.get(label) ?? true));
  return [...labels].filter(([, works]) => works).map(([label]) => label);
}
