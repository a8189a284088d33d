// Remembers decisions, so that ten thousand parts of one upload do not ask ten thousand times.
import { LRUCache } from 'lru-cache';
import type { CallTrace } from '../call-trace.ts';
import type { EngineConfig } from '../config/config.ts';
import type { Authorizer, Decision, Question } from './authorizer.ts';
import type { Verdict } from './merge-verdicts.ts';
import { isSameQuestion, writeQuestion } from './question-text.ts';

export interface CachedAuthorizer extends Omit<Authorizer, 'authorize'> {
  /** No promise of what is remembered: most requests ask for that, and a promise costs them more than to look it up. */
  authorize(question: Question, trace?: CallTrace): Verdict | Promise<Verdict>;
}

export interface CacheOptions extends Pick<EngineConfig, 'cacheTtlMs' | 'denyCacheTtlMs' | 'cacheMaxEntries'> {
  /** As an Authorizer's; left out: by all that a question holds but the time, the upload id and the part number. */
  readonly identify?: Authorizer['identify'] | undefined;
}

interface Remembered {
  readonly verdict: Verdict;
  readonly askedAtMs: number;
  readonly untilMs: number;
}

/** What the entries of a cache take together, for each that it may hold; a single one may take 64 KiB. */
const bytesPerEntry = 4096;
const maxEntryBytes = 64 * 1024;
/** Of an entry besides its text. */
const overheadBytes = 300;
/** Objects whose latest question is at hand, where it is not long. */
const maxLatest = 256;
const maxLatestChars = 16_384;
const none: readonly string[] = [];

/**
 * A decision is used again for a question that is the same one by `identify`, never for longer than its time and never past
 * the expiry of the credential for which it was made. Equal questions at the same time are asked once. With a `cacheTtlMs` of 0
 * every question is asked.
 * @param nowMs milliseconds since 1970.
 */
export function cacheDecisions(
  engine: Authorizer,
  { cacheTtlMs, denyCacheTtlMs, cacheMaxEntries, identify = writeQuestion }: CacheOptions,
  nowMs: () => number = Date.now,
): CachedAuthorizer {
  const passOn = {
    engine: engine.engine,
    checkReady: (signal: AbortSignal) => engine.checkReady(signal),
    close: () => engine.close(),
  };
  const ask = async (question: Question, trace?: CallTrace): Promise<Verdict> => ({
    engine: engine.engine,
    decision: await engine.authorize(question, trace),
    cached: false,
    failedOpen: none,
  });
  if (cacheTtlMs === 0) return { ...passOn, authorize: ask };

  // The whole text is the key: of a digest nobody could say that it belongs to one question only.
  const remembered = new LRUCache<string, Remembered>({
    max: cacheMaxEntries,
    maxSize: Math.max(cacheMaxEntries * bytesPerEntry, maxEntryBytes),
    maxEntrySize: maxEntryBytes,
    // A character takes two bytes where one of the text is beyond Latin-1.
    sizeCalculation: ({ verdict }, text) => overheadBytes + 2 * text.length + sizeOf(verdict.decision),
  });
  // Parts of one upload ask the same one after another, and to see that takes a tenth of the time of writing and hashing it.
  const latestByKey = new LRUCache<string, { readonly question: Question; readonly text: string }>({ max: maxLatest });
  const underWay = new Map<string, Promise<Verdict>>();

  async function askAndRemember(text: string, question: Question, trace?: CallTrace): Promise<Verdict> {
    const askedAtMs = nowMs();
    try {
      const verdict = await ask(question, trace);
      const ttlMs = verdict.decision.allow ? cacheTtlMs : Math.min(denyCacheTtlMs, cacheTtlMs);
      // From the moment of the question: the answer may be older than its arrival.
      const untilMs = Math.min(askedAtMs + ttlMs, expiryOf(question));
      if (untilMs > nowMs()) remembered.set(text, { verdict: { ...verdict, cached: true }, askedAtMs, untilMs });
      return verdict;
    } finally {
      underWay.delete(text);
    }
  }

  function textOf(question: Question): string | undefined {
    const { key } = question.resource;
    const latest = latestByKey.get(key);
    if (latest !== undefined && isSameQuestion(latest.question, question)) return latest.text;
    const text = identify(question);
    if (text !== undefined && canBeKnown(question, text)) latestByKey.set(key, { question, text });
    return text;
  }

  return {
    ...passOn,
    authorize(question, trace) {
      let text: string | undefined;
      try {
        text = textOf(question);
      } catch (error) {
        // What cannot be written is not remembered.
        if (!(error instanceof RangeError)) return Promise.reject(error);
      }
      if (text === undefined) return ask(question, trace);
      const known = remembered.get(text);
      if (known !== undefined) {
        const now = nowMs();
        // A clock that is set back must not give it a second life.
        if (known.askedAtMs <= now && now < known.untilMs) return known.verdict;
        remembered.delete(text);
      }
      const asked = underWay.get(text);
      if (asked !== undefined) return asked;
      const asking = askAndRemember(text, question, trace);
      underWay.set(text, asking);
      return asking;
    },
  };
}

/** Whether another can be seen to be the same, and no more is held for that than a few pages. */
function canBeKnown({ principal, context }: Question, text: string): boolean {
  const { userAgent = '', contentType = '', uploadId = '', metadata } = context;
  const heldChars = text.length + userAgent.length + contentType.length + uploadId.length;
  return heldChars <= maxLatestChars && Object.isFrozen(principal) && Object.keys(metadata).length === 0;
}

function expiryOf({ principal }: Question): number {
  return principal.kind === 'anonymous' ? Infinity : principal.expiresAtMs;
}

function sizeOf(decision: Decision): number {
  if (!decision.allow) return 2 * (decision.reason?.length ?? 0);
  const { keyPrefix = '', allowedContentTypes = [] } = decision.obligations ?? {};
  return 2 * [keyPrefix, ...allowedContentTypes].reduce((length, text) => length + text.length, 0);
}
