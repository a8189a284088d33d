// The kinds of single values that the configuration is made of.
// Each takes text too where another type is wanted, because a value from the environment is always text.
import { z } from 'zod';
import { formatSize, parseSize, sizePattern } from './parse-size.ts';

/** setTimeout cannot wait 25 days; nothing here needs a week. */
const maxSeconds = 7 * 24 * 3600;

const numberFromText = (value: unknown) =>
  typeof value === 'string' && /^[0-9]{1,15}(?:\.[0-9]{1,6})?$/.test(value) ? Number(value) : value;

const flagFromText = (value: unknown) => (value === 'true' ? true : value === 'false' ? false : value);

export const integer = (min: number, max: number) => z.preprocess(numberFromText, z.int().min(min).max(max));

export const number = () => z.preprocess(numberFromText, z.number());

/** Seconds; fractions are taken. */
export const seconds = (min: number, max = maxSeconds) => z.preprocess(numberFromText, z.number().min(min).max(max));

export const flag = () => z.preprocess(flagFromText, z.boolean());

export const text = () => z.string().min(1);

const sizeFault = 'must be a size: a number of bytes, or a number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB';

/** Bytes, as a number or as text such as 16MiB; from `min` to `max` bytes. */
export const size = (min: number, max: number) =>
  z
    .union([z.int().min(0).meta({ minimum: min, maximum: max }), z.string().regex(sizePattern, { error: sizeFault })], {
      error: sizeFault,
    })
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : parseSize(value);
      if (bytes !== undefined && bytes >= min && bytes <= max) return bytes;
      context.addIssue({ code: 'custom', message: `must be from ${formatSize(min)} to ${formatSize(max)}` });
      return z.NEVER;
    });

/** Text that `find` sees no fault in. */
export const textWithout = (find: (value: string) => string | undefined) =>
  text().superRefine((value, context) => {
    const fault = find(value);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });
