// What OPA's answer means: allowed, allowed within bounds, or refused; whatever is not one of these is a fault.
import { isMediaTypePattern } from '../media-type-pattern.ts';
import type { Decision, Obligations } from './authorizer.ts';
import { OpaFault } from './opa-client.ts';

const members: ReadonlySet<string> = new Set([
  'allow',
  'reason',
  'key_prefix',
  'max_object_size',
  'allowed_content_types',
]);

/**
 * `{ "result": true }`, `{ "result": { "allow": true, "reason": "…", "key_prefix": "…", "max_object_size": 1048576,
 * "allowed_content_types": ["image/*"] } }`, all but `allow` optional. No `result` is OPA's word for undefined: a refusal.
 * @throws OpaFault for anything else, a member that is not known included: it could be a bound with its name misspelt.
 */
export function readDecision(text: string): Decision {
  const answer = parse(text);
  if (!isObject(answer)) throw wrongAnswer('OPA answered no JSON object');
  if (!Object.hasOwn(answer, 'result')) return { allow: false, reason: 'undefined' };
  const { result } = answer;
  if (result === true) return { allow: true };
  if (result === false) return { allow: false };
  if (!isObject(result)) throw wrongAnswer('OPA’s result is neither a boolean nor an object');
  const unknown = Object.keys(result).find((name) => !members.has(name));
  if (unknown !== undefined) {
    const name = /^[a-z_]{1,40}$/.test(unknown) ? ` (${unknown})` : '';
    throw wrongAnswer(`OPA’s result has a member that is not known${name}`);
  }
  const { allow, reason, key_prefix: keyPrefix, max_object_size: maxBytes, allowed_content_types: types } = result;
  if (typeof allow !== 'boolean') throw wrongType('allow');
  if (reason !== undefined && typeof reason !== 'string') throw wrongType('reason');
  if (keyPrefix !== undefined && typeof keyPrefix !== 'string') throw wrongType('key_prefix');
  if (maxBytes !== undefined && !isSize(maxBytes)) throw wrongType('max_object_size');
  if (types !== undefined && !isTypes(types)) throw wrongType('allowed_content_types');
  if (!allow) return { allow, ...(reason === undefined ? {} : { reason }) };
  const obligations: Obligations = {
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    ...(maxBytes === undefined ? {} : { maxObjectBytes: maxBytes }),
    ...(types === undefined ? {} : { allowedContentTypes: types }),
  };
  return Object.keys(obligations).length === 0 ? { allow } : { allow, obligations };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrongAnswer('OPA answered no JSON');
  }
}

const wrongAnswer = (message: string): OpaFault => new OpaFault(message, 200);
const wrongType = (name: string): OpaFault => wrongAnswer(`OPA’s ${name} is not of its type`);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isTypes(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((type) => typeof type === 'string' && isMediaTypePattern(type));
}
