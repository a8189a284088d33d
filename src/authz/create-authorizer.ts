// All that decides for one bucket, as one function: every engine behind its memory and its circuit breaker.
import type { CallTrace } from '../call-trace.ts';
import type { AuthzConfig, EngineConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { Authorizer, Question } from './authorizer.ts';
import { cacheDecisions, type CachedAuthorizer } from './cached-authorizer.ts';
import { breakCircuit, isAway } from './circuit-breaker.ts';
import { mergeVerdicts, type Verdict } from './merge-verdicts.ts';
import { createOpaAuthorizer } from './opa.ts';
import { createOpenFgaAuthorizer } from './openfga.ts';

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
  const authorize: Authorize = (question, trace) => {
    const verdicts = engines.map((engine) => ask(engine, question, trace));
    if (areKnown(verdicts)) return mergeVerdicts(verdicts);
    return Promise.allSettled(verdicts.map(async (verdict) => verdict)).then(judge);
  };
  return { authorize, engines };
}

function judge(settled: readonly PromiseSettledResult<Verdict>[]): Verdict {
  const verdicts = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = settled.find((one) => one.status === 'rejected');
  // A refusal stands, whatever the others would have said.
  if (failure !== undefined && verdicts.every(({ decision }) => decision.allow)) throw failure.reason;
  return mergeVerdicts(verdicts);
}

const areKnown = (verdicts: readonly (Verdict | Promise<Verdict>)[]): verdicts is readonly Verdict[] =>
  verdicts.every((verdict) => !(verdict instanceof Promise));

type Asking = (engine: CachedAuthorizer, question: Question, trace?: CallTrace) => Verdict | Promise<Verdict>;

const askClosed: Asking = (engine, question, trace) => engine.authorize(question, trace);

function letThrough(onFailedOpen: AuthorizationEvents['onFailedOpen']): Asking {
  return (engine, question, trace) => {
    const verdict = engine.authorize(question, trace);
    if (!(verdict instanceof Promise)) return verdict;
    return verdict.catch((error: unknown) => {
      // An engine that answers can be asked, and the sender may have chosen the question that it fails on.
      if (!(error instanceof S3Error) || !isAway(error)) throw error;
      onFailedOpen(engine.engine, error.cause);
      return { engine: engine.engine, decision: { allow: true }, cached: false, failedOpen: [engine.engine] };
    });
  };
}
