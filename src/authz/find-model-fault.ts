// Whether an authorization model has the types and relations that the configuration asks for.
import type { OpenFgaConfig } from '../config/config.ts';
import type { AuthorizationModel } from './openfga-client.ts';

/** What the model lacks, or undefined. Relations and types that claims fill in are not known before. */
export function findModelFault(
  model: AuthorizationModel,
  config: Pick<OpenFgaConfig, 'user' | 'relation' | 'object' | 'contextualTuples'>,
): string | undefined {
  const relationsByType = new Map(model.type_definitions.map(({ type, relations }) => [type, relations ?? {}]));
  for (const { type, relation } of namesIn(config)) {
    const relations = relationsByType.get(type);
    if (relations === undefined) return `the model has no type ${type}`;
    if (relation !== undefined && !relation.includes('{') && !Object.hasOwn(relations, relation)) {
      return `type ${type} of the model has no relation ${relation}`;
    }
  }
  return undefined;
}

interface ModelName {
  readonly type: string;
  readonly relation?: string | undefined;
}

function namesIn({
  user,
  relation,
  object,
  contextualTuples,
}: Pick<OpenFgaConfig, 'user' | 'relation' | 'object' | 'contextualTuples'>): readonly ModelName[] {
  const actions = ['upload', 'abort', 'list_parts'] as const;
  return [
    ...actions.map((action) => userName(user[action])),
    ...actions.flatMap((action) =>
      object[action].flatMap((text) => relation[action].map((one) => ({ type: typeOf(text), relation: one }))),
    ),
    ...contextualTuples.flatMap((tuple) => [
      userName(tuple.user),
      { type: typeOf(tuple.object), relation: tuple.relation },
    ]),
  ];
}

const typeOf = (text: string): string => text.slice(0, text.indexOf(':'));

/** `group:{team}#member` names a relation too. */
function userName(text: string): ModelName {
  const [, relation] = text.split('#');
  return { type: typeOf(text), relation };
}
