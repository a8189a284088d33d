// Which decisions are used again, for whom and how long: with a clock of the test's own.
import { describe, expect, test } from 'vitest';
import type { Authorizer, Decision, Question } from '../../../src/authz/authorizer.ts';
import { cacheDecisions, type CachedAuthorizer, type CacheOptions } from '../../../src/authz/cached-authorizer.ts';
import {
  createQuestion,
  jwtPrincipal,
  sigv4Principal,
  anonymous,
  type QuestionParts,
} from '../../support/questions.ts';

class Engine implements Authorizer {
  readonly engine = 'test';
  readonly asked: Question[] = [];
  answer: (question: Question) => Decision | Promise<Decision> = () => ({ allow: true });
  closed = 0;
  async authorize(question: Question): Promise<Decision> {
    this.asked.push(question);
    return this.answer(question);
  }
  async checkReady(): Promise<void> {
    throw new Error('not ready');
  }
  async close(): Promise<void> {
    this.closed++;
  }
}

const start = 1_800_000_000_000;

function create(options: Partial<CacheOptions> = {}) {
  const engine = new Engine();
  const clock = { nowMs: start };
  const authorizer: CachedAuthorizer = cacheDecisions(
    engine,
    { cacheTtlMs: 60_000, denyCacheTtlMs: 5000, cacheMaxEntries: 100, ...options },
    () => clock.nowMs,
  );
  const answer = (parts: QuestionParts = {}) =>
    authorizer.authorize(createQuestion({ principal: jwtPrincipal({ sub: 'alice' }, start + 3_600_000), ...parts }));
  const ask = async (parts?: QuestionParts) => {
    const { decision, cached } = await answer(parts);
    return { ...decision, cached };
  };
  return { engine, clock, authorizer, answer, ask };
}

describe('an engine that says what it is asked', () => {
  const byKey = (question: Question) => (question.resource.key === '' ? undefined : question.resource.key);

  test('is asked once where that is the same, whatever else differs', async () => {
    const { engine, ask } = create({ identify: byKey });
    expect(await ask({ resource: { key: 'a' } })).toMatchObject({ cached: false });
    expect(await ask({ resource: { key: 'a', bucket: 'other' }, context: { userAgent: 'other' } })).toMatchObject({
      cached: true,
    });
    expect(await ask({ resource: { key: 'b' } })).toMatchObject({ cached: false });
    expect(engine.asked).toHaveLength(2);
  });

  test('decides anew what it says nothing of', async () => {
    const { engine, ask } = create({ identify: byKey });
    await ask({ resource: { key: '' } });
    expect(await ask({ resource: { key: '' } })).toMatchObject({ cached: false });
    expect(engine.asked).toHaveLength(2);
  });
});

test('what is remembered is told at once, all else by a promise, faults too', async () => {
  const { answer } = create();
  const first = answer();
  expect(first).toBeInstanceOf(Promise);
  expect(await first).toEqual({ engine: 'test', decision: { allow: true }, cached: false, failedOpen: [] });
  expect(answer()).toEqual({ engine: 'test', decision: { allow: true }, cached: true, failedOpen: [] });

  const fault = new TypeError('a fault');
  const throwing = create({
    identify: () => {
      throw fault;
    },
  });
  await expect(throwing.answer()).rejects.toBe(fault);
  expect(throwing.engine.asked).toEqual([]);
});

