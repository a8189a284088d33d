// Several engines as one: all must allow, every bound holds, and what failing comes to.
import { describe, expect, test } from 'vitest';
import type { Authorizer, Decision } from '../../../src/authz/authorizer.ts';
import { createAuthorizer } from '../../../src/authz/create-authorizer.ts';
import { OpaFault } from '../../../src/authz/opa-client.ts';
import { OpenFgaFault } from '../../../src/authz/openfga-answers.ts';
import { mergeDecisions, mergeObligations } from '../../../src/authz/merge-verdicts.ts';
import type { AuthzConfig, OpaConfig, OpenFgaConfig } from '../../../src/config/config.ts';
import { S3Error } from '../../../src/errors.ts';
import { createQuestion } from '../../support/questions.ts';

type Answer = Decision | Error;

const settings = { timeoutMs: 1000, cacheTtlMs: 0, denyCacheTtlMs: 0, cacheMaxEntries: 10 };
const away = new S3Error('ServiceUnavailable', { cause: new Error('no answer') });

function create(
  answers: { opa?: () => Answer; openfga?: () => Answer },
  config: Partial<AuthzConfig> = {},
  cacheTtlMs = 0,
) {
  const failed: unknown[] = [];
  const closed: string[] = [];
  const fake = (engine: 'opa' | 'openfga'): Authorizer => ({
    engine,
    async authorize() {
      const answer = answers[engine]?.() ?? new Error('not configured');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    checkReady: () => Promise.resolve(),
    close: async () => void closed.push(engine),
  });
  const own = { ...settings, cacheTtlMs };
  const authorization = createAuthorizer(
    {
      failMode: 'closed',
      ...(answers.opa && { opa: own as OpaConfig }),
      ...(answers.openfga && { openfga: own as OpenFgaConfig }),
      ...config,
    },
    { onFailedOpen: (engine, error) => failed.push([engine, error]) },
    { opa: () => fake('opa'), openfga: () => fake('openfga') },
  );
  return { ...authorization, ask: () => authorization.authorize(createQuestion()), failed, closed };
}

const yes = (): Answer => ({ allow: true });
const no = (): Answer => ({ allow: false, reason: 'no' });

describe('engines', () => {
  test('one', async () => {
    const verdict = { engine: 'opa', cached: false, failedOpen: [] };
    expect(await create({ opa: yes }).ask()).toEqual({ ...verdict, decision: { allow: true } });
    expect(await create({ opa: no }).ask()).toEqual({
      ...verdict,
      decision: expect.objectContaining({ reason: 'no' }),
    });
    expect((await create({ openfga: yes }).ask()).engine).toBe('openfga');
  });

  test.each([
    [yes, yes, true, 'opa+openfga'],
    [no, yes, false, 'opa'],
    [yes, no, false, 'openfga'],
    [no, no, false, 'opa'],
  ])('two: all must allow', async (opa, openfga, allow, engine) => {
    const verdict = await create({ opa, openfga }).ask();
    expect([verdict.decision.allow, verdict.engine]).toEqual([allow, engine]);
  });

  test('both are asked at the same time', async () => {
    const asked: string[] = [];
    const say = (name: string) => () => {
      asked.push(name);
      return { allow: true } as const;
    };
    const asking = create({ opa: say('opa'), openfga: say('openfga') }).ask();
    expect(asked).toEqual(['opa', 'openfga']);
    await asking;
  });

  test('none is a mistake', () => {
    expect(() => create({})).toThrow(TypeError);
  });

  test('decisions are remembered where that is configured', async () => {
    let asked = 0;
    const { ask } = create(
      {
        opa: () => {
          asked++;
          return { allow: true };
        },
        openfga: yes,
      },
      {},
      1000,
    );
    expect((await ask()).cached).toBe(false);
    expect((await ask()).cached).toBe(true);
    expect(asked).toBe(1);
  });

  test('are closed one by one', async () => {
    const { engines, closed } = create({ opa: yes, openfga: yes });
    await Promise.all(engines.map((engine) => engine.close()));
    expect(closed).toEqual(['opa', 'openfga']);
  });
});

describe('an engine that fails', () => {
  test.each([
    [() => away, yes],
    [yes, () => away],
    [() => away, () => away],
  ])('allows nothing', async (opa, openfga) => {
    const { ask, failed } = create({ opa, openfga });
    await expect(ask()).rejects.toBe(away);
    expect(failed).toEqual([]);
  });

  test.each([
    [no, () => away, 'opa'],
    [() => away, no, 'openfga'],
  ])('does not stand before a refusal', async (opa, openfga, engine) => {
    expect(await create({ opa, openfga }).ask()).toMatchObject({ decision: { allow: false, reason: 'no' }, engine });
  });

  test.each([200, 400, 401, 404, 408, 500, 501])('and answers %i lets nothing through', async (status) => {
    for (const cause of [new OpaFault('x', status), new OpenFgaFault('x', status)]) {
      const error = new S3Error('ServiceUnavailable', { cause });
      const { ask, failed } = create({ opa: () => error }, { failMode: 'open' });
      await expect(ask()).rejects.toBe(error);
      expect(failed).toEqual([]);
    }
  });

  test.each([undefined, 429, 502, 503, 504])('but cannot be reached (%s) does, with fail_mode open', async (status) => {
    for (const cause of [new OpaFault('x', status), new OpenFgaFault('x', status)]) {
      const error = new S3Error('ServiceUnavailable', { cause });
      const { ask } = create({ opa: () => error }, { failMode: 'open' });
      expect(await ask()).toMatchObject({ decision: { allow: true }, failedOpen: ['opa'] });
    }
  });

  test('with fail_mode open is passed over and told of; the other still decides', async () => {
    const open = { failMode: 'open' } as const;
    const one = create({ opa: () => away, openfga: no }, open);
    expect(await one.ask()).toMatchObject({ decision: { allow: false }, engine: 'openfga', failedOpen: ['opa'] });
    expect(one.failed).toEqual([['opa', away.cause]]);
    const both = create({ opa: () => away, openfga: () => away }, open);
    expect(await both.ask()).toEqual({
      decision: { allow: true },
      engine: 'opa+openfga',
      cached: false,
      failedOpen: ['opa', 'openfga'],
    });
  });

  test('with fail_mode open, permission for lack of an answer is not remembered', async () => {
    let answer: Answer = away;
    const { ask } = create({ opa: () => answer }, { failMode: 'open' }, 60_000);
    expect((await ask()).decision.allow).toBe(true);
    answer = { allow: false };
    expect((await ask()).decision.allow).toBe(false);
  });

  test('a fault of this program lets nothing through in any mode', async () => {
    const fault = new TypeError('x is not a function');
    await expect(create({ opa: () => fault }, { failMode: 'open' }).ask()).rejects.toBe(fault);
    await expect(create({ opa: () => fault }).ask()).rejects.toBe(fault);
  });

  test('is left alone after five times, and that lets through too where failing does', async () => {
    let asked = 0;
    const opa = () => {
      asked++;
      return away;
    };
    const { ask, failed } = create({ opa }, { failMode: 'open' });
    for (let times = 0; times < 8; times++) expect((await ask()).decision.allow).toBe(true);
    expect(asked).toBe(5);
    expect(failed).toHaveLength(8);
  });
});

describe('bounds of several engines', () => {
  test.each([
    [{}, {}, {}],
    [{ keyPrefix: 'a/' }, {}, { keyPrefix: 'a/' }],
    [{ keyPrefix: 'a/' }, { keyPrefix: 'a/b' }, { keyPrefix: 'a/b' }],
    [{ keyPrefix: 'a/' }, { keyPrefix: '' }, { keyPrefix: 'a/' }],
    [{ maxObjectBytes: 5 }, { maxObjectBytes: 0 }, { maxObjectBytes: 0 }],
    [{ maxObjectBytes: 5 }, {}, { maxObjectBytes: 5 }],
    [{ allowedContentTypes: ['image/*'] }, {}, { allowedContentTypes: ['image/*'] }],
    [{ allowedContentTypes: [] }, { allowedContentTypes: ['*/*'] }, { allowedContentTypes: [] }],
    [
      { allowedContentTypes: ['Image/*', 'text/plain', 'a/b'] },
      { allowedContentTypes: ['image/png', 'text/*', 'c/d'] },
      { allowedContentTypes: ['image/png', 'text/plain'] },
    ],
    [
      { allowedContentTypes: ['*/*'] },
      { allowedContentTypes: ['image/*', 'a/b'] },
      { allowedContentTypes: ['image/*', 'a/b'] },
    ],
    [{ allowedContentTypes: ['image/*'] }, { allowedContentTypes: ['imagex/a'] }, { allowedContentTypes: [] }],
  ])('%j and %j: %j', (a, b, both) => {
    expect(mergeObligations(a, b)).toEqual(both);
    expect(mergeObligations(b, a)).toEqual(both);
  });

  test('no key begins with two that differ', () => {
    expect(mergeObligations({ keyPrefix: 'a/' }, { keyPrefix: 'ab' })).toBeUndefined();
    const of = (keyPrefix: string): Decision => ({ allow: true, obligations: { keyPrefix } });
    expect(mergeDecisions(of('a/'), of('ab'))).toMatchObject({ allow: false });
  });

  test('a refusal wins, whatever else is said', () => {
    const bound: Decision = { allow: true, obligations: { maxObjectBytes: 1 } };
    const refusal: Decision = { allow: false, reason: 'x' };
    expect(mergeDecisions(bound, refusal)).toBe(refusal);
    expect(mergeDecisions(refusal, bound)).toBe(refusal);
  });
});
