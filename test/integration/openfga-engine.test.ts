// The OpenFGA engine against a real OpenFGA: what it lets in, how it authenticates, and what it says of itself.
import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createAuthorizer } from '../../src/authz/create-authorizer.ts';
import { createOpenFgaAuthorizer } from '../../src/authz/openfga.ts';
import type { OpenFgaConfig } from '../../src/config/config.ts';
import { createSigningKey, startOidcProvider, type OidcProvider } from '../servers/start-oidc-provider.ts';
import { createStore, startOpenFga, type OpenFgaServer, type OpenFgaStore } from '../servers/start-openfga.ts';
import { engineConfig, forAll, questionOf, testModel } from '../support/openfga-engine.ts';
import { passOnTo, startRecorder } from '../support/recorder.ts';

const absentId = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const allowed = { allow: true };
const denied = (relation = 'writer') => ({ allow: false, reason: `lacks the relation ${relation}` });
const soon = () => AbortSignal.timeout(5000);
const unavailable = (message: string) =>
  expect.objectContaining({ code: 'ServiceUnavailable', cause: expect.objectContaining({ message }) });

describe('an engine', () => {
  let server: OpenFgaServer;
  let store: OpenFgaStore;

  beforeAll(async () => {
    server = await startOpenFga();
    store = await createStore(server, testModel, [
      { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
      { user: 'user:alice', relation: 'viewer', object: 'bucket:uploads' },
      { user: 'user:bob', relation: 'viewer', object: 'bucket:uploads' },
      { user: 'user:bob', relation: 'writer', object: 'folder:a' },
      { user: 'user:carol', relation: 'writer', object: 'folder:a/b' },
      { user: 'user:dave', relation: 'writer', object: 'file:my%20film%3A%2A100%25.mp4' },
      { user: 'group:dev#member', relation: 'writer', object: 'bucket:uploads' },
      { user: 'user:*', relation: 'admin', object: 'bucket:uploads' },
    ]);
  });
  afterAll(() => server.stop());

  const engine = (changes: Partial<OpenFgaConfig> = {}) =>
    createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, changes));

  test('lets in who has the relation with the bucket, and nobody else', async () => {
    const fga = engine();
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    for (const subject of ['bob', 'Alice', 'nobody'])
      expect(await fga.authorize(questionOf(subject))).toEqual(denied());
    for (const subject of ['*', 'alice#member', 'x:alice', 'alice ', '']) {
      expect(await fga.authorize(questionOf(subject))).toMatchObject({
        allow: false,
        reason: expect.stringMatching(/^\{sub\} /),
      });
    }
  });

  test('asks by action', async () => {
    const fga = engine({ relation: { upload: ['writer'], abort: ['writer'], list_parts: ['viewer'] } });
    expect(await fga.authorize(questionOf('bob', { action: 'list_parts' }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('bob', { action: 'abort' }))).toEqual(denied());
  });

  test('wants every relation', async () => {
    const fga = engine({ relation: forAll(['viewer', 'writer']) });
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    expect(await fga.authorize(questionOf('bob'))).toEqual(denied());
    expect(await fga.authorize(questionOf('nobody'))).toEqual(denied('viewer'));
  });

  test('wants one folder of the key, at any depth', async () => {
    const fga = engine({ object: forAll(['folder:{key.ancestors}']) });
    expect(await fga.authorize(questionOf('bob', { key: 'a/b/c/d.txt' }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('carol', { key: 'a/b/c/d.txt' }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('carol', { key: 'a/x.txt' }))).toEqual(denied());
    for (const key of ['ab/x.txt', 'A/x.txt', 'b/a/x.txt', ' a/x.txt', 'a%2Fb/x.txt', '/a/x.txt']) {
      expect(await fga.authorize(questionOf('bob', { key }))).toMatchObject({ allow: false });
    }
    expect(await fga.authorize(questionOf('bob', { key: 'a' }))).toEqual({
      allow: false,
      reason: 'the key lies in no folder',
    });
  });

  test('splits what is more than a batch', async () => {
    const fga = engine({ object: forAll(['folder:{key.ancestors}']) });
    // The granted folder is the last to be asked about.
    expect(await fga.authorize(questionOf('bob', { key: `${'a/'.repeat(120)}x` }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('bob', { key: `${'b/'.repeat(120)}x` }))).toEqual(denied());
    const both = engine({ object: forAll(['folder:{key.ancestors}']), relation: forAll(['writer', 'viewer']) });
    expect(await both.authorize(questionOf('bob', { key: `${'a/'.repeat(99)}x` }))).toEqual(denied('viewer'));
  });

  test('takes groups out of a claim, a hundred with as many folders', async () => {
    const fga = engine({
      object: forAll(['folder:{key.ancestors}', 'bucket:{bucket}']),
      contextualTuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }],
    });
    expect(await fga.authorize(questionOf('eve', { claims: { groups: ['ops', 'dev'] } }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('eve', { claims: { groups: ['ops'] } }))).toEqual(denied());
    expect(await fga.authorize(questionOf('eve'))).toEqual(denied());
    const groups = Array.from({ length: 100 }, (_, index) => `${'g'.repeat(240)}${index}`);
    const key = `${'b/'.repeat(120)}x`;
    expect(await fga.authorize(questionOf('eve', { key, claims: { groups } }))).toEqual(denied());
    expect(await fga.authorize(questionOf('eve', { key, claims: { groups: ['dev', ...groups.slice(1)] } }))).toEqual(
      allowed,
    );
    expect(await fga.authorize(questionOf('eve', { claims: { groups: [...groups, 'dev'] } }))).toMatchObject({
      allow: false,
    });
    expect(await fga.authorize(questionOf('eve', { claims: { groups: ['dev', 'dev'] } }))).toEqual(allowed);
  });

  test('finds a key by its encoded form, and asks about the longest that OpenFGA takes', async () => {
    const fga = engine({ object: forAll(['file:{key}']) });
    expect(await fga.authorize(questionOf('dave', { key: 'my film:*100%.mp4' }))).toEqual(allowed);
    expect(await fga.authorize(questionOf('dave', { key: 'my%20film%3A%2A100%25.mp4' }))).toEqual(denied());
    for (const char of ['x', 'ä', '😀']) {
      expect(await fga.authorize(questionOf('dave', { key: char.repeat(251) }))).toEqual(denied());
      expect(await fga.authorize(questionOf('dave', { key: char.repeat(252) }))).toEqual({
        allow: false,
        reason: 'the object is longer than 256 characters',
      });
    }
    const awkward = '!"$&\'()+,-.;<=>?@[\\]^_`{|}~ü漢😀​';
    expect(await fga.authorize(questionOf('dave', { key: awkward }))).toEqual(denied());
    expect(await engine().authorize(questionOf('x'.repeat(507)))).toEqual(denied());
  });

  test('never asks what OpenFGA does not take, whatever claims and keys hold', async () => {
    const awkward = fc.constantFrom(
      ':',
      '#',
      '*',
      '@',
      '/',
      '%',
      ' ',
      '\u0000',
      '\u0085',
      '\u00a0',
      '\ud800',
      '😀',
      'é',
      '"',
      '\\',
      '{',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.array(fc.oneof(awkward, fc.string({ maxLength: 2 })), { maxLength: 6 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'grapheme', minLength: 200, maxLength: 260 }),
    );
    const value = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
    const fga = engine({
      relation: forAll(['writer', 'viewer']),
      object: forAll(['folder:{tenant}/{key.ancestors}', 'file:{key}']),
      contextualTuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }],
    });
    const mostly = <T>(usual: T, other: fc.Arbitrary<T>) =>
      fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
    const claims = fc.record({
      tenant: mostly<unknown>('acme', value),
      groups: mostly<unknown>(['dev', 7], fc.oneof(value, fc.array(value, { maxLength: 4 }))),
    });
    let asked = 0;
    await fc.assert(
      fc.asyncProperty(mostly('zoe', text), claims, text, async (sub, claims, key) => {
        const decision = await fga.authorize(questionOf(sub, { claims, key }));
        expect(decision.allow).toBe(false);
        if (JSON.stringify(decision).includes('lacks')) asked++;
      }),
      { numRuns: 2000 },
    );
    expect(asked).toBeGreaterThan(100);
  });

  test('everybody’s right is nobody’s claim', async () => {
    const fga = engine({ relation: forAll(['admin']) });
    expect(await fga.authorize(questionOf('nobody'))).toEqual(allowed);
    const anybody = engine({ user: forAll('user:*') });
    expect(await anybody.authorize(questionOf('alice'))).toEqual(denied());
  });

  test('sees a tuple written and deleted at once', async () => {
    const fga = engine({ consistency: 'HIGHER_CONSISTENCY' });
    const tuple = { user: 'user:frank', relation: 'writer', object: 'bucket:uploads' };
    expect(await fga.authorize(questionOf('frank'))).toEqual(denied());
    await store.write(tuple);
    expect(await fga.authorize(questionOf('frank'))).toEqual(allowed);
    await store.delete(tuple);
    expect(await fga.authorize(questionOf('frank'))).toEqual(denied());
  });

  test('is ready, with the store’s latest model too', async () => {
    await engine().checkReady(soon());
    const latest = engine({ modelId: undefined });
    await latest.checkReady(soon());
    expect(await latest.authorize(questionOf('alice'))).toEqual(allowed);
  });

  test('says in one sentence what is wrong with an id or a model', async () => {
    const empty = String((await server.post('/stores', { name: 'empty' }))['id']);
    const wrong: readonly [Partial<OpenFgaConfig>, string, string][] = [
      [
        { storeId: absentId },
        `OpenFGA has no store ${absentId}`,
        'OpenFGA answered 400 (authorization_model_not_found)',
      ],
      [
        { modelId: absentId },
        `OpenFGA has no model ${absentId} in store ${store.storeId}`,
        'OpenFGA answered 400 (authorization_model_not_found)',
      ],
      [
        { storeId: empty, modelId: undefined },
        `OpenFGA has no model in store ${empty}`,
        'OpenFGA answered 400 (latest_authorization_model_not_found)',
      ],
      [
        { relation: forAll(['owner']) },
        'OpenFGA: type bucket of the model has no relation owner',
        'OpenFGA answered 400 (validation_error)',
      ],
      [
        { object: forAll(['bucket:{bucket}', 'shelf:{key}']), relation: forAll(['viewer']) },
        'OpenFGA: the model has no type shelf',
        'OpenFGA could not answer one check of several (validation_error)',
      ],
    ];
    for (const [changes, notReady, cause] of wrong) {
      const fga = engine(changes);
      await expect(fga.checkReady(soon())).rejects.toThrow(notReady);
      await expect(fga.authorize(questionOf('nobody', { key: 'b' }))).rejects.toThrow(unavailable(cause));
    }
    expect(() => engine({ storeId: 'my-store' })).toThrow('storeId must be in ULID format');
    expect(() => engine({ modelId: 'my-model' })).toThrow('authorizationModelId must be in ULID format');
  });

  test('a check that could not be answered matters only where the others leave it open', async () => {
    const fga = engine({ object: forAll(['shelf:{key}', 'bucket:{bucket}']) });
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    await expect(fga.authorize(questionOf('bob'))).rejects.toThrow(
      unavailable('OpenFGA could not answer one check of several (validation_error)'),
    );
  });

  test('what it takes exception to is let through by no mode: a claim may be the reason', async () => {
    for (const object of [['bucket:{bucket}'], ['bucket:{bucket}', 'folder:{key.ancestors}']]) {
      const openfga = engineConfig(
        { url: server.url, ...store },
        { relation: forAll(['{role}']), object: forAll(object) },
      );
      const failed: unknown[] = [];
      const { authorize, engines } = createAuthorizer(
        { failMode: 'open', openfga },
        { onFailedOpen: (_, error) => failed.push(error) },
      );
      const ask = (role: string) => authorize(questionOf('bob', { key: 'b/c', claims: { role } }));
      expect(await ask('viewer')).toMatchObject({ decision: { allow: true }, failedOpen: [] });
      expect((await ask('writer')).decision.allow).toBe(false);
      await expect(ask('no-such')).rejects.toThrow(unavailable(expect.stringContaining('validation_error') as string));
      expect(failed).toEqual([]);
      await Promise.all(engines.map((one) => one.close()));
    }
  });

  test('a model that is gone, and one that comes back', async () => {
    const gone = await createStore(server, testModel, [
      { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    ]);
    const fga = engine(gone);
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    await fetch(`${server.url}/stores/${gone.storeId}`, { method: 'DELETE' });
    await expect(fga.checkReady(soon())).rejects.toThrow(`OpenFGA has no store ${gone.storeId}`);
  });
});

test('is asked once about a sender and a bucket, whatever is written to it, as long as that is remembered', async () => {
  const server = await startOpenFga();
  onTestFinished(() => server.stop());
  const store = await createStore(server, testModel, [
    { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    { user: 'user:bob', relation: 'writer', object: 'folder:a' },
  ]);
  const recorder = await startRecorder(passOnTo(server));
  onTestFinished(() => recorder.stop());
  const remember = (changes: Partial<OpenFgaConfig> = {}) => {
    const times = { cacheTtlMs: 600_000, denyCacheTtlMs: 600_000 };
    const openfga = engineConfig({ ...store, url: recorder.endpoint }, { ...times, ...changes });
    return createAuthorizer({ failMode: 'closed', openfga }, { onFailedOpen: () => undefined });
  };
  const allowedOf = async ({ authorize }: ReturnType<typeof remember>, ...asked: Parameters<typeof questionOf>) =>
    (await authorize(questionOf(...asked))).decision.allow;

  const byBucket = remember();
  for (let index = 0; index < 20; index++) {
    const claims = { jti: `token-${index}` };
    expect(await allowedOf(byBucket, 'alice', { key: `folder/${index}.txt`, claims })).toBe(true);
    expect(await allowedOf(byBucket, 'bob', { key: `folder/${index}.txt`, claims })).toBe(false);
  }
  expect(recorder.seen.splice(0)).toHaveLength(2);

  const byFolder = remember({ object: forAll(['folder:{key.ancestors}']) });
  for (let index = 0; index < 20; index++) {
    expect(await allowedOf(byFolder, 'bob', { key: `a/${index}` })).toBe(true);
    expect(await allowedOf(byFolder, 'bob', { key: `b/${index}` })).toBe(false);
    expect(await allowedOf(byFolder, 'bob', { key: `${index}` })).toBe(false);
  }
  expect(recorder.seen.splice(0)).toHaveLength(2);
  await Promise.all([...byBucket.engines, ...byFolder.engines].map((one) => one.close()));
});

test('a higher consistency asks past what OpenFGA remembers', async () => {
  const server = await startOpenFga({ remembers: true });
  onTestFinished(() => server.stop());
  const tuple = { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' };
  const store = await createStore(server, testModel, [tuple]);
  const engine = (consistency: OpenFgaConfig['consistency'], object = ['bucket:{bucket}']) =>
    createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, { consistency, object: forAll(object) }));
  const [fast, fresh] = [engine('MINIMIZE_LATENCY'), engine('HIGHER_CONSISTENCY')];
  const freshBatch = engine('HIGHER_CONSISTENCY', ['bucket:{bucket}', 'file:{key}']);
  for (const one of [fast, fresh, freshBatch]) expect(await one.authorize(questionOf('alice'))).toEqual(allowed);
  await store.delete(tuple);
  expect(await fast.authorize(questionOf('alice'))).toEqual(allowed);
  for (const one of [fresh, freshBatch]) expect(await one.authorize(questionOf('alice'))).toEqual(denied());
});

describe('an API token', () => {
  let server: OpenFgaServer;
  let store: OpenFgaStore;

  beforeAll(async () => {
    server = await startOpenFga({ presharedKeys: ['a-key-of-the-proxy', 'another-key'] });
    store = await createStore(server, testModel, [
      { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    ]);
  });
  afterAll(() => server.stop());

  test.each(['a-key-of-the-proxy', 'another-key'])('%s is sent', async (token) => {
    const config = engineConfig({ url: server.url, ...store }, { credentials: { kind: 'token', token } });
    const fga = createOpenFgaAuthorizer(config);
    await fga.checkReady(soon());
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    expect(await fga.authorize(questionOf('bob'))).toEqual(denied());
  });

  test.each([undefined, { kind: 'token', token: 'guessed' } as const])('%j does not do', async (credentials) => {
    const config = engineConfig({ url: server.url, ...store }, { credentials });
    const fga = createOpenFgaAuthorizer(config);
    const said = /^OpenFGA answered 401 \((?:bearer_token_missing|unauthenticated)\)$/;
    await expect(fga.checkReady(soon())).rejects.toThrow(said);
    await expect(fga.authorize(questionOf('alice'))).rejects.toThrow(
      unavailable(expect.stringMatching(said) as string),
    );
  });
});

describe('client credentials', () => {
  const audience = 'https://openfga.example';
  let idp: OidcProvider;
  let server: OpenFgaServer;
  let store: OpenFgaStore;

  beforeAll(async () => {
    idp = await startOidcProvider(createSigningKey('first'));
    server = await startOpenFga({
      oidc: { issuer: idp.issuer, audience },
      token: () => idp.createToken(audience),
    });
    store = await createStore(server, testModel, [
      { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    ]);
  });
  afterAll(async () => {
    await server.stop();
    await idp.kill();
  });

  const engine = (changes: object = {}, timeoutMs = 5000) => {
    const { tokenUrl, clientId, clientSecret } = idp;
    const credentials = {
      kind: 'client-credentials',
      issuer: tokenUrl,
      audience,
      clientId,
      clientSecret,
      ...changes,
    } as const;
    return createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, { credentials, timeoutMs }));
  };

  test('become a token, once for many questions', async () => {
    const fga = engine();
    const subjects = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'alice' : 'bob'));
    const decisions = await Promise.all(subjects.map((subject) => fga.authorize(questionOf(subject))));
    expect(decisions.map(({ allow }) => allow)).toEqual(subjects.map((subject) => subject === 'alice'));
    await fga.checkReady(soon());
    await idp.kill();
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    await idp.restart();
  });

  test('that the issuer or OpenFGA does not take are no decision', async () => {
    await expect(engine({ clientSecret: 'guessed' }).authorize(questionOf('alice'))).rejects.toThrow(
      unavailable('OpenFGA’s token issuer answered 401 (invalid_client)'),
    );
    await expect(engine({ audience: 'https://other.example' }).authorize(questionOf('alice'))).rejects.toThrow(
      unavailable('OpenFGA answered 401 (invalid_claims)'),
    );
  });

  test('wait for an issuer that is away no longer than for an answer, and find it when it is back', async () => {
    const fga = engine({}, 700);
    await idp.kill();
    await expect(fga.authorize(questionOf('alice'))).rejects.toThrow(
      unavailable('OpenFGA’s token issuer cannot be asked (ECONNREFUSED)'),
    );
    await idp.restart();
    idp.freeze();
    const before = performance.now();
    await expect(fga.authorize(questionOf('alice'))).rejects.toThrow(
      unavailable(expect.stringMatching('did not answer') as string),
    );
    expect(performance.now() - before).toBeLessThan(1500);
    idp.thaw();
    await expect
      .poll(() => fga.authorize(questionOf('alice')).catch(() => 'not yet'), { timeout: 5000 })
      .toEqual(allowed);
  });

  test('whose token OpenFGA takes no more become another', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-openfga-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const options = {
      database: path.join(folder, 'openfga.db'),
      oidc: { issuer: idp.issuer, audience },
      token: () => idp.createToken(audience),
    };
    const first = await startOpenFga(options);
    onTestFinished(() => first.stop());
    const kept = await createStore(first, testModel, [
      { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    ]);
    const { tokenUrl: issuer, clientId, clientSecret } = idp;
    const credentials = { kind: 'client-credentials', issuer, audience, clientId, clientSecret } as const;
    const fga = createOpenFgaAuthorizer(engineConfig({ url: first.url, ...kept }, { credentials }));
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);

    // With the old key the tokens that it signed are gone.
    await idp.setKeys(createSigningKey('second'));
    await first.stop();
    const second = await startOpenFga({ ...options, port: first.port });
    onTestFinished(() => second.stop());
    await expect(fga.authorize(questionOf('alice'))).rejects.toThrow(
      unavailable('OpenFGA answered 401 (invalid_claims)'),
    );
    expect(await fga.authorize(questionOf('alice'))).toEqual(allowed);
    await fga.close();
  });
});
