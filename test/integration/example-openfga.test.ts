// The example of an OpenFGA model: its script, its model in both forms, its tests, and its configuration.
import { transformer } from '@openfga/syntax-transformer';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createOpenFgaAuthorizer } from '../../src/authz/openfga.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { startOpenFga, type OpenFgaServer, type Tuple } from '../servers/start-openfga.ts';
import { questionOf, type AskedAbout } from '../support/openfga-engine.ts';

interface StoreTests {
  readonly model_file: string;
  readonly tuple_file: string;
  readonly tests: readonly {
    readonly name: string;
    readonly tuples?: readonly Tuple[];
    readonly check: readonly {
      readonly user: string;
      readonly object: string;
      readonly assertions: Readonly<Record<string, boolean>>;
    }[];
  }[];
}

const folder = path.resolve(import.meta.dirname, '../../examples/openfga');
const read = (name: string) => readFile(path.join(folder, name), 'utf8');
const { model_file: modelFile, tuple_file: tupleFile, tests } = parse(await read('store.fga.yaml')) as StoreTests;

let server: OpenFgaServer;
let ids: Readonly<Record<string, string>>;

beforeAll(async () => {
  server = await startOpenFga({ presharedKeys: ['a-key-for-the-example'] });
  const { stdout } = await promisify(execFile)(process.execPath, [path.join(folder, 'create-store.mjs'), server.url], {
    env: { OPENFGA_TOKEN: 'a-key-for-the-example' },
  });
  ids = Object.fromEntries(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('=') as [string, string]),
  );
});
afterAll(() => server.stop());

test('both forms of the model say the same', async () => {
  expect(transformer.transformDSLToJSONObject(await read(modelFile))).toEqual(JSON.parse(await read('model.json')));
});

test('the tuples of the tests are those that the script writes', async () => {
  const { tuples } = await server.post(`/stores/${ids['OPENFGA_STORE_ID']}/read`, {});
  const keys = (tuples as { key: Tuple }[]).map(({ key: { user, relation, object } }) => ({ user, relation, object }));
  const written = parse(await read(tupleFile)) as Tuple[];
  expect(keys).toHaveLength(written.length);
  expect(keys).toEqual(expect.arrayContaining(written));
});

describe.each(tests)('$name', ({ tuples = [], check }) => {
  const assertions = check.flatMap(({ user, object, assertions }) =>
    Object.entries(assertions).map(([relation, allowed]) => ({ user, relation, object, allowed })),
  );

  test.each(assertions)('$user $relation $object: $allowed', async ({ allowed, ...tupleKey }) => {
    const answer = await server.post(`/stores/${ids['OPENFGA_STORE_ID']}/check`, {
      authorization_model_id: ids['OPENFGA_MODEL_ID'],
      tuple_key: tupleKey,
      contextual_tuples: { tuple_keys: tuples },
    });
    expect(answer).toMatchObject({ allowed });
  });
});

describe('the configuration', () => {
  async function engine() {
    const env = { ...ids, OPENFGA_URL: server.url, JWT_SECRET: 'a-secret-of-more-than-thirty-two-bytes' };
    const config = loadConfig({ path: 'config.yaml', text: await read('config.yaml'), env });
    const openfga = config.buckets[0]?.authz?.openfga;
    if (openfga === undefined) throw new Error('no openfga in the configuration');
    const credentials = { kind: 'token', token: 'a-key-for-the-example' } as const;
    return createOpenFgaAuthorizer({ ...openfga, credentials });
  }

  const asked: readonly [string, AskedAbout, boolean][] = [
    ['ada', { key: 'a.txt' }, true],
    ['ada', { key: 'a.txt', action: 'abort' }, true],
    ['cleo', { key: 'deep/down/a.txt' }, true],
    ['cleo', { key: 'deep/down/a.txt', action: 'abort' }, false],
    ['ben', { key: 'incoming/2026/a.txt' }, true],
    ['ben', { key: 'incoming/2026/a.txt', action: 'list_parts' }, true],
    ['ben', { key: 'incoming/2026/a.txt', action: 'abort' }, false],
    ['ben', { key: 'outgoing/a.txt' }, false],
    ['ben', { key: 'incoming' }, false],
    ['dora', { key: 'press/2026/11/a.txt', claims: { groups: ['press'] }, action: 'abort' }, true],
    ['dora', { key: 'press/2026/11/a.txt', claims: { groups: ['sport'] } }, false],
    ['dora', { key: 'press/a.txt', claims: { groups: ['press'] } }, false],
    ['dora', { key: 'a.txt', claims: { groups: 'media' } }, true],
    ['mallory', { key: 'a.txt', claims: { groups: ['media', 'press'] } }, false],
    ['mallory', { key: 'press/2026/a.txt', claims: { groups: ['media', 'press'] } }, false],
    ['nobody', { key: 'a.txt' }, false],
  ];

  test.each(asked)('%s, %j: %j', async (subject, about, allow) => {
    const fga = await engine();
    expect(await fga.authorize(questionOf(subject, about))).toMatchObject({ allow });
    await fga.close();
  });

  test('is ready', async () => {
    const fga = await engine();
    await expect(fga.checkReady(AbortSignal.timeout(5000))).resolves.toBeUndefined();
    await fga.close();
  });
});
