// What must be true of a token's claims, beyond what every token must hold.
import { RE2JS } from 're2js';
import type { ClaimRule } from '../../config/config.ts';
import { findClaim } from '../find-claim.ts';

/** @returns the path of a rule that does not hold, as configured, or undefined when all hold. */
export type ClaimsCheck = (claims: Readonly<Record<string, unknown>>) => string | undefined;

/** @throws Error for a pattern that is not RE2's. */
export function createClaimsCheck(rules: readonly ClaimRule[]): ClaimsCheck {
  const compiled = rules.map((rule) => ({ path: rule.claim, conditions: toConditions(rule) }));
  return (claims) =>
    compiled.find(({ path, conditions }) => {
      const value = findClaim(claims, path);
      return !conditions.every((holds) => holds(value));
    })?.path;
}

type Condition = (value: unknown) => boolean;

/** A claim that is absent meets none of them but `exists: false`; without any operator it must be there. */
function toConditions({ equals, contains, in: values, matches, gt, lt, exists }: ClaimRule): readonly Condition[] {
  const conditions: Condition[] = [];
  if (equals !== undefined) conditions.push((value) => value === equals);
  if (contains !== undefined) {
    conditions.push((value) => {
      if (Array.isArray(value)) return value.includes(contains);
      // RFC 6749, section 3.3: a scope is a list of words between spaces.
      return typeof value === 'string' && typeof contains === 'string' && value.split(' ').includes(contains);
    });
  }
  if (values !== undefined) conditions.push((value) => values.some((one) => value === one));
  if (matches !== undefined) {
    const pattern = RE2JS.compile(matches);
    conditions.push((value) => typeof value === 'string' && pattern.matches(value));
  }
  if (gt !== undefined) conditions.push((value) => typeof value === 'number' && Number.isFinite(value) && value > gt);
  if (lt !== undefined) conditions.push((value) => typeof value === 'number' && Number.isFinite(value) && value < lt);
  if (exists === false) conditions.push(isAbsent);
  else if (exists === true || conditions.length === 0) conditions.push((value) => !isAbsent(value));
  return conditions;
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;
