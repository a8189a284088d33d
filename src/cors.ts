// Which pages of other origins may send to a bucket and read its answers: preflights, and the fields on every answer.
// Source: Fetch Standard, section "HTTP-CORS protocol"; Amazon S3 API Reference, "OPTIONS object".
import type { CorsConfig } from './config/config.ts';
import { S3Error } from './errors.ts';
import type { HttpRequest, HttpResponse, RequestHeaders } from './http.ts';

export type CorsRequest = Pick<HttpRequest, 'method' | 'headers'>;

export interface CorsPolicy {
  /**
   * The fields for every answer of the bucket, whatever its status: a refusal that the page may not read is told to its user as
   * a network error. For an origin that is not allowed it is Vary alone, and the browser keeps the answer from the page.
   */
  fieldsFor(request: CorsRequest): HttpResponse['headers'];
  /** The answer to a preflight, less the fields of `fieldsFor`. @throws S3Error AccessForbidden. */
  answerPreflight(headers: RequestHeaders): HttpResponse;
  /** Whether pages of the origin may send the visitor's cookies along. */
  allowsCredentials(origin: string): boolean;
}

/** What this proxy serves, and no more: in the order in which people look for them. */
const methods = ['PUT', 'POST', 'GET', 'DELETE', 'HEAD'];

/** Each by its name: a wildcard would be taken literally where credentials are sent. */
const exposedHeaders = [
  'ETag',
  'Location',
  'Retry-After',
  'x-amz-request-id',
  'x-amz-version-id',
  'x-amz-bucket-region',
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-crc64nvme',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
  'x-amz-checksum-type',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-server-side-encryption-context',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-server-side-encryption-customer-key-MD5',
  'x-amz-expiration',
  'x-amz-abort-date',
  'x-amz-abort-rule-id',
  'x-mizuchi-key',
  'x-mizuchi-trace-id',
].join(', ');

/** The answer depends on them even where nothing is allowed: a cache must not show one origin what another one was told. */
const varyByOrigin = ['Vary', 'Origin'] as const;
const varyByPreflight = ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'] as const;

/** What `*` in the host of an origin stands for: one label or more, so that nothing can end the host or come before it. */
const labels = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** A preflight carries no credentials, by the Fetch Standard: it is answered before they are asked for. */
export function isPreflight({ method, headers }: CorsRequest): boolean {
  return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method');
}

/** @param policy of the bucket. @throws S3Error AccessForbidden. */
export function answerPreflight(policy: CorsPolicy | undefined, headers: RequestHeaders): HttpResponse {
  if (policy !== undefined) return policy.answerPreflight(headers);
  throw new S3Error('AccessForbidden', { detail: 'CORSResponse: CORS is not enabled for this bucket.' });
}

/**
 * For requests that a cookie alone lets in. Browsers send some of a foreign page's without a preflight (`POST ?uploads` is one),
 * and the visitor's cookies with them. What has no Origin is of no page, or a GET or HEAD, which changes nothing (Fetch
 * Standard, section "Origin header").
 * @throws S3Error AccessForbidden unless the page is of the host that is asked, or its origin may send credentials.
 */
export function refuseForeignPage(
  policy: CorsPolicy | undefined,
  { headers, host }: Pick<HttpRequest, 'headers' | 'host'>,
): void {
  const origin = headers.get('origin');
  if (origin === undefined || isOriginOf(host, origin) || policy?.allowsCredentials(origin) === true) return;
  throw new S3Error('AccessForbidden', { detail: 'A page of this origin may not upload with a cookie.' });
}

/** Whatever the scheme: a proxy in front that nobody was told of may have taken TLS off. */
function isOriginOf(host: string, origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: pageHost } = new URL(origin);
  const own = `${protocol}//${host}`;
  return pageHost !== '' && URL.canParse(own) && new URL(own).host === pageHost;
}

export function createCorsPolicy(config: CorsConfig): CorsPolicy {
  const findGrant = createGrantFinder(config);
  const isAllowedHeader = createHeaderMatcher(config.allowedHeaders);
  const exposed = ['Access-Control-Expose-Headers', exposedHeaders] as const;

  return {
    fieldsFor(request) {
      const grant = findGrant(request.headers.get('origin'));
      if (isPreflight(request)) return [...(grant ?? []), varyByPreflight];
      return grant === undefined ? [varyByOrigin] : [...grant, exposed, varyByOrigin];
    },
    answerPreflight(headers) {
      const method = headers.get('access-control-request-method') ?? '';
      const requested = splitList(headers.get('access-control-request-headers') ?? '');
      const isAllowed =
        findGrant(headers.get('origin')) !== undefined && methods.includes(method) && requested.every(isAllowedHeader);
      if (!isAllowed) throw new S3Error('AccessForbidden');
      const fields: [string, string][] = [
        ['Access-Control-Allow-Methods', methods.join(', ')],
        ['Access-Control-Max-Age', String(config.maxAgeSeconds)],
      ];
      // By their names, though `*` might be allowed: that would not cover Authorization (Fetch Standard, "CORS non-wildcard
      // request-header name").
      if (requested.length > 0) fields.push(['Access-Control-Allow-Headers', requested.join(', ')]);
      return { status: 204, headers: fields };
    },
    allowsCredentials: (origin) => findGrant(origin)?.includes(credentialsField) === true,
  };
}

type Grant = readonly (readonly [name: string, value: string])[];

const credentialsField = ['Access-Control-Allow-Credentials', 'true'] as const;

/** Credentials are for origins that are listed by name; `null` is the name of every sandboxed page, so it names none. */
function createGrantFinder({
  allowedOrigins,
  allowCredentials,
}: CorsConfig): (origin: string | undefined) => Grant | undefined {
  const listed = new Set(allowedOrigins.filter((origin) => !origin.includes('*')));
  const patterns = allowedOrigins.filter((origin) => origin.includes('*') && origin !== '*').map(compileOriginPattern);
  const toAll: Grant | undefined = allowedOrigins.includes('*') ? [['Access-Control-Allow-Origin', '*']] : undefined;

  return (origin) => {
    if (origin === undefined) return undefined;
    const toThis = ['Access-Control-Allow-Origin', origin] as const;
    const isListed = listed.has(origin);
    if (isListed && allowCredentials && origin !== 'null') {
      return [toThis, credentialsField];
    }
    if (toAll !== undefined) return toAll;
    return isListed || patterns.some((matches) => matches(origin)) ? [toThis] : undefined;
  };
}

function compileOriginPattern(pattern: string): (origin: string) => boolean {
  const [before, after] = cutAtWildcard(pattern);
  return (origin) =>
    origin.startsWith(before) &&
    origin.endsWith(after) &&
    labels.test(origin.slice(before.length, origin.length - after.length));
}

function createHeaderMatcher(patterns: readonly string[]): (name: string) => boolean {
  const listed = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const cut = patterns.filter((pattern) => pattern.includes('*')).map(cutAtWildcard);
  return (name) =>
    token.test(name) &&
    (listed.has(name) ||
      cut.some(
        ([before, after]) =>
          name.length >= before.length + after.length && name.startsWith(before) && name.endsWith(after),
      ));
}

function cutAtWildcard(pattern: string): readonly [before: string, after: string] {
  const at = pattern.indexOf('*');
  return [pattern.slice(0, at), pattern.slice(at + 1)];
}

/** Members in lower case; empty ones do not count (RFC 9110, section 5.6.1.2). */
function splitList(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}
