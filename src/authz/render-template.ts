// Fills the templates of the OpenFGA engine from a question, with values that can stand in a user, a relation or an object.
import { findClaim } from '../auth/find-claim.ts';
import { fillTemplate, parseTemplate, type Template } from '../template.ts';
import type { Question } from './authorizer.ts';
import { Fault } from '../fault.ts';

/** Why a question cannot be put. Holds no value of it. */
export class UnfitQuestion extends Fault {
  override readonly name = 'UnfitQuestion';
}

export type Part = 'user' | 'relation' | 'object';

export interface PartTemplate extends Template {
  readonly part: Part;
}

// Source: OpenFGA 1.22, pkg/tuple (IsValidUser, IsValidObject, IsValidRelation). White space is taken as Unicode has it,
// which is wider than OpenFGA does. A `*` alone would be everybody.
const forbidden = /[\s\p{Cc}:#*]/u;
const forbiddenInKey = /[\s\p{Cc}:#*%]/gu;
const id = String.raw`[^\s\p{Cc}:#*]+`;
/** Of a type or a relation. */
const identifier = String.raw`[^\s\p{Cc}:#*@]+`;
const shapes: Readonly<Record<Part, RegExp>> = {
  user: new RegExp(String.raw`^${identifier}:(?:\*|${id}(?:#${identifier})?)$`, 'u'),
  relation: new RegExp(`^${identifier}$`, 'u'),
  object: new RegExp(`^${identifier}:${id}$`, 'u'),
};
const forms: Readonly<Record<Part, string>> = {
  user: 'must be type:id, type:id#relation or type:*',
  relation: 'must be the name of a relation',
  object: 'must be type:id',
};

/** Stands for each folder of the key in turn. */
export const ancestorsName = 'key.ancestors';

/** Whether a text can be that part of a question, but for its length. */
export function hasShapeOf(part: Part, text: string): boolean {
  return shapes[part].test(text);
}

/** What is wrong with a template for that part, or undefined. */
export function findPartFault(part: Part, text: string): string | undefined {
  const template = parseTemplate(text);
  if (template === undefined) return 'must have its braces in pairs, with a name in each';
  if (
    !hasShapeOf(
      part,
      fillTemplate(template, () => 'x'),
    )
  )
    return forms[part];
  // Else a claim could name the type, and with it what the rest of the text means.
  if (part !== 'relation' && !template.literals[0]?.includes(':')) return 'must have its type in plain text';
  if (part === 'relation' && template.names.includes(ancestorsName)) return `must not hold {${ancestorsName}}`;
  // Of two side by side nobody could tell where the first one ends: "a" and "bc" would be "ab" and "c".
  const between = template.literals.slice(1, -1);
  return between.every((literal) => /[/#]/.test(literal)) ? undefined : 'must have a / between two names';
}

/** What is wrong with a template for the one who is asked about: as findPartFault, and it must not stand for several. */
export function findUserFault(text: string): string | undefined {
  const fault = findPartFault('user', text);
  if (fault !== undefined) return fault;
  return parseTemplate(text)?.names.includes(ancestorsName) ? `must not hold {${ancestorsName}}` : undefined;
}

/** @throws TypeError for what findPartFault finds. */
export function compilePart(part: Part, text: string): PartTemplate {
  const fault = findPartFault(part, text);
  const template = parseTemplate(text);
  if (fault !== undefined || template === undefined) throw new TypeError(`${text} ${fault}`);
  return { ...template, part };
}

/**
 * A value with a slash would take the place of its neighbour, and so is fit only where it stands alone. Keys are made of
 * slashes, and everything beside them is not.
 * @throws UnfitQuestion.
 */
export function fillPart(template: PartTemplate, valueOf: (name: string) => string): string {
  return fillTemplate(template, (name) => {
    const value = valueOf(name);
    if (template.names.length > 1 && name !== 'key' && name !== ancestorsName && value.includes('/')) {
      throw new UnfitQuestion(`{${name}} holds a / and does not stand alone`);
    }
    return value;
  });
}

/**
 * Fills several templates together: a name that stands for several values is filled in with each of them, the same one in
 * all templates, and two such names in every combination.
 * @param valuesOf what a name stands for; none: nothing is rendered.
 * @throws UnfitQuestion when it becomes more than `limit`, and as fillPart.
 */
export function renderEach(
  templates: readonly PartTemplate[],
  valuesOf: (name: string) => readonly string[],
  limit: number,
): string[][] {
  let rows: ReadonlyMap<string, string>[] = [new Map()];
  for (const name of new Set(templates.flatMap(({ names }) => names))) {
    const values = valuesOf(name);
    // Before the combinations are made: they are what would take the memory.
    if (rows.length * values.length > limit) throw new UnfitQuestion(`{${name}} stands for too many values`);
    rows = rows.flatMap((row) => values.map((value) => new Map(row).set(name, value)));
  }
  return rows.map((row) => templates.map((template) => fillPart(template, (name) => row.get(name) ?? '')));
}

/**
 * What a name stands for where nothing but one text will do.
 * @throws UnfitQuestion for what is absent, a list, an object, a truth value, or holds what OpenFGA does not allow.
 */
export function textOf(question: Question, name: string): string {
  if (name === 'key') return encodeForId(question.resource.key);
  const value = find(question, name);
  if (value === undefined || value === null) throw new UnfitQuestion(`{${name}} is absent`);
  return toText(name, value);
}

/** What a name stands for where each item of a list will do: none when it is absent. @throws UnfitQuestion as textOf. */
export function textsOf(question: Question, name: string): readonly string[] {
  if (name === ancestorsName) return ancestorsOf(question.resource.key);
  if (name === 'key') return [textOf(question, name)];
  const value = find(question, name);
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? [...new Set(value.map((item: unknown) => toText(name, item)))] : [toText(name, value)];
}

/** The folders that a key lies in, nearest first: `a/b`, `a` of `a/b/c.txt`. Encoded. */
export function ancestorsOf(key: string): readonly string[] {
  const encoded = encodeForId(key);
  const ancestors: string[] = [];
  for (let end = encoded.lastIndexOf('/'); end > 0; end = encoded.lastIndexOf('/', end - 1)) {
    ancestors.push(encoded.slice(0, end));
  }
  return ancestors;
}

/**
 * White space, control characters, `:`, `#`, `*` and `%` become the `%XX` of their UTF-8 bytes, so that two keys never
 * become one. Slashes stay.
 * @throws UnfitQuestion for lone surrogates, which have no bytes.
 */
export function encodeForId(key: string): string {
  if (!key.isWellFormed()) throw new UnfitQuestion('{key} is not Unicode');
  // encodeURIComponent leaves the star as it is.
  return key.replaceAll(forbiddenInKey, (char) => (char === '*' ? '%2A' : encodeURIComponent(char)));
}

/** Names of the question's own come before claims: no token can stand in for a bucket or a key. */
function find({ principal, resource }: Question, name: string): unknown {
  if (name === 'sub') return principal.kind === 'anonymous' ? undefined : principal.subject;
  if (name === 'access_key_id') return principal.kind === 'sigv4' ? principal.accessKeyId : undefined;
  if (name === 'bucket') return resource.bucket;
  if (name === 'backend_bucket') return resource.backendBucket;
  return principal.kind === 'jwt' ? findClaim(principal.claims, name) : undefined;
}

function toText(name: string, value: unknown): string {
  // Past 2^53 two different numbers of a token are one and the same here.
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'string') throw new UnfitQuestion(`{${name}} is no text and no whole number`);
  if (value === '') throw new UnfitQuestion(`{${name}} is empty`);
  if (forbidden.test(value) || !value.isWellFormed()) {
    throw new UnfitQuestion(`{${name}} holds a character that OpenFGA does not allow`);
  }
  return value;
}
