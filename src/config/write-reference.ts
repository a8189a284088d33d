// Writes what is derived from the configuration's schema and the prose of config.example.yaml: config.schema.json, which tells
// editors what may stand in config.yaml, and README.md's table of settings. Run by `npm run schema`.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { describeSettings } from './describe-settings.ts';
import { sizePattern } from './parse-size.ts';
import { configSchema } from './schema.ts';

/** Where a value is not free text, a ${VAR} may stand for it all the same. */
const variable = { type: 'string', pattern: String.raw`\$\{.+\}` } as const;

const file = (name: string): URL => new URL(`../../${name}`, import.meta.url);

interface SettingSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly items?: SettingSchema;
  readonly anyOf?: readonly SettingSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  description?: string;
}

/** The JSON Schema of the file as it is written: before variables are replaced and defaults are filled in. */
export function buildJsonSchema(): string {
  return `${JSON.stringify({ title: 'Mizuchi Uploadr configuration', ...buildSchema() }, flattenChoices, 2)}\n`;
}

/** A table in Markdown: every setting, what it may be, its default, and what it means. */
export function buildSettingsTable(): string {
  const schema = JSON.parse(buildJsonSchema()) as SettingSchema;
  const rows = [...listSettings(schema)].flatMap(([path, setting]) => {
    if (setting.properties !== undefined && setting.description === undefined) return [];
    const fallback = setting.properties === undefined ? setting.default : undefined;
    const cells = [
      `\`${path}\``,
      describeValues(setting),
      fallback === undefined ? '' : `\`${typeof fallback === 'string' ? fallback || "''" : JSON.stringify(fallback)}\``,
      setting.description ?? '',
    ];
    return [`| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`];
  });
  return ['| setting | values | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function buildSchema(): SettingSchema {
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
  const described = describeSettings(readFileSync(file('config.example.yaml'), 'utf8'));
  for (const [path, setting] of listSettings(schema as SettingSchema)) {
    const text = described.get(path);
    if (text !== undefined) setting.description = text;
  }
  return schema as SettingSchema;
}

/** A choice between choices is one choice, each alternative named once. */
function flattenChoices(key: string, value: unknown): unknown {
  if (key !== 'anyOf' || !Array.isArray(value)) return value;
  const alternatives = value.flatMap((choice: z.core.JSONSchema.BaseSchema) => choice.anyOf ?? [choice]);
  return [...new Map(alternatives.map((alternative) => [JSON.stringify(alternative), alternative])).values()];
}

function* listSettings(schema: SettingSchema, parent = ''): Generator<[path: string, setting: SettingSchema]> {
  for (const [name, setting] of Object.entries(schema.properties ?? {})) {
    const path = parent === '' ? name : `${parent}.${name}`;
    yield [path, setting];
    yield* listSettings(setting, path);
    if (setting.items !== undefined) yield* listSettings(setting.items, `${path}[]`);
  }
}

function describeValues(setting: SettingSchema): string {
  if (setting.anyOf !== undefined) {
    const own = setting.anyOf.filter((choice) => choice.pattern !== variable.pattern);
    // A size may be written as a number or as text: once is enough.
    const isSize = own.some(({ pattern }) => pattern === sizePattern.source);
    return isSize ? 'size' : [...new Set(own.map(describeValues))].join(', ');
  }
  if (setting.const !== undefined) return `\`${JSON.stringify(setting.const)}\``;
  if (setting.enum !== undefined) return setting.enum.map((value) => `\`${String(value)}\``).join(', ');
  const { type = '', minimum, maximum } = setting;
  if (
    minimum !== undefined &&
    maximum !== undefined &&
    Number.isSafeInteger(maximum) &&
    maximum !== Number.MAX_SAFE_INTEGER
  )
    return `${typeNames.get(type) ?? type}, ${minimum} to ${maximum}`;
  return typeNames.get(type) ?? type;
}

const typeNames = new Map([
  ['string', 'text'],
  ['integer', 'number'],
  ['array', 'list'],
  ['object', 'mapping'],
  ['boolean', '`true`, `false`'],
]);

/** What lies between the two markers, replaced. */
export function replaceTable(readme: string, table: string): string {
  return readme.replace(
    /(?<=<!-- configuration:begin -->\n).*?(?=<!-- configuration:end -->)/su,
    () => `\n<!-- prettier-ignore -->\n${table}\n\n`,
  );
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(file('config.schema.json'), buildJsonSchema());
  const readme = readFileSync(file('README.md'), 'utf8');
  writeFileSync(file('README.md'), replaceTable(readme, buildSettingsTable()));
}
