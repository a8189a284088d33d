// When a rule between several values of a mapping may run.
import { z } from 'zod';

// `when` lets a rule between values run whatever else is wrong, as long as its own values are right: all faults at once.
export const isMapping = ({ value }: { value: unknown }) => z.looseObject({}).safeParse(value).success;
export const holds = (shape: z.ZodType) => ({
  when: ({ value }: { value: unknown }) => shape.safeParse(value).success,
});
