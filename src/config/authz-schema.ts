// The shape of a bucket's authz block: the policy engines that are asked about every request.
import { z } from 'zod';
import { findPartFault, findUserFault } from '../authz/render-template.ts';
import { isMapping } from './rules-between-values.ts';
import { flag, integer, seconds, text, textWithout } from './scalars.ts';

function findEngineUrlFault(value: string): string | undefined {
  const fault = 'must be http:// or https:// with a host, perhaps a port and a path, and nothing else';
  return /^https?:\/\/[^\s?#@\\]+$/i.test(value) && URL.canParse(value) ? undefined : fault;
}

const engineUrl = () => textWithout(findEngineUrlFault);

/** Goes into a header field. */
const bearerToken = textWithout((token) =>
  /^[!-~]+$/.test(token) ? undefined : 'must be printable US-ASCII without spaces',
);

// Letters of package and rule names, and percent-encoding for others.
const policyPath = textWithout((path) => {
  if (!/^[\w/.~%-]+$/.test(path) || path.includes('//')) return 'must be names between slashes';
  const names = path.split('/');
  if (names.includes('.') || names.includes('..')) return 'must not hold . or .. as a name';
  return /^\/?(?:v1(?:\/data)?)?\/?$/.test(path) ? 'must name a rule, such as /v1/data/mizuchi/allow' : undefined;
});

const ulid = textWithout((id) => {
  if (/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) return undefined;
  // The same id by its specification, and another one for OpenFGA.
  if (/^[0-7][0-9a-hjkmnp-tv-z]{25}$/i.test(id)) return 'must have its letters in upper case, as OpenFGA gives it';
  return 'must be an id of 26 digits and letters, as OpenFGA gives it';
});

const engineKeys = {
  timeout_seconds: seconds(0.05, 60).prefault(5),
  cache_ttl_seconds: seconds(0, 24 * 3600).prefault(60),
  deny_cache_ttl_seconds: seconds(0, 24 * 3600).prefault(5),
  cache_max_entries: integer(1, 1_000_000).prefault(1000),
};

const opa = z.strictObject({
  url: engineUrl(),
  policy_path: policyPath.prefault('/v1/data/mizuchi/allow'),
  ...engineKeys,
  token: bearerToken.optional(),
  ca_file: text().optional(),
});

const actions = ['upload', 'abort', 'list_parts'] as const;

/** One value, or one for each action: of one that is left out nobody could say what was meant. */
const byAction = <Value extends z.ZodType>(value: Value, message: string) =>
  z.union([value, z.strictObject({ upload: value, abort: value, list_parts: value })], { error: message });

type FindFault = (template: string) => string | undefined;

const findRelationFault: FindFault = (template) => findPartFault('relation', template);
const findObjectFault: FindFault = (template) => findPartFault('object', template);

const oneTemplate = (find: FindFault) =>
  byAction(text(), 'must be text, or a mapping of upload, abort and list_parts, each of them').superRefine(
    (value, context) => {
      if (typeof value === 'string') addFault(context, find, value, []);
      else for (const action of actions) addFault(context, find, value[action], [action]);
    },
  );

const someTemplates = (find: FindFault) =>
  byAction(
    z.union([text(), z.array(text()).min(1)]),
    'must be text, a list of texts, or a mapping of upload, abort and list_parts, each of them',
  ).superRefine((value, context) => {
    if (typeof value === 'string' || Array.isArray(value)) addFaults(context, find, value, []);
    else for (const action of actions) addFaults(context, find, value[action], [action]);
  });

type Path = readonly (string | number)[];

function addFaults(context: z.RefinementCtx, find: FindFault, value: string | string[], path: Path): void {
  if (!Array.isArray(value)) addFault(context, find, value, path);
  else for (const [index, one] of value.entries()) addFault(context, find, one, [...path, index]);
}

function addFault(context: z.RefinementCtx, find: FindFault, value: string, path: Path): void {
  const message = find(value);
  if (message !== undefined) context.addIssue({ code: 'custom', path: [...path], message });
}

const tuple = z.strictObject({
  user: textWithout((template) => findPartFault('user', template)),
  relation: textWithout(findRelationFault),
  object: textWithout(findObjectFault),
});

const openfga = z
  .strictObject({
    url: engineUrl(),
    store_id: ulid,
    model_id: ulid.optional(),
    ...engineKeys,
    ca_file: text().optional(),
    api_token: bearerToken.optional(),
    client_credentials: z
      .strictObject({ issuer: text(), audience: text(), client_id: text(), client_secret: text() })
      .optional(),
    user: oneTemplate(findUserFault).prefault('user:{sub}'),
    relation: someTemplates(findRelationFault).prefault('writer'),
    object: someTemplates(findObjectFault).prefault('bucket:{bucket}'),
    contextual_tuples: z.array(tuple).prefault([]),
    consistency: z.enum(['minimize_latency', 'higher_consistency']).prefault('minimize_latency'),
  })
  .superRefine(
    (value, context) => {
      if (value.api_token === undefined || value.client_credentials === undefined) return;
      context.addIssue({ code: 'custom', path: ['api_token'], message: 'or client_credentials, not both' });
    },
    { when: isMapping },
  );

export const authz = z
  .strictObject({
    enabled: flag().prefault(true),
    fail_mode: z.enum(['closed', 'open']).prefault('closed'),
    opa: opa.optional(),
    openfga: openfga.optional(),
  })
  .superRefine(
    (value, context) => {
      if (!value.enabled || value.opa !== undefined || value.openfga !== undefined) return;
      const message = 'has neither opa nor openfga: there is nobody to ask (or set enabled: false)';
      context.addIssue({ code: 'custom', message });
    },
    { when: isMapping },
  );

type ByAction<Value> = Readonly<Record<(typeof actions)[number], Value>>;

/** Values of a setting that may be given once or by action. */
export function forActions<Value extends string | string[], Listed>(
  value: Value | ByAction<Value>,
  toListed: (value: Value) => Listed,
): ByAction<Listed> {
  const isByAction = (one: typeof value): one is ByAction<Value> => typeof one === 'object' && !Array.isArray(one);
  const { upload, abort, list_parts: listParts } = isByAction(value) ? value : forAll(value);
  return { upload: toListed(upload), abort: toListed(abort), list_parts: toListed(listParts) };
}

const forAll = <Value>(value: Value): ByAction<Value> => ({ upload: value, abort: value, list_parts: value });
