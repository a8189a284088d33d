// Remembers decisions, so that ten thousand parts of one upload do not ask ten thousand times.
import { LRUCache } from 'lru-cache';
import type { CallTrace } from '../call-trace.ts';
import type { EngineConfig } from '../config/config.ts';
import type { Authorizer, Decision, Question } from './authorizer.ts';
import { writeQuestion } from './question-text.ts';

export interface CachedAuthorizer extends Authorizer {
  authorize(question: Question, trace?: CallTrace): Promise<CachedDecision>;
}

/** `cached`: nobody was asked for this very question. */
export type CachedDecision = Decision & { readonly cached: boolean };

export interface CacheOptions extends Pick<EngineConfig, 'cacheTtlMs' | 'denyCacheTtlMs' | 'cacheMaxEntries'> {
  /** As an Authorizer's; left out: by all that a question holds but the time, the upload id and the part number. */
  readonly identify?: Authorizer['identify'] | undefined;
}

interface Remembered {
  readonly decision: CachedDecision;
  readonly askedAtMs: number;
  readonly untilMs: number;
}

/** What the entries of a cache take together, for each that it may hold; a single one may take 64 KiB. */
const bytesPerEntry = 4096;
const maxEntryBytes = 64 * 1024;
/** Of an entry besides its text. */
const overheadBytes = 300;

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
  const ask = async (question: Question, trace?: CallTrace): Promise<CachedDecision> => ({
    ...(await engine.authorize(question, trace)),
    cached: false,
  });
  if (cacheTtlMs === 0) return { ...passOn, authorize: ask };

  // The whole text is the key: of a digest nobody could say that it belongs to one question only.
  const remembered = new LRUCache<string, Remembered>({
    max: cacheMaxEntries,
    maxSize: Math.max(cacheMaxEntries * bytesPerEntry, maxEntryBytes),
    maxEntrySize: maxEntryBytes,
    // A character takes two bytes where one of the text is beyond Latin-1.
    sizeCalculation: ({ decision }, text) => overheadBytes + 2 * text.length + sizeOf(decision),
  });
  const underWay = new Map<string, Promise<CachedDecision>>();

  async function askAndRemember(text: string, question: Question, trace?: CallTrace): Promise<CachedDecision> {
    const askedAtMs = nowMs();
    try {
      const decision = await ask(question, trace);
      const ttlMs = decision.allow ? cacheTtlMs : Math.min(denyCacheTtlMs, cacheTtlMs);
      // From the moment of the question: the answer may be older than its arrival.
      const untilMs = Math.min(askedAtMs + ttlMs, expiryOf(question));
      if (untilMs > nowMs()) remembered.set(text, { decision: { ...decision, cached: true }, askedAtMs, untilMs });
      return decision;
    } finally {
      underWay.delete(text);
    }
  }

  return {
    ...passOn,
    authorize(question, trace) {
      const text = write(question, identify);
      if (text === undefined) return ask(question, trace);
      const known = remembered.get(text);
      if (known !== undefined) {
        const now = nowMs();
        // A clock that is set back must not give it a second life.
        if (known.askedAtMs <= now && now < known.untilMs) return Promise.resolve(known.decision);
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

/** @returns undefined for what cannot be written: it is not remembered. */
function write(question: Question, identify: NonNullable<CacheOptions['identify']>): string | undefined {
  try {
    return identify(question);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function expiryOf({ principal }: Question): number {
  return principal.kind === 'anonymous' ? Infinity : principal.expiresAtMs;
}

function sizeOf(decision: Decision): number {
  if (!decision.allow) return 2 * (decision.reason?.length ?? 0);
  const { keyPrefix = '', allowedContentTypes = [] } = decision.obligations ?? {};
  return 2 * [keyPrefix, ...allowedContentTypes].reduce((length, text) => length + text.length, 0);
}
