// All that decides for one bucket, as one function: every engine behind its memory and its circuit breaker.
import type { CallTrace } from '../call-trace.ts';
import type { AuthzConfig, EngineConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { Authorizer, Decision, Question } from './authorizer.ts';
import { cacheDecisions, type Answer, type CachedAuthorizer } from './cached-authorizer.ts';
import { breakCircuit } from './circuit-breaker.ts';
import { isLasting } from './check-engines.ts';
import { mergeDecisions } from './merge-decisions.ts';
import { createOpaAuthorizer } from './opa.ts';
import { createOpenFgaAuthorizer } from './openfga.ts';

/** What has been decided of a request, by whom, and how. */
export interface Verdict {
  readonly decision: Decision;
  /** The one that refused; else all that were asked: `opa`, `openfga`, `opa+openfga`. */
  readonly engine: string;
  /** Whether nobody was asked for this very question. */
  readonly cached: boolean;
  /** Engines that could not be asked, where that lets through. */
  readonly failedOpen: readonly string[];
}

/**
 * No promise of what all engines are remembered to have said.
 * @throws S3Error ServiceUnavailable when an engine cannot be asked, unless that lets through.
 */
export type Authorize = (question: Question, trace?: CallTrace) => Verdict | Promise<Verdict>;

/** What is done with an engine besides asking it. */
export type EngineCare = Pick<Authorizer, 'engine' | 'checkReady' | 'close'>;

export interface Authorization {
  readonly authorize: Authorize;
  readonly engines: readonly EngineCare[];
}

export interface AuthorizationEvents {
  /** An engine failed and the request goes on without its consent. */
  readonly onFailedOpen: (engine: string, error: unknown) => void;
  /** Puts itself before an engine, to see every question that it is really asked. */
  readonly watch?: (engine: Authorizer) => Authorizer;
}

export interface EngineMakers {
  readonly opa: typeof createOpaAuthorizer;
  readonly openfga: typeof createOpenFgaAuthorizer;
}

const makers: EngineMakers = { opa: createOpaAuthorizer, openfga: createOpenFgaAuthorizer };

/** @throws Error for what an engine cannot be made with: a URL, an id, a template, a file that cannot be read. */
export function createAuthorizer(
  config: AuthzConfig,
  { onFailedOpen, watch = (engine) => engine }: AuthorizationEvents,
  make: EngineMakers = makers,
): Authorization {
  const protect = (engine: Authorizer, settings: EngineConfig): CachedAuthorizer =>
    // What is remembered is known without the engine, and so while the breaker is open.
    cacheDecisions(breakCircuit(watch(engine)), { ...settings, identify: engine.identify });
  const engines = [
    ...(config.opa === undefined ? [] : [protect(make.opa(config.opa), config.opa)]),
    ...(config.openfga === undefined ? [] : [protect(make.openfga(config.openfga), config.openfga)]),
  ];
  // Of nobody, all would have allowed.
  if (engines.length === 0) throw new TypeError('an authorizer needs an engine');
  const ask = config.failMode === 'open' ? letThrough(onFailedOpen) : askClosed;
  const names = engines.map(({ engine }) => engine).join('+');

  const authorize: Authorize = (question, trace) => {
    const answers = engines.map((engine) => ask(engine, question, trace));
    return areKnown(answers) ? judge(answers) : Promise.allSettled(answers).then(judgeSettled);
  };

  function judgeSettled(settled: readonly PromiseSettledResult<JudgedAnswer>[]): Verdict {
    const answers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failure = settled.find((one) => one.status === 'rejected');
    // A refusal stands, whatever the others would have said.
    if (failure !== undefined && answers.every(({ decision }) => decision.allow)) throw failure.reason;
    return judge(answers);
  }

  function judge(answers: readonly JudgedAnswer[]): Verdict {
    return {
      decision: mergeDecisions(answers.map(({ decision }) => decision)),
      engine: answers.find(({ decision }) => !decision.allow)?.engine ?? names,
      cached: answers.every(({ cached }) => cached),
      failedOpen: answers.filter(({ hasFailed }) => hasFailed).map(({ engine }) => engine),
    };
  }

  return { authorize, engines };
}

interface JudgedAnswer extends Answer {
  /** It has let the request through by not answering. */
  readonly hasFailed?: true;
}

type Asking = (engine: CachedAuthorizer, question: Question, trace?: CallTrace) => JudgedAnswer | Promise<JudgedAnswer>;

const askClosed: Asking = (engine, question, trace) => engine.authorize(question, trace);

const areKnown = (answers: readonly (JudgedAnswer | Promise<JudgedAnswer>)[]): answers is readonly JudgedAnswer[] =>
  answers.every((answer) => !(answer instanceof Promise));

function letThrough(onFailedOpen: AuthorizationEvents['onFailedOpen']): Asking {
  return (engine, question, trace) => {
    const answer = engine.authorize(question, trace);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error: unknown) => {
      // A fault of this program is none of the engine's, and an engine that takes exception to the question can be asked.
      if (!(error instanceof S3Error) || error.code !== 'ServiceUnavailable' || isLasting(error.cause)) throw error;
      onFailedOpen(engine.engine, error.cause);
      return { engine: engine.engine, decision: { allow: true }, cached: false, hasFailed: true };
    });
  };
}