describe('a decision', () => {
  test('is used again until its time is over, counted from the question', async () => {
    const { engine, clock, ask } = create();
    engine.answer = () => {
      clock.nowMs += 100;
      return { allow: true, obligations: { keyPrefix: 'a' } };
    };
    expect(await ask()).toEqual({ allow: true, obligations: { keyPrefix: 'a' }, cached: false });
    clock.nowMs = start + 59_999;
    expect(await ask()).toEqual({ allow: true, obligations: { keyPrefix: 'a' }, cached: true });
    expect(engine.asked).toHaveLength(1);
    clock.nowMs = start + 60_000;
    expect(await ask()).toMatchObject({ cached: false });
    expect(engine.asked).toHaveLength(2);
  });

  test('about nobody is used again as others are', async () => {
    const { engine, clock, ask } = create();
    await ask({ principal: anonymous });
    clock.nowMs = start + 59_999;
    expect(await ask({ principal: anonymous })).toMatchObject({ cached: true });
    clock.nowMs = start + 60_000;
    await ask({ principal: anonymous });
    expect(engine.asked).toHaveLength(2);
  });

  test('to refuse has a time of its own', async () => {
    const { engine, clock, ask } = create();
    engine.answer = () => ({ allow: false, reason: 'no' });
    expect(await ask()).toEqual({ allow: false, reason: 'no', cached: false });
    clock.nowMs += 4999;
    expect(await ask()).toEqual({ allow: false, reason: 'no', cached: true });
    clock.nowMs += 1;
    engine.answer = () => ({ allow: true });
    expect(await ask()).toEqual({ allow: true, cached: false });
  });

  test('to refuse is never remembered for longer than one to allow', async () => {
    const { engine, clock, ask } = create({ cacheTtlMs: 1000, denyCacheTtlMs: 5000 });
    engine.answer = () => ({ allow: false });
    await ask();
    clock.nowMs += 1000;
    await ask();
    expect(engine.asked).toHaveLength(2);
  });

  test('to refuse is not remembered with a time of 0', async () => {
    const { engine, ask } = create({ denyCacheTtlMs: 0 });
    engine.answer = () => ({ allow: false });
    await ask();
    await ask();
    expect(engine.asked).toHaveLength(2);
  });

  test('of an engine that failed is none', async () => {
    const { engine, ask } = create();
    engine.answer = () => Promise.reject(new Error('away'));
    await expect(ask()).rejects.toThrow('away');
    engine.answer = () => ({ allow: true });
    expect(await ask()).toEqual({ allow: true, cached: false });
  });

  test('does not outlive a clock that is set back', async () => {
    const { engine, clock, ask } = create();
    await ask();
    clock.nowMs = start - 3_600_000;
    await ask();
    expect(engine.asked).toHaveLength(2);
  });

  test.each([
    ['token', jwtPrincipal({ sub: 'alice' }, start + 1000)],
    ['signature', sigv4Principal('alice', 'AKID', start + 1000)],
  ])('is not used past the expiry of the %s that it was made for', async (_, principal) => {
    const { engine, clock, ask } = create();
    await ask({ principal });
    clock.nowMs = start + 999;
    await ask({ principal });
    expect(engine.asked).toHaveLength(1);
    clock.nowMs = start + 1000;
    await ask({ principal });
    // Believed for some seconds after its expiry, but asked about each time.
    await ask({ principal });
    expect(engine.asked).toHaveLength(3);
  });

  test('that was made by a question which took longer than its time is not remembered', async () => {
    const { engine, clock, ask } = create({ cacheTtlMs: 1000 });
    engine.answer = () => {
      clock.nowMs += 1000;
      return { allow: true };
    };
    await ask();
    await ask();
    expect(engine.asked).toHaveLength(2);
  });
});

describe('another question is', () => {
  const more = { context: { metadata: { a: '1', b: '2' } } };
  test.each<readonly [string, QuestionParts]>([
    ['another subject', { principal: jwtPrincipal({ sub: 'bob' }) }],
    ['another claim', { principal: jwtPrincipal({ sub: 'alice', role: 'admin' }) }],
    ['another kind of principal', { principal: sigv4Principal('alice') }],
    ['nobody', { principal: anonymous }],
    ['another action', { action: 'abort' }],
    ['another bucket', { resource: { bucket: 'b' } }],
    ['another key', { resource: { key: 'b' } }],
    ['another backend bucket', { resource: { backendBucket: 'b' } }],
    ['another operation', { context: { operation: 'UploadPart' } }],
    ['another method', { context: { method: 'POST' } }],
    ['another address', { context: { clientIp: '192.0.2.2' } }],
    ['another length', { context: { contentLength: 11 } }],
    ['no length', { context: { contentLength: undefined } }],
    ['another type', { context: { contentType: 'a/b' } }],
    ['no type', { context: { contentType: undefined } }],
    ['an empty type', { context: { contentType: '' } }],
    ['another agent', { context: { userAgent: 'b' } }],
    ['no agent', { context: { userAgent: undefined } }],
    ['other metadata', { context: { metadata: { a: '1', b: '3' } } }],
    ['metadata of another name', { context: { metadata: { a: '1', c: '2' } } }],
  ])('%s', async (_, parts) => {
    const { engine, ask } = create();
    await ask();
    await ask(more);
    engine.answer = () => ({ allow: false });
    expect(await ask(parts)).toEqual({ allow: false, cached: false });
    expect(await ask()).toMatchObject({ allow: true, cached: true });
  });

  test.each(['', ',', '","', '"', '\\', '\0', '\n', ' ', '|', '/'])(
    'one whose parts end elsewhere, with %j between them',
    async (between) => {
      const { engine, ask } = create();
      const neighbours: ((a: string, b: string) => QuestionParts)[] = [
        (bucket, key) => ({ resource: { bucket, key } }),
        (key, backendBucket) => ({ resource: { key, backendBucket } }),
        (operation, method) => ({ context: { operation, method } }),
        (method, clientIp) => ({ context: { method, clientIp } }),
        (contentType, userAgent) => ({ context: { contentType, userAgent } }),
        (name, value) => ({ context: { metadata: { [name]: value } } }),
        (subject, accessKey) => ({ principal: sigv4Principal(subject, accessKey, start + 1000) }),
        (sub, role) => ({ principal: jwtPrincipal({ sub, role }, start + 1000) }),
      ];
      for (const of of neighbours) {
        await ask(of(`a${between}b`, 'c'));
        await ask(of('a', `b${between}c`));
      }
      expect(engine.asked).toHaveLength(2 * neighbours.length);
    },
  );

  test('none of: another time, upload id or part; claims and metadata in another order; a new signature', async () => {
    const { engine, ask } = create();
    const claims = (one: object) => jwtPrincipal({ sub: 'alice', ...one }, start + 1000);
    await ask({ principal: claims({ a: { x: 1, y: 2 }, b: 2 }), ...more });
    const context = { metadata: { b: '2', a: '1' }, uploadId: 'u', partNumber: 7 };
    expect(await ask({ principal: claims({ b: 2, a: { y: 2, x: 1 } }), context })).toMatchObject({ cached: true });
    await ask({ principal: sigv4Principal('alice', 'AKID', start + 1000) });
    await ask({ principal: sigv4Principal('alice', 'AKID', start + 2000) });
    expect(engine.asked).toHaveLength(2);
  });

  test('another access key of one subject', async () => {
    const { engine, ask } = create();
    await ask({ principal: sigv4Principal('alice', 'AKID', start + 1000) });
    await ask({ principal: sigv4Principal('alice', 'AKID2', start + 1000) });
    expect(engine.asked).toHaveLength(2);
  });
});

describe('at the same time', () => {
  test('equal questions are asked once, and others by themselves', async () => {
    const { engine, ask } = create();
    const gate = Promise.withResolvers<Decision>();
    engine.answer = () => gate.promise;
    const asking = [ask(), ask(), ask({ context: { partNumber: 2 } }), ask({ action: 'abort' })];
    expect(engine.asked).toHaveLength(2);
    gate.resolve({ allow: true });
    for (const one of await Promise.all(asking)) expect(one).toEqual({ allow: true, cached: false });
    await ask();
    expect(engine.asked).toHaveLength(2);
  });

  test('a failure is that of all who wait for it, and the next question is asked', async () => {
    const { engine, ask } = create();
    engine.answer = () => Promise.reject(new Error('away'));
    const results = await Promise.allSettled([ask(), ask(), ask()]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(engine.asked).toHaveLength(1);
    engine.answer = () => ({ allow: true });
    expect(await ask()).toEqual({ allow: true, cached: false });
  });
});

describe('with a time of 0', () => {
  test('every question is asked, equal ones at the same time too', async () => {
    const { engine, ask } = create({ cacheTtlMs: 0, denyCacheTtlMs: 0 });
    await Promise.all([ask(), ask()]);
    expect(await ask()).toEqual({ allow: true, cached: false });
    expect(engine.asked).toHaveLength(3);
  });
});

describe('memory', () => {
  test('holds so many decisions, the latest that were used', async () => {
    const { engine, ask } = create({ cacheMaxEntries: 3 });
    for (const key of ['a', 'b', 'c']) await ask({ resource: { key } });
    await ask({ resource: { key: 'a' } });
    await ask({ resource: { key: 'd' } });
    expect(engine.asked).toHaveLength(4);
    expect(await ask({ resource: { key: 'a' } })).toMatchObject({ cached: true });
    expect(await ask({ resource: { key: 'b' } })).toMatchObject({ cached: false });
  });

  test('holds a long one too where it may hold few', async () => {
    const { ask } = create({ cacheMaxEntries: 1 });
    const context = { userAgent: 'x'.repeat(25_000) };
    await ask({ context });
    expect(await ask({ context })).toMatchObject({ cached: true });
  });

  test.each<readonly [string, Decision]>([
    ['reasons', { allow: false, reason: 'x'.repeat(15_000) }],
    ['prefixes', { allow: true, obligations: { keyPrefix: 'x'.repeat(15_000) } }],
    ['types', { allow: true, obligations: { allowedContentTypes: ['x'.repeat(7000), 'y'.repeat(8000)] } }],
  ])('and so many bytes: long %s displace others', async (_, decision) => {
    const { engine, ask } = create({ cacheMaxEntries: 100 });
    await ask({ resource: { key: 'first' } });
    engine.answer = () => decision;
    for (let index = 0; index < 20; index++) await ask({ resource: { key: `${index}` } });
    expect(await ask({ resource: { key: '12' } })).toMatchObject({ cached: true });
    expect(await ask({ resource: { key: 'first' } })).toMatchObject({ cached: false });
  });

  test('and so many bytes: long questions displace others', async () => {
    const { ask } = create({ cacheMaxEntries: 100 });
    await ask({ resource: { key: 'first' } });
    for (let index = 0; index < 20; index++) await ask({ context: { userAgent: `${index}${'x'.repeat(15_000)}` } });
    expect(await ask({ resource: { key: 'first' } })).toMatchObject({ cached: false });
    expect(await ask({ context: { userAgent: `19${'x'.repeat(15_000)}` } })).toMatchObject({ cached: true });
  });

  test('none of what is too long', async () => {
    const { engine, ask } = create({ cacheMaxEntries: 1000 });
    const principal = jwtPrincipal({ sub: 'alice', long: 'x'.repeat(40_000) }, start + 1000);
    await ask({ principal });
    await ask({ principal });
    expect(engine.asked).toHaveLength(2);
  });

  test('nor of what cannot be written', async () => {
    const { engine, ask } = create();
    const deep: unknown = JSON.parse(`${'['.repeat(9000)}${']'.repeat(9000)}`);
    const principal = jwtPrincipal({ sub: 'alice', deep }, start + 1000);
    await ask({ principal });
    await ask({ principal });
    expect(engine.asked).toHaveLength(2);
  });
});

test('the claims of a token are written once', async () => {
  const { ask } = create();
  let reads = 0;
  const principal = jwtPrincipal({ sub: 'alice', list: Object.freeze([1]) }, start + 1000);
  const counting = Object.freeze({
    ...principal,
    get claims() {
      reads++;
      return { sub: 'alice' };
    },
  });
  for (let partNumber = 1; partNumber <= 100; partNumber++) await ask({ principal: counting, context: { partNumber } });
  expect(reads).toBe(1);
});

test('a principal that is not frozen is written anew', async () => {
  const { engine, ask } = create();
  const principal = { kind: 'jwt' as const, subject: 'a', claims: { sub: 'a' }, expiresAtMs: start + 1000 };
  await ask({ principal });
  principal.claims.sub = 'b';
  principal.subject = 'b';
  await ask({ principal });
  expect(engine.asked).toHaveLength(2);
});

test('the rest is the engine’s', async () => {
  const { engine, authorizer } = create();
  await expect(authorizer.checkReady(AbortSignal.timeout(1000))).rejects.toThrow('not ready');
  await authorizer.close();
  expect([authorizer.engine, engine.closed]).toEqual(['test', 1]);
});
