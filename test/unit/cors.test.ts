// Which origins may do what, and what browsers are told of it.
import { describe, expect, test } from 'vitest';
import type { CorsConfig } from '../../src/config/config.ts';
import { answerPreflight, createCorsPolicy, isPreflight, refuseForeignPage, type CorsRequest } from '../../src/cors.ts';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders, type HttpResponse } from '../../src/http.ts';

const listed = 'https://app.example.com';

function policyOf(config: Partial<CorsConfig> = {}) {
  return createCorsPolicy({
    allowedOrigins: [listed],
    allowedHeaders: ['*'],
    maxAgeSeconds: 600,
    allowCredentials: false,
    ...config,
  });
}

function requestOf(method: string, fields: Readonly<Record<string, string | undefined>>): CorsRequest {
  const list = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  return { method, headers: new RequestHeaders(list) };
}

const putFrom = (origin: string | undefined) => requestOf('PUT', { origin });
/** Each field once: a browser takes two of one name for none. */
function toMap(fields: HttpResponse['headers']): Map<string, string> {
  const map = new Map(fields.map(([name, value]) => [name.toLowerCase(), value]));
  expect(map.size).toBe(fields.length);
  return map;
}
const fieldsFor = (config: Partial<CorsConfig>, origin: string | undefined) =>
  toMap(policyOf(config).fieldsFor(putFrom(origin)));
const isAllowed = (allowedOrigins: readonly string[], origin: string | undefined) =>
  fieldsFor({ allowedOrigins }, origin).has('access-control-allow-origin');

interface Asked {
  readonly origin?: string;
  readonly method?: string;
  readonly headers?: string;
}
const preflightOf = ({ origin = listed, method = 'PUT', headers }: Asked) =>
  requestOf('OPTIONS', {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': headers,
  });
