// What OpenFGA is asked about a request.
import type { OpenFgaConfig } from '../config/config.ts';
import type { Action, Question } from './authorizer.ts';
import {
  ancestorsName,
  compilePart,
  fillPart,
  findUserFault,
  hasShapeOf,
  renderEach,
  textOf,
  textsOf,
  UnfitQuestion,
  type PartTemplate,
} from './render-template.ts';

/** The user must have every relation with at least one of the objects, which need not be the same one for all. */
export interface OpenFgaQuestion {
  readonly user: string;
  /** At least one. */
  readonly relations: readonly string[];
  /** At least one. */
  readonly objects: readonly string[];
  readonly contextualTuples: readonly TupleKey[];
}

export interface TupleKey {
  readonly user: string;
  readonly relation: string;
  readonly object: string;
}

// Source: OpenFGA's API, Check and BatchCheck: bytes of a user, code points of a relation and of an object, tuples.
const maxUserBytes = 512;
const maxRelationLength = 50;
const maxObjectLength = 256;
const maxContextualTuples = 100;
/** Of one question: a key is a thousand bytes long and could lie in five hundred folders. */
const maxChecks = 200;

/**
 * @returns makes what is asked; it throws UnfitQuestion when that cannot be.
 * @throws TypeError for a template that is none.
 */
export function createQuestionMaker(
  config: Pick<OpenFgaConfig, 'user' | 'relation' | 'object' | 'contextualTuples'>,
): (question: Question) => OpenFgaQuestion {
  const byAction: Readonly<Record<Action, ActionTemplates>> = {
    upload: compileAction(config, 'upload'),
    abort: compileAction(config, 'abort'),
    list_parts: compileAction(config, 'list_parts'),
  };
  const tuples = config.contextualTuples.map(({ user, relation, object }) => [
    compilePart('user', user),
    compilePart('relation', relation),
    compilePart('object', object),
  ]);
  return (question) => {
    const templates = byAction[question.action];
    const user = checked('user', renderOne(templates.user, question));
    const relations = distinct(templates.relations.map((one) => checked('relation', renderOne(one, question))));
    const objects = objectsOf(templates.objects, question);
    if (relations.length * objects.length > maxChecks) throw new UnfitQuestion('the key lies in too many folders');
    return { user, relations, objects, contextualTuples: tuplesOf(tuples, question) };
  };
}

interface ActionTemplates {
  readonly user: PartTemplate;
  readonly relations: readonly PartTemplate[];
  readonly objects: readonly PartTemplate[];
}

function compileAction(config: Pick<OpenFgaConfig, 'user' | 'relation' | 'object'>, action: Action): ActionTemplates {
  const fault = findUserFault(config.user[action]);
  if (fault !== undefined) throw new TypeError(`user ${fault}`);
  return {
    user: compilePart('user', config.user[action]),
    relations: config.relation[action].map((text) => compilePart('relation', text)),
    objects: config.object[action].map((text) => compilePart('object', text)),
  };
}

function renderOne(template: PartTemplate, question: Question): string {
  return fillPart(template, (name) => textOf(question, name));
}

function objectsOf(templates: readonly PartTemplate[], question: Question): readonly string[] {
  const valuesOf = (name: string): readonly string[] =>
    name === ancestorsName ? textsOf(question, name) : [textOf(question, name)];
  const objects = distinct(
    templates.flatMap((one) =>
      one.names.includes(ancestorsName) ? renderEach([one], valuesOf, maxChecks).flat() : renderOne(one, question),
    ),
  );
  if (objects.length === 0) throw new UnfitQuestion('the key lies in no folder');
  // What is too long for OpenFGA cannot have been granted to anybody: the others decide.
  const askable = objects.filter((object) => findFault('object', object) === undefined);
  if (askable.length === 0) throw new UnfitQuestion(`the object ${findFault('object', objects[0] ?? '')}`);
  return askable;
}

function tuplesOf(templates: readonly (readonly PartTemplate[])[], question: Question): readonly TupleKey[] {
  // OpenFGA takes no tuple twice in one question.
  const tuples = new Map<string, TupleKey>();
  for (const row of templates.flatMap((one) =>
    renderEach(one, (name) => textsOf(question, name), maxContextualTuples),
  )) {
    const [user = '', relation = '', object = ''] = row;
    checked('user', user);
    checked('relation', relation);
    checked('object', object);
    // No part holds white space.
    tuples.set(row.join(' '), { user, relation, object });
  }
  if (tuples.size > maxContextualTuples) throw new UnfitQuestion(`more than ${maxContextualTuples} contextual tuples`);
  return [...tuples.values()];
}

function checked(part: PartTemplate['part'], text: string): string {
  const fault = findFault(part, text);
  if (fault !== undefined) throw new UnfitQuestion(`the ${part} ${fault}`);
  return text;
}

function findFault(part: PartTemplate['part'], text: string): string | undefined {
  // An @ may stand in the other two.
  if (!hasShapeOf(part, text)) return 'holds a character that OpenFGA does not allow';
  if (part === 'user')
    return Buffer.byteLength(text) > maxUserBytes ? `is longer than ${maxUserBytes} bytes` : undefined;
  const limit = part === 'relation' ? maxRelationLength : maxObjectLength;
  // A character outside the basic plane is two of JavaScript's and one of OpenFGA's.
  return text.length > limit && Array.from(text).length > limit ? `is longer than ${limit} characters` : undefined;
}

function distinct(texts: readonly string[]): readonly string[] {
  return texts.length > 1 ? [...new Set(texts)] : texts;
}

/** Relation by relation, and within each object by object. */
export function listChecks({ user, relations, objects }: OpenFgaQuestion): readonly TupleKey[] {
  return relations.flatMap((relation) => objects.map((object) => ({ user, relation, object })));
}
