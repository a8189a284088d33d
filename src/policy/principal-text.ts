// What a template may hold of a request's sender: nothing but what authentication has verified.
import { findClaim } from '../auth/find-claim.ts';
import type { Principal } from '../auth/principal.ts';
import { S3Error } from '../errors.ts';

/**
 * @param name `sub`, or the dotted path of a claim.
 * @returns text as it is, and whole numbers in decimal.
 * @throws S3Error AccessDenied for what is absent, empty, or anything else.
 */
export function principalText(principal: Principal, name: string): string {
  const value = find(principal, name);
  if (typeof value === 'string' && value !== '' && value.isWellFormed()) return value;
  // Past 2^53 two different numbers of a token are one and the same here.
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  throw unfit(name, 'is absent, or no text and no whole number');
}

/** @returns the refusal of a sender whose claim cannot stand where the bucket puts it. */
export function unfit(name: string, fault: string): S3Error {
  return new S3Error('AccessDenied', { cause: new Error(`{${name}} ${fault}`) });
}

function find(principal: Principal, name: string): unknown {
  if (principal.kind === 'anonymous') return undefined;
  if (name === 'sub') return principal.subject;
  return principal.kind === 'jwt' ? findClaim(principal.claims, name) : undefined;
}
