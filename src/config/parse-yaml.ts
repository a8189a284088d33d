// One YAML document as plain values, and the line on which each of them stands.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { ConfigError } from './config-error.ts';

const maxTextLength = 1024 * 1024;
const maxAliases = 100;
/** One fault of syntax brings others with it. */
const maxSyntaxFaults = 10;

const options = {
  // Whatever a %YAML directive or a tag says: text, numbers, booleans, null, lists and mappings, and nothing else.
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  prettyErrors: false,
  // Anything less, and a second document would be left out without a word.
  logLevel: 'error',
} as const;

/** The parser's own messages may quote the file, secrets included, so ours are said instead. */
const messages: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation is wrong, or a bracket or brace is not closed',
  DUPLICATE_KEY: 'a key stands twice in one mapping',
  MISSING_CHAR: 'something is not closed: a quote, bracket or brace',
  MULTILINE_IMPLICIT_KEY: 'a : or a line break is in the wrong place',
  MULTIPLE_DOCS: 'there must be one document only',
  NON_STRING_KEY: 'a key must be text',
  TAB_AS_INDENT: 'tabs must not be used to indent',
  TAG_RESOLVE_FAILED: 'a tag (!…) is not known',
};

export interface ParsedYaml {
  readonly value: unknown;
  /** The line of the value or key at these steps, or of the nearest thing around it that is there. */
  findLine(steps: readonly PropertyKey[]): number | undefined;
}

/** @throws ConfigError that names `source`, with a line for each fault of syntax. */
export function parseYaml(text: string, source: string): ParsedYaml {
  if (text.length > maxTextLength)
    throw new ConfigError(source, [{ path: '', message: 'the file is larger than 1 MiB' }]);
  const lineCounter = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lineCounter.linePos(offset).line);
  try {
    const document = parseDocument(text, { ...options, lineCounter });
    const problems = [...findSyntaxFaults(document), ...findAliasFaults(document)];
    if (problems.length > 0) {
      const faults = problems.map(({ message, offset }) => ({ path: '', message, line: lineAt(offset) }));
      throw new ConfigError(source, faults.slice(0, maxSyntaxFaults));
    }
    return {
      value: document.toJS({ maxAliasCount: maxAliases }),
      findLine: (steps) => {
        const offset = findOffset(document, steps);
        return offset === undefined ? undefined : lineAt(offset);
      },
    };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // The parser is recursive, and collections in collections can be deeper than the stack; or aliases are piled up.
    const message =
      error instanceof RangeError ? 'nested too deeply' : `aliases stand for more than ${maxAliases} values`;
    throw new ConfigError(source, [{ path: '', message }]);
  }
}

interface Problem {
  readonly message: string;
  /** Into the text. */
  readonly offset: number;
}

function findSyntaxFaults({ errors, warnings }: Document.Parsed): Problem[] {
  return [...errors, ...warnings].map(({ code, pos }) => ({
    message: `not valid YAML: ${messages[code] ?? code.toLowerCase().replaceAll('_', ' ')}`,
    offset: pos[0],
  }));
}

function findAliasFaults(document: Document.Parsed): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) !== undefined) return;
      problems.push({ message: 'not valid YAML: an alias refers to nothing', offset: alias.range?.[0] ?? 0 });
    },
  });
  return problems;
}

function findOffset(document: Document.Parsed, steps: readonly PropertyKey[]): number | undefined {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0];
  for (const step of steps) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
      if (pair === undefined) return offset;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = typeof step === 'number' ? node.items[step] : undefined;
      if (item === undefined) return offset;
      node = item;
      if (isMap(item) || isSeq(item) || isScalar(item) || isAlias(item)) offset = item.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
