// Bucket names with `*`, which stands for any run of characters.

export interface BucketPattern {
  matches(name: string): boolean;
  /** Characters that are not `*`: of two patterns that match, the one with more of them says more. */
  readonly literalCharacters: number;
}

/** Matching takes time in proportion to the name's length, whatever the pattern. */
export function compileBucketPattern(pattern: string): BucketPattern {
  const literals = pattern.split('*');
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  const between = literals.slice(1, -1);
  const literalCharacters = pattern.length - (literals.length - 1);
  return {
    literalCharacters,
    matches(name) {
      if (name.length < literalCharacters || !name.startsWith(first) || !name.endsWith(last)) return false;
      let from = first.length;
      for (const literal of between) {
        const at = name.indexOf(literal, from);
        if (at === -1) return false;
        from = at + literal.length;
      }
      return from <= name.length - last.length;
    },
  };
}
