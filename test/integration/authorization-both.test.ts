// OPA and OpenFGA before one bucket, both real: both must allow, and either can be away.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createStore, startOpenFga, type OpenFgaServer, type OpenFgaStore } from '../servers/start-openfga.ts';
import { outcomeOf, startAuthorizedBuckets, type AuthorizedBuckets } from '../support/authorized-bucket.ts';
import { testModel } from '../support/openfga-engine.ts';
import { waitFor } from '../support/wait-for.ts';

const policy = `package mizuchi

default allow := false

allow := {"allow": true, "max_object_size": 5} if input.subject in {"alice", "bob"}
`;
const subjects = ['alice', 'bob', 'carol', 'dave'] as const;
const settings = { cache_ttl_seconds: 0, timeout_seconds: 1 };

let openfga: OpenFgaServer;
let store: OpenFgaStore;
let buckets: AuthorizedBuckets;
beforeAll(async () => {
  openfga = await startOpenFga();
  store = await createStore(
    openfga,
    testModel,
    ['alice', 'carol'].map((name) => ({ user: `user:${name}`, relation: 'writer', object: 'bucket:both' })),
  );
  const fga = { ...settings, url: openfga.url, store_id: store.storeId, consistency: 'higher_consistency' };
  buckets = await startAuthorizedBuckets({ policy, buckets: { both: { opa: settings, authz: { openfga: fga } } } });
}, 180_000);
afterAll(async () => {
  await buckets.stop();
  await openfga.stop();
});

const put = async (sub: string, body = 'body'): Promise<string> =>
  outcomeOf(await buckets.as({ sub })({ method: 'PUT', path: `/both/${sub}`, body }));

test('both must allow, and the bounds of either hold', async () => {
  const outcomes: Record<string, string> = {};
  for (const subject of subjects) outcomes[subject] = await put(subject);
  expect(outcomes).toEqual({
    alice: '200',
    bob: '403 AccessDenied',
    carol: '403 AccessDenied',
    dave: '403 AccessDenied',
  });
  expect(await buckets.stored.listKeys()).toEqual(['alice']);
  expect(await put('alice', 'too long')).toBe('413 EntityTooLarge');
  const engines = (): string[] =>
    buckets.proxy
      .logs()
      .split('\n')
      .filter((line) => line.includes('"decision"') && line.endsWith('}'))
      .map((line) => (JSON.parse(line) as { decision: { engine: string } }).decision.engine);
  // A line comes after its answer.
  await expect.poll(engines, { timeout: 10_000 }).toEqual(['opa+openfga', 'openfga', 'opa', 'opa', 'opa+openfga']);
});

test('a change in either is seen', async () => {
  await store.write({ user: 'user:bob', relation: 'writer', object: 'bucket:both' });
  expect(await put('bob')).toBe('200');
  await buckets.opa.putPolicy('package mizuchi\n\nallow := false\n');
  expect(await put('bob')).toBe('403 AccessDenied');
  await buckets.opa.putPolicy(policy);
  await store.delete({ user: 'user:bob', relation: 'writer', object: 'bucket:both' });
  expect(await put('bob')).toBe('403 AccessDenied');
});

test('while one is away nothing is let through, and /ready names it', async () => {
  const ready = async () => (await buckets.asNobody({ method: 'GET', path: '/ready' })).body;
  for (const [name, engine] of [
    ['opa', buckets.opa],
    ['openfga', openfga],
  ] as const) {
    engine.suspend();
    try {
      expect(await put('alice')).toBe('503 ServiceUnavailable');
      await waitFor(async () => (await ready()).includes(`"away":["${name}"]`));
    } finally {
      engine.resume();
    }
    await waitFor(async () => (await put('alice')) === '200');
  }
});
