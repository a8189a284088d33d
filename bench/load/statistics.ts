// Medians and ranges.

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The numbers of one column. */
export function column(samples: readonly Readonly<Record<string, number>>[], key: string): readonly number[] {
  return samples.map((sample) => sample[key] ?? Number.NaN);
}
