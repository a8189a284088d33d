// Whether a model has what the configuration asks for.
import { expect, test } from 'vitest';
import { findModelFault } from '../../../src/authz/find-model-fault.ts';

const all = <T>(value: T) => ({ upload: value, abort: value, list_parts: value });
const model = {
  id: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  schema_version: '1.1',
  type_definitions: [
    { type: 'user' },
    { type: 'group', relations: { member: { this: {} } } },
    { type: 'bucket', relations: { writer: { this: {} }, viewer: { this: {} } } },
  ],
};
const asked = {
  user: all('user:{sub}'),
  relation: all(['writer']),
  object: all(['bucket:{bucket}']),
  contextualTuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }],
};

test.each([
  [{}, undefined],
  [{ user: all('group:{g}#member') }, undefined],
  [{ relation: all(['can_{role}']) }, undefined],
  [{ user: all('person:{sub}') }, 'the model has no type person'],
  [{ user: { ...all('user:{sub}'), abort: 'group:{g}#boss' } }, 'type group of the model has no relation boss'],
  [{ object: all(['bucket:{bucket}', 'folder:{key.ancestors}']) }, 'the model has no type folder'],
  [
    { relation: { ...all(['writer']), list_parts: ['viewer', 'toString'] } },
    'type bucket of the model has no relation toString',
  ],
  [
    { contextualTuples: [{ user: 'user:{sub}', relation: 'owner', object: 'group:{groups}' }] },
    'type group of the model has no relation owner',
  ],
  [{ contextualTuples: [{ user: 'role:{r}', relation: 'member', object: 'group:a' }] }, 'the model has no type role'],
])('%j', (change, fault) => {
  expect(findModelFault(model, { ...asked, ...change })).toBe(fault);
});
