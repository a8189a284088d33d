// A model with users, groups, folders and buckets, and an engine that asks a running OpenFGA about it.
import type { Action, Question } from '../../src/authz/authorizer.ts';
import type { OpenFgaConfig } from '../../src/config/config.ts';
import { createQuestion, jwtPrincipal } from './questions.ts';

/** A type whose relations are given to users and the like directly. */
function typeOf(name: string, relations: Readonly<Record<string, readonly object[]>>): object {
  const entries = Object.entries(relations);
  return {
    type: name,
    relations: Object.fromEntries(entries.map(([relation]) => [relation, { this: {} }])),
    metadata: {
      relations: Object.fromEntries(
        entries.map(([relation, givenTo]) => [relation, { directly_related_user_types: givenTo }]),
      ),
    },
  };
}

const senders = [{ type: 'user' }, { type: 'user', wildcard: {} }, { type: 'group', relation: 'member' }];

/** As the API takes it. */
export const testModel = {
  schema_version: '1.1',
  type_definitions: [
    { type: 'user' },
    typeOf('group', { member: [{ type: 'user' }] }),
    typeOf('folder', { writer: senders, viewer: senders }),
    typeOf('bucket', { writer: senders, viewer: senders, admin: senders }),
    typeOf('file', { writer: senders }),
  ],
};

export const forAll = <T>(value: T): Readonly<Record<Action, T>> => ({
  upload: value,
  abort: value,
  list_parts: value,
});

/** Whether the user is a writer of the bucket, unless `changes` say otherwise. */
export function engineConfig(
  of: { readonly url: string; readonly storeId: string; readonly modelId: string },
  changes: Partial<OpenFgaConfig> = {},
): OpenFgaConfig {
  const { url, storeId, modelId } = of;
  return {
    url,
    storeId,
    modelId,
    credentials: undefined,
    user: forAll('user:{sub}'),
    relation: forAll(['writer']),
    object: forAll(['bucket:{bucket}']),
    contextualTuples: [],
    consistency: 'MINIMIZE_LATENCY',
    timeoutMs: 5000,
    cacheTtlMs: 0,
    denyCacheTtlMs: 0,
    cacheMaxEntries: 100,
    ...changes,
  };
}

export interface AskedAbout {
  readonly key?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly action?: Action;
}

/** What `subject` would be asked about with a token, in the bucket `uploads`. */
export function questionOf(
  subject: string,
  { key = 'a.txt', claims = {}, action = 'upload' }: AskedAbout = {},
): Question {
  return createQuestion({ principal: jwtPrincipal({ ...claims, sub: subject }), action, resource: { key } });
}
