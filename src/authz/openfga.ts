// The OpenFGA engine: whether the sender of a request has the configured relations with what it wants to write.
import type { CallTrace } from '../call-trace.ts';
import type { OpenFgaConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { Authorizer, Question } from './authorizer.ts';
import { findModelFault } from './find-model-fault.ts';
import { judge, OpenFgaFault, type Answer } from './openfga-answers.ts';
import { createOpenFgaClient } from './openfga-client.ts';
import { createQuestionMaker, listChecks, type OpenFgaQuestion } from './openfga-question.ts';
import { UnfitQuestion } from './render-template.ts';

/**
 * A sender whose claims cannot stand where the templates put them is refused without OpenFGA being asked.
 * Source: OpenFGA's API v1, Check and BatchCheck.
 * @throws Error for a template, a URL or an id that is none, and when the file of the authority cannot be read.
 */
export function createOpenFgaAuthorizer(config: OpenFgaConfig): Authorizer {
  const makeQuestion = createQuestionMaker(config);
  const client = createOpenFgaClient(config);
  return {
    engine: 'openfga',
    // Most of a question is nothing to OpenFGA: a new key in a bucket is the same question, if the templates do not hold it.
    identify(question) {
      const asked = prepare(question);
      return asked instanceof UnfitQuestion ? undefined : JSON.stringify(asked);
    },
    async authorize(question, trace) {
      const asked = prepare(question);
      if (asked instanceof UnfitQuestion) return { allow: false, reason: asked.message };
      const verdict = judge(asked.relations, await ask(asked, trace));
      if (verdict.kind === 'unknown') throw unavailable(verdict.fault);
      if (verdict.kind === 'allowed') return { allow: true };
      return { allow: false, reason: `lacks the relation ${verdict.relation}` };
    },
    async checkReady(signal) {
      const model = await within(config.timeoutMs, (own) => client.readModel(AbortSignal.any([signal, own])));
      const fault = findModelFault(model, config);
      if (fault !== undefined) throw new OpenFgaFault(`OpenFGA: ${fault}`, 200);
    },
    async close() {
      client.close();
    },
  };

  function prepare(question: Question): OpenFgaQuestion | UnfitQuestion {
    try {
      return makeQuestion(question);
    } catch (error) {
      if (error instanceof UnfitQuestion) return error;
      throw error;
    }
  }

  async function ask(asked: OpenFgaQuestion, trace: CallTrace | undefined): Promise<readonly Answer[]> {
    try {
      return await within(config.timeoutMs, (signal) =>
        client.check(listChecks(asked), asked.contextualTuples, signal, trace),
      );
    } catch (error) {
      throw unavailable(error);
    }
  }
}

function unavailable(cause: unknown): S3Error {
  return new S3Error('ServiceUnavailable', { cause });
}

/** The signal ends what is under way, and the promise rejects even where nobody heeds the signal. */
async function within<T>(timeoutMs: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new OpenFgaFault(`OpenFGA did not answer within ${timeoutMs} ms`));
    controller.abort();
  }, timeoutMs);
  try {
    return await Promise.race([run(controller.signal), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
