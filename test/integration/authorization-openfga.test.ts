// Every operation decided by a real OpenFGA, in front of a real MinIO: what is refused leaves nothing behind.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { startMinio } from '../servers/start-minio.ts';
import { createStore, startOpenFga, type OpenFgaServer, type OpenFgaStore } from '../servers/start-openfga.ts';
import { startProcess } from '../servers/start-process.ts';
import { testModel } from '../support/openfga-engine.ts';
import { driveMultipart, outcomeOf, startPolicyBuckets, type PolicyBuckets } from '../support/policy-buckets.ts';
import { encodeKey, sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const body = Buffer.from('some bytes');
const refused = '403 AccessDenied';
const away = '503 ServiceUnavailable';

let server: OpenFgaServer;
let store: OpenFgaStore;
let buckets: PolicyBuckets;

beforeAll(async () => {
  server = await startOpenFga();
  store = await createStore(server, testModel, [
    { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' },
    { user: 'user:alice', relation: 'admin', object: 'bucket:uploads' },
    { user: 'user:alice', relation: 'viewer', object: 'bucket:uploads' },
    { user: 'user:wendy', relation: 'writer', object: 'bucket:uploads' },
    { user: 'user:vera', relation: 'viewer', object: 'bucket:uploads' },
    { user: 'user:carol', relation: 'writer', object: 'folder:folders/a/b' },
    { user: 'user:dave', relation: 'writer', object: 'file:my%20film%3A%2A100%25.mp4' },
    { user: 'group:dev#member', relation: 'writer', object: 'folder:folders/team' },
  ]);
  const openfga = {
    url: server.url,
    store_id: store.storeId,
    model_id: store.modelId,
    consistency: 'higher_consistency',
    cache_ttl_seconds: 0,
    timeout_seconds: 1,
  };
  buckets = await startPolicyBuckets({
    start: startMinio,
    buckets: {
      uploads: {
        authz: { openfga: { ...openfga, relation: { upload: 'writer', abort: 'admin', list_parts: 'viewer' } } },
      },
      folders: {
        authz: {
          openfga: {
            ...openfga,
            object: ['folder:{bucket}/{key.ancestors}', 'file:{key}'],
            contextual_tuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{groups}' }],
          },
        },
      },
    },
  });
});
afterAll(async () => {
  await buckets.stop();
  await server.stop();
});

const as = (sub: string, claims: object = {}) => buckets.asUser({ sub, ...claims });
const put = (target: string) => ({ method: 'PUT', path: target, body });
const stored = (name = 'uploads') => {
  const view = buckets.storedIn.get(name);
  if (view === undefined) throw new Error(`no bucket ${name}`);
  return view;
};

describe('each operation', () => {
  const key = 'multi.bin';
  const target = `/uploads/${key}`;
  let uploadId: string;
  let etag: string | undefined;

  /** All that can be seen of the bucket from outside and by who may see everything. */
  async function look() {
    const { body: parts } = await driveMultipart(as('alice'), target).list(uploadId);
    return { keys: await stored().keys(), uploads: await stored().openUploads(), parts };
  }

  beforeEach(async () => {
    const alice = driveMultipart(as('alice'), target);
    uploadId = /<UploadId>(?<id>[^<]+)/.exec((await alice.create()).body)?.groups?.['id'] ?? '';
    etag = (await alice.part(uploadId, 1, body)).headers.etag;
    return async () => {
      await alice.abort(uploadId);
    };
  });

  test('is allowed where the relation is given', async () => {
    const alice = driveMultipart(as('alice'), target);
    expect(outcomeOf(await as('alice')(put('/uploads/single.txt')))).toBe('200');
    expect(outcomeOf(await alice.list(uploadId))).toBe('200');
    expect(outcomeOf(await alice.complete(uploadId, [[1, etag]]))).toBe('200');
    expect(await stored().keys()).toEqual(expect.arrayContaining(['single.txt', key]));
    const second = /<UploadId>(?<id>[^<]+)/.exec((await alice.create()).body)?.groups?.['id'] ?? '';
    expect(outcomeOf(await alice.abort(second))).toBe('204');
    expect(await stored().openUploads()).toEqual([]);
  });

  test.each(['bob', '*', 'alice#member', 'user:alice', 'alice ', 'Alice'])(
    'is refused to %j, and changes nothing',
    async (sub) => {
      const before = await look();
      const bob = driveMultipart(as(sub), target);
      const outcomes = [
        await as(sub)(put('/uploads/bobs.txt')),
        await bob.create(),
        await bob.part(uploadId, 1, Buffer.from('other bytes')),
        await bob.part(uploadId, 2, body),
        await bob.complete(uploadId, [[1, etag]]),
        await bob.abort(uploadId),
        await bob.list(uploadId),
      ].map(outcomeOf);
      expect(outcomes).toEqual(Array.from({ length: 7 }, () => refused));
      expect(await look()).toEqual(before);
    },
  );

  test('is decided by its own relation', async () => {
    const [wendy, vera] = [driveMultipart(as('wendy'), target), driveMultipart(as('vera'), target)];
    expect(outcomeOf(await wendy.part(uploadId, 2, body))).toBe('200');
    expect([await wendy.abort(uploadId), await wendy.list(uploadId)].map(outcomeOf)).toEqual([refused, refused]);
    expect(outcomeOf(await vera.list(uploadId))).toBe('200');
    expect([await vera.part(uploadId, 3, body), await vera.abort(uploadId)].map(outcomeOf)).toEqual([refused, refused]);
    expect((await look()).parts.match(/<PartNumber>/g)).toHaveLength(2);
  });

  test('a relation that is taken away between CreateMultipartUpload and Complete counts no more', async () => {
    const tuple = { user: 'user:alice', relation: 'writer', object: 'bucket:uploads' };
    const alice = driveMultipart(as('alice'), target);
    const before = await look();
    await store.delete(tuple);
    try {
      expect(outcomeOf(await alice.complete(uploadId, [[1, etag]]))).toBe(refused);
      expect(outcomeOf(await alice.part(uploadId, 2, body))).toBe(refused);
      expect(await look()).toEqual(before);
    } finally {
      await store.write(tuple);
    }
    expect(outcomeOf(await alice.complete(uploadId, [[1, etag]]))).toBe('200');
  });

  test('while OpenFGA stands still is answered in time, and changes nothing', async () => {
    const before = await look();
    const alice = driveMultipart(as('alice'), target);
    server.suspend();
    const startedAt = performance.now();
    try {
      const answers = await Promise.all([
        as('alice')(put('/uploads/late.txt')),
        alice.create(),
        alice.part(uploadId, 2, body),
        alice.complete(uploadId, [[1, etag]]),
        alice.abort(uploadId),
        alice.list(uploadId),
      ]);
      expect(answers.map(outcomeOf)).toEqual(Array.from({ length: 6 }, () => away));
      expect(answers.map((answer) => answer.body).join()).not.toMatch(/openfga|timeout|127\.0\.0\.1/i);
      expect(performance.now() - startedAt).toBeLessThan(3000);
      await waitFor(async () => buckets.proxy.logs().includes('OpenFGA did not answer within 1000 ms'));
      const readiness = () => sendRequest({ url: buckets.proxy.url, method: 'GET', path: '/ready' });
      await waitFor(async () => (await readiness()).status === 503);
      expect(JSON.parse((await readiness()).body)).toMatchObject({ away: ['openfga'] });
    } finally {
      server.resume();
    }
    // The circuit breaker lets a question through now and then.
    await waitFor(async () => outcomeOf(await alice.list(uploadId)) === '200', 15_000);
    expect(await look()).toEqual(before);
  });
});

test('a signature’s subject is decided about as a token’s is', async () => {
  expect(outcomeOf(await buckets.asKeyOf('alice')(put('/uploads/signed.txt')))).toBe('200');
  expect(outcomeOf(await buckets.asKeyOf('bob')(put('/uploads/not-signed.txt')))).toBe(refused);
  expect(await stored().keys()).not.toContain('not-signed.txt');
});

test('a refusal does not wait for the body', async () => {
  const { promise: never, resolve: end } = Promise.withResolvers<void>();
  onTestFinished(() => end());
  async function* withheld(): AsyncGenerator<Uint8Array> {
    yield body;
    await never;
  }
  const authorization = `Bearer ${await createToken({ sub: 'bob' })}`;
  const answer = await sendRequest({
    url: buckets.proxy.url,
    ...put('/uploads/withheld.bin'),
    headers: { authorization, 'content-length': String(2 ** 30) },
    body: withheld(),
  });
  expect(outcomeOf(answer)).toBe(refused);
});

test('a folder’s writer writes to that folder and all below it, by the key that is stored', async () => {
  const carol = as('carol');
  const allowed = ['a/b/x.txt', 'a/b/c/d/x.txt', 'a/b/', 'a/b/ü :#?*.txt'];
  for (const key of allowed) expect(outcomeOf(await carol(put(`/folders/${encodeKey(key)}`)))).toBe('200');
  // An encoded slash is a slash of the key.
  expect(outcomeOf(await carol(put('/folders/a%2Fb/encoded.txt')))).toBe('200');
  for (const key of ['a/x.txt', 'a/bc/x.txt', 'b/a/x.txt', 'A/b/x.txt', 'x.txt', 'a/b', 'a%2Fb/x.txt', 'a /b/x.txt']) {
    expect([key, outcomeOf(await carol(put(`/folders/${encodeKey(key)}`)))]).toEqual([key, refused]);
  }
  const keys = await stored('folders').keys();
  expect(keys.toSorted()).toEqual([...allowed, 'a/b/encoded.txt'].toSorted());
});

test('a file is found by its encoded key', async () => {
  const key = 'my film:*100%.mp4';
  expect(outcomeOf(await as('dave')(put(`/folders/${encodeKey(key)}`)))).toBe('200');
  expect(await stored('folders').keys()).toContain(key);
  expect(outcomeOf(await as('dave')(put(`/folders/${encodeKey('my%20film%3A%2A100%25.mp4')}`)))).toBe(refused);
  expect(outcomeOf(await as('dave')(put(`/folders/${'x'.repeat(300)}`)))).toBe(refused);
});

test('groups of a token count for the request that carries it', async () => {
  const target = '/folders/team/x.txt';
  for (const groups of [['dev'], ['ops', 'dev'], 'dev']) {
    expect(outcomeOf(await as('erin', { groups })(put(target)))).toBe('200');
  }
  for (const groups of [undefined, [], ['ops'], 'ops', ['dev', 'a b'], ['*'], ['dev#member'], { dev: true }]) {
    expect(outcomeOf(await as('erin', groups === undefined ? {} : { groups })(put(target)))).toBe(refused);
  }
});

describe('a proxy', () => {
  const yet = 'a policy engine cannot be asked yet';
  const asSetUp = 'a policy engine is there, but cannot decide as it is set up';
  test.each([
    [
      'without its OpenFGA',
      (openfga: object) => ({ ...openfga, url: 'http://127.0.0.1:9' }),
      'OpenFGA cannot be asked (ECONNREFUSED)',
      yet,
    ],
    [
      'with a store that is not there',
      (openfga: object) => ({ ...openfga, store_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
      'OpenFGA has no store 01ARZ3NDEKTSV4RRFFQ69G5FAV',
      asSetUp,
    ],
    [
      'with a model that is not there',
      (openfga: object) => ({ ...openfga, model_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
      'OpenFGA has no model 01ARZ3NDEKTSV4RRFFQ69G5FAV in store',
      asSetUp,
    ],
    [
      'with a relation that the model has not',
      (openfga: object) => ({ ...openfga, relation: 'owner' }),
      'type bucket of the model has no relation owner',
      asSetUp,
    ],
  ])('%s starts, says why it will not do, and is not ready', async (_, change, said, msg) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-openfga-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const port = await freePort();
    const config = {
      server: { address: `127.0.0.1:${port}`, state_dir: path.join(folder, 'state') },
      logging: { format: 'json' },
      metrics: { enabled: false },
      buckets: [
        {
          name: 'uploads',
          filesystem: { root: path.join(folder, 'data') },
          auth: { jwt: { algorithm: 'HS256', secret: jwtSecret } },
          authz: { openfga: change({ url: server.url, store_id: store.storeId, model_id: store.modelId }) },
        },
      ],
    };
    const file = path.join(folder, 'config.yaml');
    await writeFile(file, stringify(config));
    const args = [path.resolve(import.meta.dirname, '../../src/cli.ts'), '--config', file];
    const running = startProcess({ command: process.execPath, args, cwd: folder, folder });
    onTestFinished(async () => {
      await running.stop('SIGKILL');
    });
    const url = `http://127.0.0.1:${port}`;
    // Nobody has asked for anything yet.
    await waitFor(async () => running.output().includes(said));
    const line = running
      .output()
      .split('\n')
      .find((one) => one.includes(said));
    expect(JSON.parse(line ?? '')).toMatchObject({ msg, bucket: 'uploads', engine: 'openfga' });
    const ready = await sendRequest({ url, method: 'GET', path: '/ready' });
    expect([ready.status, JSON.parse(ready.body)]).toEqual([503, { status: 'not ready', away: ['openfga'] }]);
    const authorization = `Bearer ${await createToken({ sub: 'alice' })}`;
    const answer = await sendRequest({ url, ...put('/uploads/a.txt'), headers: { authorization } });
    expect(outcomeOf(answer)).toBe(away);
    expect(answer.body).not.toMatch(/openfga/i);
  });
});
