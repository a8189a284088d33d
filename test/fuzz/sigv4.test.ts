// Our verification beside the AWS SDK's signer, on anything that a client may send; beside what somebody may change on the
// way; and on what is no signature at all.
import { SignatureV4 } from '@smithy/signature-v4';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.ts';
import type { AuthRequest } from '../../src/auth/authentication.ts';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';
import { Sha256 } from '../support/smithy-sha256.ts';
import { accessKey, secretKey, signedByHeader, signedByQuery, sigv4Config } from '../support/sigv4.ts';

const replays = { claim() {}, async close() {} };
const authenticatorOf = (secret: string, sessionToken?: string) => {
  const credential = {
    accessKey,
    secretKey: secret,
    subject: 's',
    ...(sessionToken !== undefined && { sessionToken }),
  };
  return createAuthenticator({ enabled: true, sigv4: { ...sigv4Config, credentials: [credential] } }, { replays });
};
const authenticate = authenticatorOf(secretKey);

/** @returns the code of the refusal, or `accepted`. @throws whatever is no S3Error. */
async function outcomeOf(request: AuthRequest, by = authenticate): Promise<string> {
  try {
    await by(request);
    return 'accepted';
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const wellFormed = (text: string): boolean => text.isWellFormed();
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter(wellFormed);
const value = fc.string({ maxLength: 20 }).map((ascii) => ascii.replaceAll(/[^\t -~]/g, ''));
const fieldName = fc.constantFrom('content-type', 'content-md5', 'x-amz-meta-a', 'x-amz-meta-a-b', 'x-amz-tagging');

const anyRequest = fc.record({
  method: fc.constantFrom('PUT', 'POST', 'DELETE', 'GET'),
  segments: fc.array(text, { minLength: 1, maxLength: 4 }),
  query: fc.dictionary(
    fc.oneof(
      fc.constantFrom('uploadId', 'partNumber', 'x-id', 'uploads'),
      text.filter((name) => !/^(x-amz-|__proto__$)/i.test(name)),
    ),
    text,
    { maxKeys: 4 },
  ),
  fields: fc.dictionary(fieldName, value, { maxKeys: 4 }),
  sessionToken: fc.option(fc.base64String({ minLength: 4, maxLength: 40 }), { nil: undefined }),
  secret: fc.string({ minLength: 1, maxLength: 45 }),
  offsetSeconds: fc.integer({ min: -890, max: 890 }),
  isSpeltAnew: fc.boolean(),
  seed: fc.nat(),
});

/** Another spelling of the same: escapes in lower case, unreserved characters escaped, others as they are. */
function spellAnew(encoded: string, seed: number): string {
  let state = seed;
  return encoded.replaceAll(/%[0-9A-F]{2}|[A-Za-z0-9]/g, (piece) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    if (state % 3 !== 0) return piece;
    if (piece.length === 1) return `%${piece.charCodeAt(0).toString(16)}`;
    const character = String.fromCharCode(Number.parseInt(piece.slice(1), 16));
    return /[!'()*+,:;@$]/.test(character) ? character : piece.toLowerCase();
  });
}

describe('what the SDK signs is accepted', () => {
  const host = 's3.example:9000';

  function signerOf({ secret, sessionToken }: { secret: string; sessionToken: string | undefined }) {
    const credentials = {
      accessKeyId: accessKey,
      secretAccessKey: secret,
      ...(sessionToken !== undefined && { sessionToken }),
    };
    return new SignatureV4({ service: 's3', region: 'us-east-1', credentials, sha256: Sha256, uriEscapePath: false });
  }

  function toAuthRequest(
    signed: { method: string; path: string; query?: unknown; headers: Record<string, string> },
    respell: (encoded: string) => string,
  ): AuthRequest {
    const query = Object.entries((signed.query ?? {}) as Record<string, string>).map(
      // The SDK spells its own parameters; other clients may spell others.
      ([name, value]) =>
        name.startsWith('X-Amz-') ? `${name}=${encode(value)}` : `${respell(encode(name))}=${respell(encode(value))}`,
    );
    const headers = Object.entries(signed.headers).flatMap(([name, value]) => [name.toLowerCase(), value]);
    return {
      method: signed.method,
      rawPath: respell(signed.path),
      rawQuery: query.toReversed().join('&'),
      headers: new RequestHeaders(headers),
      host,
    };
  }

  test.each(['in the header', 'in the query'])('%s', async (form) => {
    await fc.assert(
      fc.asyncProperty(
        anyRequest,
        async ({ method, segments, query, fields, secret, sessionToken, offsetSeconds, ...more }) => {
          const path = `/${segments.map((segment) => encode(segment)).join('/')}`;
          const isHeader = form === 'in the header';
          const hash = isHeader
            ? { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }
            : { 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' };
          const request = {
            method,
            protocol: 'http:',
            hostname: 's3.example',
            port: 9000,
            path,
            query: isHeader ? query : { ...query, ...hash },
            headers: { ...fields, host, ...(isHeader && hash) } as Record<string, string>,
          };
          const nowSeconds = Math.floor(Date.now() / 1000);
          const signingDate = new Date((nowSeconds + offsetSeconds) * 1000);
          const signer = signerOf({ secret, sessionToken });
          // The SDK hashes the empty body where it is not told otherwise; a presigned URL says it in its query.
          const signed = isHeader
            ? await signer.sign(request, { signingDate })
            : await signer.presign(
                { ...request, headers: { ...request.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
                {
                  signingDate,
                  expiresIn: 900,
                  unsignableHeaders: new Set(['x-amz-content-sha256']),
                  unhoistableHeaders: new Set(['x-amz-content-sha256']),
                },
              );
          const sent = isHeader ? signed : { ...signed, headers: withoutHash(signed.headers) };
          const respell = (encoded: string) => (more.isSpeltAnew ? spellAnew(encoded, more.seed) : encoded);
          expect(await outcomeOf(toAuthRequest(sent, respell), authenticatorOf(secret, sessionToken))).toBe('accepted');
          const wrong = authenticatorOf(`${secret}x`, sessionToken);
          expect(await outcomeOf(toAuthRequest(sent, respell), wrong)).toBe('SignatureDoesNotMatch');
        },
      ),
      { numRuns: 1500 },
    );
  });

  function withoutHash(headers: Record<string, string>): Record<string, string> {
    return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'x-amz-content-sha256'));
  }
});

describe('one bit that is changed on the way', () => {
  const now = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const when = { timestamp: `${now}Z`, scope: `${now.slice(0, 8)}/us-east-1/s3/aws4_request` };
  const fields = { 'content-type': 'text/plain; a=b', 'x-amz-meta-a': 'one  two', 'x-amz-storage-class': 'STANDARD' };
  const signedFields = { ...fields, 'x-amz-meta-a': 'one two' };
  const target = { rawPath: '/bucket/a%20b/%E3%83%9F~c', rawQuery: 'partNumber=1&uploadId=x%2Fy' };
  const byHeader = signedByHeader({ ...when, ...target, fields: signedFields });
  const byQuery = signedByQuery({ ...when, ...target, fields: signedFields });

  /** What the request means; what is changed without changing this may be accepted. */
  function meaningOf({ method, rawPath, rawQuery, headers, host }: AuthRequest): string {
    const path = rawPath.split('/').map((segment) => decodeURIComponent(segment));
    const query = rawQuery
      .split('&')
      .filter((piece) => piece !== '')
      .map((piece) => {
        const [name = '', ...rest] = piece.split('=');
        return [decodeURIComponent(name), decodeURIComponent(rest.join('='))].join('\n');
      })
      .toSorted();
    const sent = [...headers].map(([name, value]) => [
      name,
      name === 'authorization' ? value : value.trim().replaceAll(/[\t ]+/g, ' '),
    ]);
    return JSON.stringify([method, path, query, sent, host]);
  }

  function meansTheSame(one: AuthRequest, other: AuthRequest): boolean {
    try {
      return meaningOf(one) === meaningOf(other);
    } catch {
      // Not to be decoded at all.
      return false;
    }
  }

  function flip(text: string, at: number, bit: number): string {
    const flipped = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
    return text.slice(0, at) + flipped + text.slice(at + 1);
  }

  /** Every request that differs in one bit of one part of its head. */
  function* changesOf(request: AuthRequest): Generator<AuthRequest> {
    const flips = function* (text: string): Generator<string> {
      for (let at = 0; at < text.length; at++) for (let bit = 0; bit < 8; bit++) yield flip(text, at, bit);
    };
    for (const method of flips(request.method)) yield { ...request, method };
    for (const rawPath of flips(request.rawPath)) yield { ...request, rawPath };
    for (const rawQuery of flips(request.rawQuery)) yield { ...request, rawQuery };
    for (const host of flips(request.host)) yield { ...request, host };
    const sent = [...request.headers];
    for (const [index, [name, value]] of sent.entries()) {
      const withField = (field: readonly [string, string]): AuthRequest => ({
        ...request,
        headers: new RequestHeaders(sent.with(index, field).flat()),
      });
      // The host that counts is the one above; names come in lower case.
      if (name === 'host') continue;
      for (const other of flips(name)) if (other.toLowerCase() !== name) yield withField([other.toLowerCase(), value]);
      for (const other of flips(value)) yield withField([name, other]);
    }
  }

  test.each([
    ['header', byHeader],
    ['query', byQuery],
  ])('is noticed, in the %s form', async (_, signed) => {
    const folded = [...signed.headers].flatMap(([name, value]) => [
      name,
      name === 'x-amz-meta-a' ? fields[name] : value,
    ]);
    const request = { ...signed, headers: new RequestHeaders(folded) };
    expect(await outcomeOf(request)).toBe('accepted');
    const seen: Record<string, number> = {};
    const taken: AuthRequest[] = [];
    for (const changed of changesOf(request)) {
      const outcome = await outcomeOf(changed);
      seen[outcome] = (seen[outcome] ?? 0) + 1;
      if (outcome === 'accepted' && !meansTheSame(changed, request)) taken.push(changed);
    }
    expect(taken).toEqual([]);
    // The hex digits of escapes in lower case, and nothing else.
    const escapes = `${request.rawPath}${request.rawQuery}`.match(/%[0-9A-F]{2}/g) ?? [];
    expect(seen['accepted']).toBe(escapes.join('').replaceAll(/[^A-F]/g, '').length);
    expect(seen['SignatureDoesNotMatch']).toBeGreaterThan(1000);
  });

  test('is noticed wherever else, and in whatever was signed', async () => {
    const tampered = fc.record({ part: fc.constantFrom('path', 'query', 'field'), at: fc.nat(), bit: fc.nat(7) });
    await fc.assert(
      fc.asyncProperty(text, text, tampered, async (key, meta, { part, at, bit }) => {
        const encoded = encode(meta);
        const rawPath = `/b/${encode(key)}`;
        const signed = signedByHeader({
          ...when,
          rawPath,
          rawQuery: `uploadId=${encoded}`,
          fields: { 'x-amz-meta-a': encoded.trim() },
        });
        expect(await outcomeOf(signed)).toBe('accepted');
        let changed = signed;
        if (part === 'path') changed = { ...signed, rawPath: flip(rawPath, at % rawPath.length, bit) };
        if (part === 'query')
          changed = { ...signed, rawQuery: flip(signed.rawQuery, at % signed.rawQuery.length, bit) };
        if (part === 'field') {
          const sent = [...signed.headers].flatMap(([name, value]) => [
            name,
            name === 'x-amz-meta-a' && value !== '' ? flip(value, at % value.length, bit) : value,
          ]);
          changed = { ...signed, headers: new RequestHeaders(sent) };
        }
        if (!meansTheSame(changed, signed)) expect(await outcomeOf(changed)).not.toBe('accepted');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('what is no signature', () => {
  const anything = fc.string({ unit: 'binary', maxLength: 60 });
  const piece = fc.oneof(
    anything,
    fc.constantFrom(
      'Credential=',
      'SignedHeaders=host',
      'Signature=',
      ',',
      ', ',
      `${accessKey}/20130524/us-east-1/s3/aws4_request`,
      'a'.repeat(64),
    ),
  );
  const authorization = fc.array(piece, { maxLength: 8 }).map((pieces) => `AWS4-HMAC-SHA256 ${pieces.join('')}`);
  const parameter = fc.tuple(
    fc.constantFrom(
      'X-Amz-Algorithm',
      'X-Amz-Credential',
      'X-Amz-Date',
      'X-Amz-Expires',
      'X-Amz-SignedHeaders',
      'X-Amz-Signature',
      'x-amz-meta-a',
      'AWSAccessKeyId',
      'Signature',
    ),
    fc.oneof(
      anything,
      anything.map(encodeURIComponentOrNot),
      fc.constantFrom('AWS4-HMAC-SHA256', 'host', '3600', '20130524T000000Z'),
    ),
  );
  const query = fc.oneof(
    anything,
    fc.array(parameter, { maxLength: 9 }).map((all) => all.map((pair) => pair.join('=')).join('&')),
  );

  function encodeURIComponentOrNot(text: string): string {
    return text.isWellFormed() ? encodeURIComponent(text) : text;
  }

  test('is refused, and breaks nothing', async () => {
    const fields = fc.array(
      fc.tuple(
        fc.constantFrom('authorization', 'host', 'x-amz-date', 'x-amz-content-sha256', 'date', 'x-amz-security-token'),
        fc.oneof(anything, authorization),
      ),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fields, query, anything, anything, async (sent, rawQuery, path, host) => {
        const request = {
          method: 'PUT',
          rawPath: `/${path}`,
          rawQuery,
          headers: new RequestHeaders(sent.flat()),
          host,
        };
        expect(await outcomeOf(request)).not.toBe('accepted');
      }),
      { numRuns: 10_000 },
    );
  });

  const long = 16_000;
  const valid = signedByHeader();
  const withFields = (fields: Record<string, string>): AuthRequest => signedByHeader({ fields });
  test.each<[string, AuthRequest]>([
    ['a value of spaces', withFields({ 'x-amz-meta-a': ' '.repeat(long) })],
    ['a value of spaces and tabs between letters', withFields({ 'x-amz-meta-a': 'a \t'.repeat(long / 3) })],
    [
      'commas in Authorization',
      { ...valid, headers: new RequestHeaders(['authorization', `AWS4-HMAC-SHA256 ${','.repeat(long)}`]) },
    ],
    [
      'spaces in Authorization',
      { ...valid, headers: new RequestHeaders(['authorization', `AWS4-HMAC-SHA256 ${' '.repeat(long)}`]) },
    ],
    [
      'slashes in a credential',
      {
        ...valid,
        headers: new RequestHeaders([
          'authorization',
          `AWS4-HMAC-SHA256 Credential=${'/'.repeat(long)}, SignedHeaders=host, Signature=a`,
        ]),
      },
    ],
    [
      'many signed names',
      {
        ...valid,
        headers: new RequestHeaders([
          'authorization',
          `AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=${Array.from({ length: long / 5 }, (_, i) => `a${i + 1000}`).join(';')}, Signature=a`,
        ]),
      },
    ],
    ['a path of escapes', { ...valid, rawPath: `/${'%41'.repeat(long / 3)}` }],
    ['a path of encoded slashes', { ...valid, rawPath: `/${'%2f'.repeat(long / 3)}` }],
    ['a path of slashes and one encoded', { ...valid, rawPath: `${'/'.repeat(long)}%2f` }],
    ['a query of ampersands', { ...valid, rawQuery: '&'.repeat(long) }],
    [
      'a query of many parameters',
      { ...valid, rawQuery: Array.from({ length: long / 6 }, (_, i) => `a${(i * 7919) % 10_007}`).join('&') },
    ],
    [
      'a query of parameters alike',
      { ...signedByQuery(), rawQuery: `${signedByQuery().rawQuery}${'&x-amz-meta-a=1'.repeat(long / 15)}` },
    ],
    [
      'a query of fields',
      {
        ...signedByQuery(),
        rawQuery: `${signedByQuery().rawQuery}${Array.from({ length: long / 18 }, (_, i) => `&x-amz-meta-${i}=1`).join('')}`,
      },
    ],
  ])('takes no time to refuse: %s', async (_, request) => {
    const runs = [];
    for (let run = 0; run < 5; run++) {
      const startedAt = performance.now();
      expect(await outcomeOf(request)).not.toBe('accepted');
      runs.push(performance.now() - startedAt);
    }
    expect(Math.min(...runs)).toBeLessThan(25);
  });
});
