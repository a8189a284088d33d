// Writes config.schema.json, which tells editors what may stand in config.yaml. Run by `npm run schema`.
import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { configSchema } from './schema.ts';

/** Where a value is not free text, a ${VAR} may stand for it all the same. */
const variable = { type: 'string', pattern: String.raw`\$\{.+\}` } as const;

/** The JSON Schema of the file as it is written: before variables are replaced and defaults are filled in. */
export function buildJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      const { type, enum: values, const: value, pattern } = jsonSchema;
      const isFreeText = type === 'string' && values === undefined && value === undefined && pattern === undefined;
      if (type === undefined || type === 'object' || type === 'array' || isFreeText) return;
      const { default: fallback, ...own } = jsonSchema;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      if (fallback !== undefined) jsonSchema.default = fallback;
      jsonSchema.anyOf = [own, variable];
    },
  });
  return `${JSON.stringify({ title: 'Mizuchi Uploadr configuration', ...schema }, flattenChoices, 2)}\n`;
}

/** A choice between choices is one choice, each alternative named once. */
function flattenChoices(key: string, value: unknown): unknown {
  if (key !== 'anyOf' || !Array.isArray(value)) return value;
  const alternatives = value.flatMap((choice: z.core.JSONSchema.BaseSchema) => choice.anyOf ?? [choice]);
  return [...new Map(alternatives.map((alternative) => [JSON.stringify(alternative), alternative])).values()];
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../../config.schema.json', import.meta.url), buildJsonSchema());
}