function preflight(config: Partial<CorsConfig>, asked: Asked = {}): { status: number; fields: Map<string, string> } {
  const policy = policyOf(config);
  const request = preflightOf(asked);
  const answer = answerPreflight(policy, request.headers);
  return { status: answer.status, fields: toMap([...answer.headers, ...policy.fieldsFor(request)]) };
}
function refusalOf(config: Partial<CorsConfig>, asked: Asked): S3Error | undefined {
  try {
    answerPreflight(policyOf(config), preflightOf(asked).headers);
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

describe('origins', () => {
  test('one that is listed is allowed by its name, and answers vary by it', () => {
    const fields = fieldsFor({}, listed);
    expect(fields.get('access-control-allow-origin')).toBe(listed);
    expect(fields.get('vary')).toBe('Origin');
    expect(fields.has('access-control-allow-credentials')).toBe(false);
  });

  test.each([undefined, '', 'https://other.example.com', 'null', '*'])(
    '%j is not, and answers vary by it too',
    (origin) => {
      expect([...fieldsFor({}, origin)]).toEqual([['vary', 'Origin']]);
    },
  );

  test.each([
    'http://app.example.com',
    'https://app.example.com:443',
    'https://app.example.com:8443',
    'https://APP.example.com',
    'https://app.example.com/',
    'https://app.example.com.',
    'https://app.example.com.evil.com',
    'https://app.example.com@evil.com',
    'https://app.example.co',
    'https://app.example.com, https://evil.com',
    'https://evil.com, https://app.example.com',
    ' https://app.example.com',
  ])('%j is another origin', (origin) => {
    expect(isAllowed([listed], origin)).toBe(false);
  });

  test('* allows all, and says so without their names', () => {
    for (const origin of [listed, 'null', 'file://', 'anything at all']) {
      expect(fieldsFor({ allowedOrigins: ['*'] }, origin).get('access-control-allow-origin')).toBe('*');
    }
    expect([...fieldsFor({ allowedOrigins: ['*'] }, undefined)]).toEqual([['vary', 'Origin']]);
  });

  test('null is allowed by * or its own name only', () => {
    expect(isAllowed(['null'], 'null')).toBe(true);
    expect(isAllowed(['*'], 'null')).toBe(true);
    expect(isAllowed([listed, 'https://*', 'https://*.example.com', 'moz-extension://*'], 'null')).toBe(false);
  });
});

describe('patterns', () => {
  const pattern = 'https://*.example.com';
  test.each([
    'https://a.example.com',
    'https://a.b.c.example.com',
    'https://a-b_c.example.com',
    'https://1.example.com',
  ])('%s matches, and is named', (origin) => {
    expect(fieldsFor({ allowedOrigins: [pattern] }, origin).get('access-control-allow-origin')).toBe(origin);
  });

  test.each([
    'https://example.com',
    'https://.example.com',
    'https://..example.com',
    'https://a..example.com',
    'https://.a.example.com',
    'https://evil.com/.example.com',
    'https://evil.com?.example.com',
    'https://evil.com#.example.com',
    'https://evil.com\\.example.com',
    'https://evil.com@a.example.com',
    'https://evil.com:443.example.com',
    'https://evil.com%2f.example.com',
    'https://evil.com .example.com',
    'https://evil.com\t.example.com',
    'https://evil.com\n.example.com',
    'https://evil.com, https://a.example.com',
    'https://evil.com,a.example.com',
    'https://[::1].example.com',
    'https://*.example.com',
    'https://A.example.com',
    'https://ä.example.com',
    'https://example.com.evil.com',
    'https://a.example.com.evil.com',
    'https://a.example.com.',
    'https://a.example.com/',
    'https://a.example.com:8443',
    'https://evilexample.com',
    'https://a.evilexample.com',
    'http://a.example.com',
    'xhttps://a.example.com',
    'https:///a.example.com',
  ])('%j does not match', (origin) => {
    expect(isAllowed([pattern], origin)).toBe(false);
  });

  test('one inside a label, one with a port, one for every host of a scheme', () => {
    expect(isAllowed(['https://pr-*.example.com'], 'https://pr-12.example.com')).toBe(true);
    expect(isAllowed(['https://pr-*.example.com'], 'https://pr-.example.com')).toBe(false);
    expect(isAllowed(['https://pr-*.example.com'], 'https://pr-a/.example.com')).toBe(false);
    expect(isAllowed(['http://*.localhost:3000'], 'http://a.localhost:3000')).toBe(true);
    expect(isAllowed(['http://*.localhost:3000'], 'http://a.localhost')).toBe(false);
    expect(isAllowed(['https://*'], 'https://a.example')).toBe(true);
    expect(isAllowed(['https://*'], 'https://a.example:8443')).toBe(false);
    expect(isAllowed(['https://*'], 'http://a.example')).toBe(false);
    // Where what stands before and after the * overlaps, nothing is left for it.
    expect(isAllowed(['https://a.*.a.example'], 'https://a.a.example')).toBe(false);
  });

  test('a long origin takes no long time', () => {
    const origin = `https://${'a.'.repeat(500_000)}!.example.com`;
    const startedAt = performance.now();
    expect(isAllowed([pattern], origin)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('credentials', () => {
  test('are allowed to listed origins by name', () => {
    const fields = fieldsFor({ allowCredentials: true }, listed);
    expect(fields.get('access-control-allow-origin')).toBe(listed);
    expect(fields.get('access-control-allow-credentials')).toBe('true');
  });

  test.each([
    ['*', listed],
    ['https://*.example.com', listed],
    ['null', 'null'],
    [listed, 'https://other.example.com'],
  ])('are not allowed by %s to %s', (entry, origin) => {
    const fields = fieldsFor({ allowedOrigins: [entry], allowCredentials: true }, origin);
    expect(fields.has('access-control-allow-credentials')).toBe(false);
  });
});

describe('pages that come with a cookie', () => {
  const isLetIn = (host: string, origin: string | undefined, config?: Partial<CorsConfig>): boolean => {
    try {
      refuseForeignPage(config && policyOf(config), { host, headers: putFrom(origin).headers });
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'AccessForbidden', status: 403 });
      return false;
    }
  };

  test.each([
    ['up.example', 'https://up.example'],
    ['up.example', 'http://up.example'],
    ['UP.example:443', 'https://up.example'],
    ['up.example:8443', 'https://up.example:8443'],
    ['[::1]:8080', 'http://[::1]:8080'],
    ['up.example', undefined],
  ])('to %s from %s', (host, origin) => {
    expect(isLetIn(host, origin)).toBe(true);
  });

  test.each([
    ['up.example', 'https://evil.example'],
    ['up.example', 'https://up.example.evil.example'],
    ['up.example', 'https://sub.up.example'],
    ['up.example:8443', 'https://up.example'],
    ['up.example', 'null'],
    ['up.example', ''],
    ['up.example', 'https://up.example, https://evil.example'],
    ['', 'null'],
    ['', 'file://'],
    ['', 'https://evil.example'],
  ])('not to %j from %j', (host, origin) => {
    expect(isLetIn(host, origin)).toBe(false);
  });

  test('of other origins only where those may send credentials', () => {
    expect(isLetIn('up.example', listed, { allowCredentials: true })).toBe(true);
    expect(isLetIn('up.example', listed, {})).toBe(false);
    for (const allowedOrigins of [['*'], ['https://*.example.com'], ['null']]) {
      expect(isLetIn('up.example', listed, { allowedOrigins, allowCredentials: true })).toBe(false);
      expect(isLetIn('up.example', 'null', { allowedOrigins, allowCredentials: true })).toBe(false);
    }
  });
});

describe('what a page may read', () => {
  const exposed = (fieldsFor({}, listed).get('access-control-expose-headers') ?? '').split(', ');
  test.each(['ETag', 'Location', 'Retry-After', 'x-amz-request-id', 'x-amz-version-id', 'x-amz-expiration'])(
    '%s',
    (name) => {
      expect(exposed).toContain(name);
    },
  );

  test.each(['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256', 'type'])('x-amz-checksum-%s', (name) => {
    expect(exposed).toContain(`x-amz-checksum-${name}`);
  });

  test('each is listed, because a wildcard does not hold with credentials', () => {
    expect(exposed.join('')).not.toContain('*');
    expect(new Set(exposed).size).toBe(exposed.length);
    expect(exposed).toEqual(
      expect.arrayContaining(['x-mizuchi-key', 'x-mizuchi-trace-id', 'x-amz-server-side-encryption']),
    );
  });
});

describe('preflights', () => {
  test('what is one', () => {
    expect(isPreflight(preflightOf({}))).toBe(true);
    expect(isPreflight({ ...preflightOf({}), method: 'PUT' })).toBe(false);
    expect(isPreflight(requestOf('OPTIONS', { origin: listed }))).toBe(false);
    expect(isPreflight(requestOf('OPTIONS', { 'access-control-request-method': 'PUT' }))).toBe(false);
  });

  test('one that is allowed', () => {
    const { status, fields } = preflight({}, { headers: 'authorization,content-type,x-amz-meta-a' });
    expect(status).toBe(204);
    expect([...fields]).toEqual([
      ['access-control-allow-methods', 'PUT, POST, GET, DELETE, HEAD'],
      ['access-control-max-age', '600'],
      ['access-control-allow-headers', 'authorization, content-type, x-amz-meta-a'],
      ['access-control-allow-origin', listed],
      ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ]);
  });

  test('one without header names is told none', () => {
    expect(preflight({}).fields.has('access-control-allow-headers')).toBe(false);
    expect(preflight({}, { headers: '' }).fields.has('access-control-allow-headers')).toBe(false);
    expect(preflight({}, { headers: ' , ,' }).fields.has('access-control-allow-headers')).toBe(false);
  });

  test('any origin, credentials, and how long it holds', () => {
    expect(preflight({ allowedOrigins: ['*'] }).fields.get('access-control-allow-origin')).toBe('*');
    expect(preflight({ allowCredentials: true }).fields.get('access-control-allow-credentials')).toBe('true');
    expect(preflight({ maxAgeSeconds: 0 }).fields.get('access-control-max-age')).toBe('0');
  });

  test.each(['PUT', 'POST', 'GET', 'DELETE', 'HEAD'])('%s is allowed', (method) => {
    expect(preflight({}, { method }).status).toBe(204);
  });

  test.each(['PATCH', 'OPTIONS', 'put', 'PUT, POST', '', '*'])('%j is not', (method) => {
    expect(refusalOf({}, { method })).toMatchObject({ code: 'AccessForbidden', status: 403 });
  });

  test('an origin that is not allowed is refused, and is told only by what the answer varies', () => {
    const asked = { origin: 'https://evil.example' };
    expect(refusalOf({}, asked)).toMatchObject({ code: 'AccessForbidden', status: 403 });
    expect([...toMap(policyOf().fieldsFor(preflightOf(asked)))]).toEqual([
      ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ]);
  });

  test('a bucket without CORS says so', () => {
    expect(() => answerPreflight(undefined, preflightOf({}).headers)).toThrow(
      expect.objectContaining({
        code: 'AccessForbidden',
        message: 'CORSResponse: CORS is not enabled for this bucket.',
      }),
    );
  });
});

describe('header names', () => {
  const allowedHeaders = ['authorization', 'x-amz-*', '*-md5', 'x-*-id'];
  test.each([
    'authorization',
    'Authorization',
    'x-amz-date',
    'X-Amz-Meta-A',
    'x-amz-',
    'content-md5',
    'x-trace-id',
    'x--id',
  ])('%s is allowed', (headers) => {
    expect(preflight({ allowedHeaders }, { headers }).fields.get('access-control-allow-headers')).toBe(
      headers.toLowerCase(),
    );
  });

  test.each(['content-type', 'x-amz', 'authorization2', 'x-id', 'content-md5s', 'authorization, content-type'])(
    '%s is not',
    (headers) => {
      expect(refusalOf({ allowedHeaders }, { headers })?.code).toBe('AccessForbidden');
    },
  );

  test.each(['a b', 'x-amz-a:b', 'x-amz-ä', 'x-amz-a;b', 'x-amz-\0', '"x-amz-a"'])(
    '%j is no name, whatever is allowed',
    (headers) => {
      expect(refusalOf({ allowedHeaders: ['*', 'x-amz-*'] }, { headers })?.code).toBe('AccessForbidden');
    },
  );
});
