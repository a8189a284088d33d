// ${VAR} in the values of a parsed document.
import { describe, expect, test } from 'vitest';
import { expandVariables } from '../../../src/config/expand-variables.ts';

const env = { HOST: 'localhost', EMPTY: '', NESTED: '${HOST}', YAML: 'a: [b]\nc: "d"' };

test.each([
  ['no variable', 'no variable'],
  ['$HOST and $$ and {HOST}', '$HOST and $$ and {HOST}'],
  ['${HOST}', 'localhost'],
  ['http://${HOST}:${PORT:-9000}/', 'http://localhost:9000/'],
  ['${HOST:-x}${HOST-y}', 'localhostlocalhost'],
  ['${EMPTY}', ''],
  ['${EMPTY:-full}', 'full'],
  ['${EMPTY-full}', ''],
  ['${UNSET:-}', ''],
  ['${UNSET-}', ''],
  ['${UNSET-a-b:-c\nd}', 'a-b:-c\nd'],
  ['${NESTED}', '${HOST}'],
  ['${YAML}', 'a: [b]\nc: "d"'],
])('%j becomes %j', (text, expanded) => {
  expect(expandVariables(text, env)).toEqual({ value: expanded, faults: [] });
});

test.each([
  ['${UNSET}', '${UNSET} is not set in the environment'],
  ['a ${HOST} b ${UNSET}', '${UNSET} is not set in the environment'],
  ['${toString}', '${toString} is not set in the environment'],
  ['${HOST', 'a ${ is not closed by }'],
  ['${}', 'expected ${VAR}, ${VAR:-default} or ${VAR-default}'],
  ['${1A}', 'expected ${VAR}, ${VAR:-default} or ${VAR-default}'],
  ['${HOST:?message}', 'expected ${VAR}, ${VAR:-default} or ${VAR-default}'],
  ['${ HOST }', 'expected ${VAR}, ${VAR:-default} or ${VAR-default}'],
  ['${UNSET:-${HOST}}', 'the default of ${UNSET} must not hold another ${'],
])('%j is a fault, and stays as it is', (text, message) => {
  expect(expandVariables({ a: [text] }, env)).toEqual({
    value: { a: [text] },
    faults: [{ steps: ['a', 0], message }],
  });
});

describe('documents', () => {
  test('values are expanded at any depth, keys and other types are left alone', () => {
    const document = { '${HOST}': [1, true, null, { a: '${HOST}' }], b: '${EMPTY:-x}' };
    expect(expandVariables(document, env).value).toEqual({
      '${HOST}': [1, true, null, { a: 'localhost' }],
      b: 'x',
    });
  });

  test('a key named __proto__ stays a key', () => {
    const { value } = expandVariables(JSON.parse('{"__proto__": {"polluted": "${HOST}"}}'), env);
    expect(Object.keys(Object(value))).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test('a collection that holds itself is a fault', () => {
    const loop: unknown[] = [];
    loop.push({ loop });
    expect(expandVariables(loop, env).faults).toEqual([
      { steps: [0, 'loop'], message: 'an alias must not refer to itself' },
    ]);
  });

  test('one collection in two places is not a loop', () => {
    const shared = { a: '${HOST}' };
    expect(expandVariables([shared, shared], env)).toEqual({
      value: [{ a: 'localhost' }, { a: 'localhost' }],
      faults: [],
    });
  });

  test('too deep a document is a fault', () => {
    let deep: unknown = 'x';
    for (let depth = 0; depth < 70; depth++) deep = [deep];
    expect(expandVariables(deep, env).faults.map(({ message }) => message)).toEqual(['nested too deeply']);
  });
});
