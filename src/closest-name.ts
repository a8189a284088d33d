// The name that somebody who mistyped one is likely to have meant.

/** The candidate nearest to the name, by letters added, dropped, changed or swapped; undefined when none is near. */
export function findClosestName(name: string, candidates: readonly string[]): string | undefined {
  const wanted = normalise(name);
  const reach = Math.max(1, Math.floor(wanted.length / 3));
  let closest: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = countEdits(wanted, normalise(candidate));
    if (distance <= Math.min(reach, (closest?.distance ?? reach + 1) - 1)) closest = { candidate, distance };
  }
  return closest?.candidate;
}

/** `partSize` and `part-size` are `part_size` to whoever knows another program's settings. */
function normalise(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

/** The distance of Damerau and Levenshtein, in its form without edits inside a swapped pair. */
function countEdits(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    before = above;
    above = current;
  }
  return above[b.length] ?? 0;
}
