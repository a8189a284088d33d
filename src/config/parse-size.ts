// Sizes as people write them: a number of bytes, or a number with a unit.

const bytesPerUnit: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** What parseSize takes, for the JSON Schema too. Units are exact: `Mb` and `mb` mean megabits to some. */
export const sizePattern = /^([0-9]{1,16}) ?(B|[KMGT]i?B)?$/;

/** Bytes of `1024`, `16MiB` or `5 GB`; undefined when the text is no size, or more than can be counted exactly. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit = 'B'] = sizePattern.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * (bytesPerUnit[unit] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact writing of a number of bytes, such as `16MiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const count = bytes / (bytesPerUnit[unit] ?? Number.NaN);
    if (count >= 1 && Number.isInteger(count)) return `${count}${unit}`;
  }
  return `${bytes}`;
}
