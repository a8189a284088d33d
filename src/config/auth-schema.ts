// The shape of a bucket's auth block: tokens and signatures.
import { z } from 'zod';
import { jwtAlgorithms, type JwtAlgorithm } from './config.ts';
import { isSubresource } from '../routing/subresources.ts';
import { findPatternFault } from './find-pattern-fault.ts';
import { findPublicKeyFault } from './find-public-key-fault.ts';
import { findSecretFault } from './find-secret-fault.ts';
import { isKeyDocument } from './is-key-document.ts';
import { isMapping } from './rules-between-values.ts';
import { flag, number, seconds, text, textWithout } from './scalars.ts';

const rounded = `must lie between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}: others are rounded`;

/** Beyond that several whole numbers are one here, and a rule for one of them would let in those beside it. */
const isExact = (value: unknown): boolean => typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER;

const claimValue = () =>
  z
    .union([z.string(), z.number(), z.boolean()], { error: 'must be text, a number or a boolean' })
    .refine(isExact, { error: `${rounded}; have the claim be text, and compare it as text` });

const claimBound = () => number().refine(isExact, { error: rounded });

const claimOperators = ['equals', 'contains', 'in', 'matches', 'gt', 'lt', 'exists'] as const;

const claimRule = z
  .strictObject({
    claim: text(),
    equals: claimValue().optional(),
    contains: claimValue().optional(),
    in: z.array(claimValue()).min(1).optional(),
    matches: textWithout(findPatternFault).optional(),
    gt: claimBound().optional(),
    lt: claimBound().optional(),
    exists: flag().optional(),
  })
  .superRefine(
    (value, context) => {
      if (claimOperators.some((operator) => value[operator] !== undefined)) return;
      context.addIssue({ code: 'custom', message: `needs one of ${claimOperators.join(', ')}` });
    },
    { when: isMapping },
  );

// RFC 9110, section 5.6.2; RFC 6265, section 4.1.1 has the same for a cookie's name.
const tokenName = textWithout((name) => (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ? undefined : 'must be a name'));

/** Parameters that S3 and its signatures use must keep their meaning. */
function findQueryNameFault(name: string): string | undefined {
  const isOfS3 =
    /^(?:x-amz-.*|x-id|uploads|uploadId|partNumber|versionId|max-parts|part-number-marker|location|signature|awsaccesskeyid)$/i.test(
      name,
    );
  return isOfS3 || isSubresource(name) ? 'must not be a name that S3 uses' : undefined;
}

/** Of such fields the token would be stored as metadata, sent to the backend, or mean something else besides. */
function findHeaderNameFault(name: string): string | undefined {
  if (name.toLowerCase() === 'authorization') return 'must not be Authorization: use bearer';
  const isTaken =
    /^(?:x-amz-.*|content-.*|if-.*|access-control-.*|accept.*|host|cookie|origin|referer|date|range|expect|expires|cache-control|user-agent|connection|transfer-encoding|te|trailer|upgrade|traceparent|tracestate)$/i.test(
      name,
    );
  return isTaken || isOfProxies(name) ? 'must not be a name that S3 or HTTP uses' : undefined;
}

/** By such fields proxies say who asks, and how. X-Forwarded-Access-Token is none of them: it holds the provider's token. */
function isOfProxies(name: string): boolean {
  return /^x-forwarded-(?:by|client-.*|email|for|groups|host|method|path|port|preferred-username|prefix|proto|protocol|scheme|server|ssl|tls-.*|uri|url|user)$/i.test(
    name,
  );
}

const tokenSource = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('bearer') }),
    z.strictObject({ type: z.literal('query'), name: textWithout(findQueryNameFault) }),
    z.strictObject({ type: z.literal('header'), name: textWithout(findHeaderNameFault).and(tokenName) }),
    z.strictObject({ type: z.literal('cookie'), name: tokenName }),
  ],
  { error: 'must have a type: bearer, query, header or cookie' },
);

