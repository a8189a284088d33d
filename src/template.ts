// Text with names in braces, such as `{sub}/{tenant.id}`, that a request fills in.

export interface Template {
  /** What stands before, between and behind the names: one more than there are names. */
  readonly literals: readonly string[];
  readonly names: readonly string[];
}

/** @returns undefined when a brace stands alone, within another, or around nothing. */
export function parseTemplate(text: string): Template | undefined {
  const literals: string[] = [];
  const names: string[] = [];
  for (const [index, piece] of text.split(/\{([^{}]+)\}/).entries()) {
    if (index % 2 === 1) names.push(piece);
    else if (/[{}]/.test(piece)) return undefined;
    else literals.push(piece);
  }
  return { literals, names };
}

export function fillTemplate({ literals, names }: Template, valueOf: (name: string) => string): string {
  let text = literals[0] ?? '';
  for (const [index, name] of names.entries()) text += valueOf(name) + (literals[index + 1] ?? '');
  return text;
}
