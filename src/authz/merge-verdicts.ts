// What several engines say of one question, taken together: all must allow, and every bound holds.
import type { Decision, Obligations } from './authorizer.ts';

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

/** @throws TypeError when nobody has decided. */
export function mergeVerdicts(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((a, b) => ({
    decision: mergeDecisions(a.decision, b.decision),
    engine: !a.decision.allow ? a.engine : !b.decision.allow ? b.engine : `${a.engine}+${b.engine}`,
    cached: a.cached && b.cached,
    failedOpen: [...a.failedOpen, ...b.failedOpen],
  }));
}

export function mergeDecisions(a: Decision, b: Decision): Decision {
  if (!a.allow) return a;
  if (!b.allow) return b;
  const obligations = mergeObligations(a.obligations ?? {}, b.obligations ?? {});
  if (obligations === undefined) return { allow: false, reason: 'no key begins with what every engine asks for' };
  return Object.keys(obligations).length === 0 ? { allow: true } : { allow: true, obligations };
}

/** @returns what meets both; undefined when no key can begin with both prefixes. */
export function mergeObligations(a: Obligations, b: Obligations): Obligations | undefined {
  const prefixes = [a.keyPrefix ?? '', b.keyPrefix ?? ''].toSorted((one, other) => one.length - other.length);
  const [shorter = '', longer = ''] = prefixes;
  if (!longer.startsWith(shorter)) return undefined;
  const maxObjectBytes = Math.min(a.maxObjectBytes ?? Infinity, b.maxObjectBytes ?? Infinity);
  const types = intersectTypes(a.allowedContentTypes, b.allowedContentTypes);
  return {
    ...(longer === '' ? {} : { keyPrefix: longer }),
    ...(maxObjectBytes === Infinity ? {} : { maxObjectBytes }),
    ...(types === undefined ? {} : { allowedContentTypes: types }),
  };
}

/** A list of patterns for just those types that both lists have; undefined stands for all. */
function intersectTypes(
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
): readonly string[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const common = a.flatMap((one) => b.flatMap((other) => narrower(one.toLowerCase(), other.toLowerCase()) ?? []));
  return [...new Set(common)];
}

/** Of two patterns, of which one has all types of the other or they have none in common. */
function narrower(one: string, other: string): string | undefined {
  if (covers(one, other)) return other;
  return covers(other, one) ? one : undefined;
}

function covers(pattern: string, other: string): boolean {
  if (pattern === '*/*' || pattern === other) return true;
  return pattern.endsWith('/*') && other.startsWith(pattern.slice(0, -1));
}