const jwtAlgorithm = () =>
  z.enum(jwtAlgorithms, { error: 'must be one of HS256, HS384, HS512, RS…, PS…, ES… with 256, 384 or 512, and EdDSA' });

function findJwksUrlFault(value: string): string | undefined {
  if (!/^https?:\/\/[^\s#]+$/i.test(value) || !URL.canParse(value)) return 'must be an http:// or https:// URL';
  const { username, password } = new URL(value);
  return username === '' && password === '' ? undefined : 'must not hold a name or a password';
}

/** RFC 7518, section 3.2: a key of HMAC has at least as many bits as its digest. */
function leastSecretBytes(algorithms: readonly JwtAlgorithm[]): number {
  return Math.max(...algorithms.map((name) => (name.startsWith('HS') ? Number(name.slice(2)) / 8 : 0)));
}

/** Everybody may have a public key, and could sign tokens if it were the secret. */
function findJwtSecretFault(secret: string): string | undefined {
  if (isKeyDocument(secret)) return 'must not be a key in PEM, DER or JWK, which others may have: use public_key';
  return findSecretFault(secret);
}

const jwt = z
  .strictObject({
    algorithm: jwtAlgorithm().optional(),
    algorithms: z.array(jwtAlgorithm()).min(1).optional(),
    secret: textWithout(findJwtSecretFault).optional(),
    public_key: text().optional(),
    jwks_url: textWithout(findJwksUrlFault).optional(),
    cache_ttl_seconds: seconds(1).prefault(300),
    cooldown_seconds: seconds(0.1, 3600).prefault(10),
    max_stale_seconds: seconds(1).prefault(3600),
    fetch_timeout_seconds: seconds(0.1, 60).prefault(5),
    issuer: text().optional(),
    audience: z.union([text(), z.array(text()).min(1)], { error: 'must be text, or a list of texts' }).optional(),
    clock_skew_seconds: seconds(0, 3600).prefault(30),
    token_sources: z
      .array(tokenSource)
      .min(1)
      .prefault([{ type: 'bearer' }]),
    claims: z.array(claimRule).prefault([]),
  })
  .superRefine(checkJwtKey, { when: isMapping });

/** The key must be of the algorithms' kind: an HMAC keyed with a public key is one that everybody can make. */
function checkJwtKey(value: JwtBlock, context: z.RefinementCtx): void {
  const fault = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  const keys = (['secret', 'public_key', 'jwks_url'] as const).filter((key) => value[key] !== undefined);
  const [key] = keys;
  if (key === undefined || keys.length > 1) {
    fault(key === undefined ? ['secret'] : [], 'needs exactly one of secret, public_key and jwks_url');
    return;
  }
  if (value.algorithm !== undefined && value.algorithms !== undefined) fault(['algorithm'], 'or algorithms, not both');
  const algorithms = findJwtAlgorithms(value);
  if (algorithms === undefined) {
    fault(['algorithms'], `is required beside ${key}`);
    return;
  }
  // What is not of its type is a fault already.
  if (!Array.isArray(algorithms) || !algorithms.every((name: JwtAlgorithm) => jwtAlgorithms.includes(name))) return;
  const at = value.algorithms === undefined ? 'algorithm' : 'algorithms';
  const isFit = algorithms.every((name) => name.startsWith('HS') === (key === 'secret'));
  if (!isFit)
    fault([at], key === 'secret' ? 'must be HS256, HS384 or HS512 for a secret' : `must not be HS… for ${key}`);
  else if (typeof value.public_key === 'string') {
    const message = findPublicKeyFault(value.public_key, algorithms);
    if (message !== undefined) fault(['public_key'], message);
  } else if (typeof value.secret === 'string' && findJwtSecretFault(value.secret) === undefined) {
    const message = findSecretFault(value.secret, leastSecretBytes(algorithms));
    if (message !== undefined) fault(['secret'], message);
  }
}

interface JwtBlock {
  readonly algorithm?: JwtAlgorithm | undefined;
  readonly algorithms?: readonly JwtAlgorithm[] | undefined;
  readonly secret?: string | undefined;
  readonly public_key?: string | undefined;
  readonly jwks_url?: string | undefined;
}

/** HS256 is meant where there is a secret and nothing is said; for other keys nothing is. */
export function findJwtAlgorithms({ algorithm, algorithms, secret }: JwtBlock): readonly JwtAlgorithm[] | undefined {
  if (algorithms !== undefined) return algorithms;
  if (algorithm !== undefined) return [algorithm];
  return secret === undefined ? undefined : ['HS256'];
}

// Goes into the Credential of a request, which is divided by slashes and commas.
const accessKey = textWithout((key) =>
  /^[\w.+=@-]{3,128}$/.test(key) ? undefined : 'may hold 3 to 128 letters, digits, and _ . + = @ -',
);
const sigV4Secret = textWithout((secret) => findSecretFault(secret, 16));
/** Of a credential scope: no slash, comma or space. */
const scopeWord = textWithout((word) =>
  /^[\w.-]{1,64}$/.test(word) ? undefined : 'may hold letters, digits, and _ . -',
);

const sigV4Credential = z.strictObject({
  access_key: accessKey,
  secret_key: sigV4Secret,
  session_token: text().optional(),
  expiration: z.iso.datetime({ offset: true, error: 'must be a time such as 2026-12-31T23:59:59Z' }).optional(),
  subject: text().optional(),
});

const sigv4 = z
  .strictObject({
    access_key: accessKey.optional(),
    secret_key: sigV4Secret.optional(),
    credentials: z.array(sigV4Credential).min(1).optional(),
    region: scopeWord.prefault('us-east-1'),
    service: scopeWord.prefault('s3'),
    max_clock_skew_seconds: seconds(1, 24 * 3600).prefault(900),
    reject_replays: flag().prefault(false),
    allow_unsigned_payload: flag().prefault(true),
  })
  .superRefine(
    (value, context) => {
      const { access_key: key, secret_key: secret, credentials } = value;
      if ((key === undefined) !== (secret === undefined)) {
        const path = [key === undefined ? 'access_key' : 'secret_key'];
        context.addIssue({ code: 'custom', path, message: 'is required beside the other' });
      } else if ((key === undefined) === (credentials === undefined)) {
        context.addIssue({ code: 'custom', message: 'needs access_key and secret_key, or credentials' });
      }
      // Whoever sees a request knows the access key.
      const same = { code: 'custom', message: 'must not be the access key itself' } as const;
      if (key !== undefined && key === secret) context.addIssue({ ...same, path: ['secret_key'] });
      if (!Array.isArray(credentials)) return;
      const keys = credentials.map((one: Partial<z.input<typeof sigV4Credential>> | null) => one?.access_key);
      for (const [index, one] of keys.entries()) {
        if (one !== undefined && one === credentials[index]?.secret_key)
          context.addIssue({ ...same, path: ['credentials', index, 'secret_key'] });
        if (one === undefined || keys.indexOf(one) === index) continue;
        const path = ['credentials', index, 'access_key'];
        context.addIssue({ code: 'custom', path, message: `is that of credentials[${keys.indexOf(one)}] already` });
      }
    },
    { when: isMapping },
  );

export const auth = z
  .strictObject({ enabled: flag().prefault(true), jwt: jwt.optional(), sigv4: sigv4.optional() })
  .superRefine(
    (value, context) => {
      if (!value.enabled || value.jwt !== undefined || value.sigv4 !== undefined) return;
      context.addIssue({
        code: 'custom',
        message: 'has neither jwt nor sigv4: nobody could upload (or set enabled: false)',
      });
    },
    { when: isMapping },
  );
