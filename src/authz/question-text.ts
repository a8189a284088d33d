// A question as text: each part written once, in one way only, for engines and for the memory of decisions.
import type { Principal } from '../auth/principal.ts';
import type { Question } from './authorizer.ts';

/** A principal's claims are shared by all requests with one token, and ten thousand parts need not write them each. */
const principalTexts = new WeakMap<Principal, string>();

/**
 * The principal as JSON whose names are sorted at every depth: `{"kind":"jwt","claims":{…}}`,
 * `{"kind":"sigv4","access_key_id":"…"}` or `{"kind":"anonymous"}`, each with its `subject` where there is one.
 * @throws RangeError for claims that are nested too deep for JSON.stringify.
 */
export function writePrincipal(principal: Principal): string {
  const known = principalTexts.get(principal);
  if (known !== undefined) return known;
  const text = write(principal);
  // What is not frozen may yet become another.
  if (Object.isFrozen(principal)) principalTexts.set(principal, text);
  return text;
}

function write(principal: Principal): string {
  const { kind } = principal;
  switch (kind) {
    case 'anonymous':
      return JSON.stringify({ kind });
    case 'sigv4':
      return JSON.stringify({ kind, subject: principal.subject, access_key_id: principal.accessKeyId });
    case 'jwt':
      return JSON.stringify({ kind, subject: principal.subject, claims: principal.claims }, sortNames);
  }
}

function sortNames(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  // Assigned to, `__proto__` would be no name at all; and names that are whole numbers come first in every object.
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Tells questions apart by all that an engine is sent of them but the time, the upload id and the part number: equal texts are
 * equal questions.
 */
export function writeQuestion({ principal, action, resource, context }: Question): string {
  const rest = [
    action,
    resource.bucket,
    resource.key,
    resource.backendBucket,
    context.operation,
    context.method,
    context.clientIp,
    context.contentLength,
    context.contentType,
    context.userAgent,
    Object.entries(context.metadata).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ];
  // Two JSON texts, of which each ends by itself. What is absent is null here, which nothing else is.
  return writePrincipal(principal) + JSON.stringify(rest);
}

/** Whether a glance tells that both have one text. Where it does not, they may have one all the same. */
export function isSameQuestion(a: Question, b: Question): boolean {
  return (
    a.principal === b.principal &&
    Object.isFrozen(a.principal) &&
    a.action === b.action &&
    a.resource.bucket === b.resource.bucket &&
    a.resource.key === b.resource.key &&
    a.resource.backendBucket === b.resource.backendBucket &&
    a.context.operation === b.context.operation &&
    a.context.method === b.context.method &&
    a.context.clientIp === b.context.clientIp &&
    a.context.contentLength === b.context.contentLength &&
    a.context.contentType === b.context.contentType &&
    a.context.userAgent === b.context.userAgent &&
    // One object stands for none at all.
    a.context.metadata === b.context.metadata
  );
}
