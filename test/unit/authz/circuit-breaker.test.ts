// The circuit breaker, by simulation: whatever happens in whatever order, it stays within its rules.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Authorizer } from '../../../src/authz/authorizer.ts';
import { breakCircuit, CircuitBreaker } from '../../../src/authz/circuit-breaker.ts';
import { S3Error } from '../../../src/errors.ts';
import { createQuestion } from '../../support/questions.ts';

const options = { failures: 3, openMs: 1000 };

function enter(breaker: CircuitBreaker, nowMs: number): number {
  const entered = breaker.enter(nowMs);
  if ('round' in entered) return entered.round;
  throw new Error('refused');
}

const fail = (breaker: CircuitBreaker, nowMs: number): void => breaker.leave(enter(breaker, nowMs), true, nowMs);

describe('the states', () => {
  test('it opens with the last of so many failures in a row', () => {
    const breaker = new CircuitBreaker(options);
    fail(breaker, 0);
    fail(breaker, 0);
    breaker.leave(enter(breaker, 0), false, 0);
    fail(breaker, 0);
    fail(breaker, 0);
    expect(breaker.state).toBe('closed');
    fail(breaker, 5);
    expect(breaker.state).toBe('open');
    expect(breaker.enter(5)).toEqual({ retryAfterMs: 1000 });
    expect(breaker.enter(1004)).toEqual({ retryAfterMs: 1 });
  });

  test('then one call passes, and no other before that has ended', () => {
    const breaker = new CircuitBreaker(options);
    for (let times = 0; times < 3; times++) fail(breaker, 0);
    const probe = enter(breaker, 1000);
    expect(breaker.state).toBe('half-open');
    expect(breaker.enter(50_000)).toEqual({ retryAfterMs: 1000 });
    breaker.leave(probe, true, 60_000);
    expect(breaker.enter(60_999)).toEqual({ retryAfterMs: 1 });
    breaker.leave(enter(breaker, 61_000), false, 61_001);
    expect(breaker.state).toBe('closed');
    // It counts from nothing again.
    fail(breaker, 61_002);
    fail(breaker, 61_002);
    expect(breaker.state).toBe('closed');
  });

  test('calls from before it opened say nothing when they end', () => {
    const breaker = new CircuitBreaker(options);
    const early = [enter(breaker, 0), enter(breaker, 0), enter(breaker, 0), enter(breaker, 0), enter(breaker, 0)];
    for (const round of early.slice(0, 3)) breaker.leave(round, true, 0);
    breaker.leave(early[3] ?? -1, false, 10);
    expect(breaker.state).toBe('open');
    const probe = enter(breaker, 1000);
    breaker.leave(early[4] ?? -1, true, 1001);
    expect(breaker.state).toBe('half-open');
    breaker.leave(probe, false, 1002);
    expect(breaker.state).toBe('closed');
  });
});

test('simulation', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
    fc.record({ kind: fc.constant('enter' as const) }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat(), hasFailed: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const breaker = new CircuitBreaker(options);
      const underWay: { round: number; isProbe: boolean }[] = [];
      let nowMs = 0;
      let openedAtMs = -Infinity;
      for (const one of steps) {
        if (one.kind === 'wait') nowMs += one.ms;
        else if (one.kind === 'enter') {
          const before = breaker.state;
          const entered = breaker.enter(nowMs);
          if ('round' in entered) {
            // Only a closed breaker lets several through; an open one a single probe, and not before its time.
            expect(before).not.toBe('half-open');
            if (before === 'open') expect(nowMs - openedAtMs).toBeGreaterThanOrEqual(options.openMs);
            underWay.push({ round: entered.round, isProbe: before === 'open' });
          } else {
            expect(before).not.toBe('closed');
            expect(entered.retryAfterMs).toBeGreaterThan(0);
            expect(entered.retryAfterMs).toBeLessThanOrEqual(options.openMs);
          }
        } else if (underWay.length > 0) {
          const [call] = underWay.splice(one.which % underWay.length, 1);
          const before = breaker.state;
          breaker.leave(call?.round ?? -1, one.hasFailed, nowMs);
          if (before !== 'open' && breaker.state === 'open') openedAtMs = nowMs;
          // Nobody but the probe ends the half-open state.
          if (before === 'half-open' && breaker.state !== before) expect(call?.isProbe).toBe(true);
          if (before === 'open') expect(breaker.state).toBe('open');
        }
        expect(underWay.filter(({ isProbe }) => isProbe).length).toBeLessThanOrEqual(1);
        // It cannot stay half-open without somebody under way who will end it.
        if (breaker.state === 'half-open') expect(underWay.some(({ isProbe }) => isProbe)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

describe('before an engine', () => {
  function create() {
    const clock = { nowMs: 0 };
    const engine = { error: undefined as unknown, asked: 0 };
    const inner: Authorizer = {
      engine: 'test',
      async authorize() {
        engine.asked++;
        if (engine.error !== undefined) throw engine.error;
        return { allow: true };
      },
      checkReady: () => Promise.reject(new Error('not ready')),
      close: () => Promise.resolve(),
    };
    const breaker = breakCircuit(inner, () => clock.nowMs, options);
    const askAfter = async (error?: unknown): Promise<unknown> => {
      engine.error = error;
      return breaker.authorize(createQuestion()).catch((reason: unknown) => reason);
    };
    return { clock, engine, breaker, askAfter };
  }
  const away = new S3Error('ServiceUnavailable', { cause: new Error('no answer') });
  const answered = (status: number) =>
    new S3Error('ServiceUnavailable', { cause: Object.assign(new Error('an answer'), { status }) });

  test('while it is open the answer comes at once, and says when to come again', async () => {
    const { clock, engine, askAfter } = create();
    for (let times = 0; times < 3; times++) expect(await askAfter(away)).toBe(away);
    clock.nowMs = 400;
    expect(await askAfter()).toMatchObject({ code: 'ServiceUnavailable', retryAfterMs: 600 });
    expect(engine.asked).toBe(3);
    clock.nowMs = 1000;
    expect(await askAfter()).toEqual({ allow: true });
    expect(await askAfter()).toEqual({ allow: true });
  });

  test.each([502, 503, 504, 429])('status %i is as good as no answer', async (status) => {
    const { engine, askAfter } = create();
    for (let times = 0; times < 4; times++) await askAfter(answered(status));
    expect(engine.asked).toBe(3);
  });

  test.each([
    ['200 with nonsense', answered(200)],
    ['400', answered(400)],
    ['500', answered(500)],
    ['a fault of this program', new TypeError('x is not a function')],
  ])('%s is no reason to leave it alone', async (_, error) => {
    const { engine, askAfter } = create();
    await askAfter(away);
    await askAfter(away);
    for (let times = 0; times < 10; times++) expect(await askAfter(error)).toBe(error);
    // It is there: what came before does not count any more.
    await askAfter(away);
    await askAfter(away);
    expect(await askAfter()).toEqual({ allow: true });
    expect(engine.asked).toBe(15);
  });
});
