// Which setting an unknown key was perhaps meant to be.
import { z } from 'zod';
import { findClosestName } from '../closest-name.ts';

/** @param path of the mapping in which the key stands. */
export function suggestKey(schema: z.ZodType, path: readonly PropertyKey[], key: string): string | undefined {
  const mappings = path.reduce<readonly z.ZodType[]>(
    (schemas, step) => schemas.flatMap(unwrap).flatMap((one) => stepInto(one, step)),
    [schema],
  );
  const known = mappings.flatMap(unwrap).flatMap((one) => (one instanceof z.ZodObject ? Object.keys(one.shape) : []));
  return findClosestName(key, known);
}

function stepInto(schema: z.ZodType, step: PropertyKey): readonly z.ZodType[] {
  if (schema instanceof z.ZodArray) return [schema.element as z.ZodType];
  if (!(schema instanceof z.ZodObject)) return [];
  const inner: unknown = Object.hasOwn(schema.shape, step) ? schema.shape[String(step)] : undefined;
  return inner instanceof z.ZodType ? [inner] : [];
}

/** Without what is around it: a default, a transformation, the choice between several shapes. */
function unwrap(schema: z.ZodType): readonly z.ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault)
    return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return [schema.in, schema.out].flatMap((one) => unwrap(one as z.ZodType));
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((one) => unwrap(one as z.ZodType));
  return [schema];
}
