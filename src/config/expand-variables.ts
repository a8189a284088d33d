// ${VAR}, ${VAR:-default} and ${VAR-default} in string values, replaced after the YAML is parsed: a value from the
// environment is always text in the place where it was asked for and can never add YAML of its own.

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ExpansionFault {
  readonly steps: readonly PropertyKey[];
  readonly message: string;
}

// A default may not hold another `${`: the first `}` would end the wrong one, and the rest would stay as literal text.
const reference = /^([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)(.*))?$/s;
const maxDepth = 64;

class UnresolvedVariable extends Error {}

/**
 * A copy of a parsed document with every reference in its string values replaced, and what could not be; such a value
 * stays as it was written. Keys are not expanded. An empty variable is a value; `:-` takes the default for it, `-` does not.
 */
export function expandVariables(document: unknown, env: Environment): { value: unknown; faults: ExpansionFault[] } {
  const faults: ExpansionFault[] = [];
  const value = expandValue(document, [], { env, faults, ancestors: new Set() });
  return { value, faults };
}

interface Expansion {
  readonly env: Environment;
  readonly faults: ExpansionFault[];
  /** The collections that hold the value at hand: a YAML alias can make one hold itself. */
  readonly ancestors: Set<object>;
}

function expandValue(value: unknown, steps: readonly PropertyKey[], expansion: Expansion): unknown {
  if (typeof value === 'string') return expandStringOrReport(value, steps, expansion);
  if (typeof value !== 'object' || value === null) return value;
  const { ancestors, faults } = expansion;
  if (ancestors.has(value) || steps.length > maxDepth) {
    faults.push({ steps, message: ancestors.has(value) ? 'an alias must not refer to itself' : 'nested too deeply' });
    return undefined;
  }
  ancestors.add(value);
  const copy = Array.isArray(value)
    ? value.map((item, index) => expandValue(item, [...steps, index], expansion))
    : Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, expandValue(item, [...steps, key], expansion)]),
      );
  ancestors.delete(value);
  return copy;
}

function expandStringOrReport(text: string, steps: readonly PropertyKey[], { env, faults }: Expansion): string {
  try {
    return expandText(text, env);
  } catch (error) {
    if (!(error instanceof UnresolvedVariable)) throw error;
    faults.push({ steps, message: error.message });
    return text;
  }
}

function expandText(text: string, env: Environment): string {
  let expanded = '';
  let at = 0;
  for (let start = text.indexOf('${'); start !== -1; start = text.indexOf('${', at)) {
    const end = text.indexOf('}', start);
    if (end === -1) throw new UnresolvedVariable('a ${ is not closed by }');
    expanded += text.slice(at, start) + resolve(text.slice(start + 2, end), env);
    at = end + 1;
  }
  return expanded + text.slice(at);
}

function resolve(inner: string, env: Environment): string {
  const [, name, operator, fallback = ''] = reference.exec(inner) ?? [];
  if (name === undefined) throw new UnresolvedVariable('expected ${VAR}, ${VAR:-default} or ${VAR-default}');
  if (fallback.includes('${')) throw new UnresolvedVariable('the default of ${' + name + '} must not hold another ${');
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (value !== undefined && (value !== '' || operator !== ':-')) return value;
  if (operator === undefined) throw new UnresolvedVariable('${' + name + '} is not set in the environment');
  return fallback;
}
