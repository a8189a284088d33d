// Any path, any query, any header: an address and an operation, or an S3Error, and never another throw.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { S3Error } from '../../src/errors.ts';
import { RequestHeaders } from '../../src/http.ts';
import { compileBucketPattern } from '../../src/routing/bucket-pattern.ts';
import { createAddressParser } from '../../src/routing/parse-address.ts';
import { parseOperation } from '../../src/routing/parse-operation.ts';
import { parseQuery } from '../../src/uri/parse-query.ts';
import { screenObjectHeaders } from '../../src/upload/object-headers.ts';

function valueOrRefusal<Value>(run: () => Value): Value | S3Error {
  try {
    return run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

const routes = [
  { name: 'uploads', pathPrefix: '/uploads', backendBucket: 'b1', backend: 'here', target: 'uploads' },
  { name: 'deep', pathPrefix: '/uploads/deep/er', backendBucket: 'b2', backend: 'here', target: 'deep' },
  { name: 'team-*', pathPrefix: undefined, backendBucket: undefined, backend: 'here', target: 'team' },
];
const parseAddress = createAddressParser(routes);

/** Pieces that mean something to the parser, between any characters at all. */
const rawText = fc
  .array(
    fc.oneof(
      fc.constantFrom('/', '//', '.', '..', '%2F', '%2e', '%00', '%', '%C3', '%A9', '%25', '+', '\\', '#', '&', '='),
      fc.constantFrom('/uploads', '/uploads/deep/er', '/team-a', 'uploadId=', 'partNumber=1', 'uploads', 'acl'),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => pieces.join(''));
/** What S3 allows as a key and the proxy passes on. */
function isFit(text: string): boolean {
  if (!text.isWellFormed() || text.includes('\0') || Buffer.byteLength(text) > 1024) return false;
  return text.split('/').every((segment) => segment !== '.' && segment !== '..');
}
const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }).filter(isFit);

test('an address or a refusal, and a key that is fit to be stored', () => {
  fc.assert(
    fc.property(rawText, (raw) => {
      const address = valueOrRefusal(() => parseAddress(raw));
      const found = address instanceof S3Error ? undefined : address.key;
      expect(found === undefined || isFit(found)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test('what encodeURIComponent encodes is decoded to the same key, slashes encoded or not', () => {
  fc.assert(
    fc.property(key, fc.constantFrom('/uploads/', '/uploads/deep/er/', '/team-a/'), (text, prefix) => {
      const encoded = encodeURIComponent(text);
      expect(parseAddress(prefix + encoded).key).toBe(text);
      // After the shorter prefix, unencoded slashes could make it the path of the deeper bucket.
      const open = prefix === '/uploads/' ? '/uploads/-' : prefix;
      expect(parseAddress(open + encoded.replaceAll('%2F', '/')).key).toBe(open === prefix ? text : `-${text}`);
    }),
    { numRuns: 3000 },
  );
});

test('every byte encoded, in either case, means the same key', () => {
  fc.assert(
    fc.property(key, fc.boolean(), (text, isUpper) => {
      const hex = Buffer.from(text).toString('hex').replaceAll(/../g, '%$&');
      expect(parseAddress(`/uploads/${isUpper ? hex.toUpperCase() : hex}`).key).toBe(text);
    }),
  );
});

test('a pattern matches what a regular expression of the same meaning matches', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 12 });
  const pattern = fc.array(name, { minLength: 2, maxLength: 4 }).map((literals) => literals.join('*'));
  fc.assert(
    fc.property(pattern, name, (text, candidate) => {
      const meaning = new RegExp(`^${text.replaceAll('*', '.*')}$`);
      expect(compileBucketPattern(text).matches(candidate)).toBe(meaning.test(candidate));
    }),
    { numRuns: 5000 },
  );
});

test('pairs written into a query are read from it, in order', () => {
  const text = fc.string({ unit: 'binary', maxLength: 10 }).filter((value) => value.isWellFormed());
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), (pairs) => {
      const raw = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
      expect(parseQuery(raw)).toEqual(pairs);
    }),
  );
});

const fieldName = fc.oneof(
  fc.constantFrom('content-length', 'transfer-encoding', 'x-amz-copy-source', 'x-amz-content-sha256', 'x-amz-acl'),
  fc.constantFrom('content-encoding', 'x-amz-meta-a', 'x-amz-checksum-crc32', 'if-none-match', 'content-type'),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.toLowerCase()),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => `x-amz-${text.toLowerCase()}`),
);
const fieldValue = fc.oneof(
  fc.constantFrom('0', '5', 'chunked', 'STREAMING-X', 'aws-chunked', '*', 'AAAAAA==', ''),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
const headers = fc
  .tuple(fc.constantFrom([], ['content-length', '5']), fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 4 }))
  .map(([length, fields]) => new RequestHeaders([...length, ...fields.flat()]));
const method = fc.oneof(
  { arbitrary: fc.constantFrom('PUT', 'PUT', 'PUT', 'POST', 'GET', 'DELETE', 'HEAD', 'OPTIONS'), weight: 9 },
  { arbitrary: fc.string(), weight: 1 },
);
const query = fc.oneof(
  fc.constantFrom('', 'uploads', 'uploadId=u', 'partNumber=7&uploadId=u'),
  rawText,
  fc
    .array(
      fc.tuple(
        fc.constantFrom('uploads', 'uploadId', 'partNumber', 'max-parts', 'part-number-marker', 'acl', 'x-id', 'other'),
        fc.oneof(fc.constantFrom('', '=', '=1', '=0', '=10000', '=99999', '=u'), rawText),
      ),
      { maxLength: 4 },
    )
    .map((parameters) => parameters.map(([name, value]) => name + value).join('&')),
);

function isPlain(rawQuery: string, fields: RequestHeaders): boolean {
  if (['x-amz-copy-source', 'x-amz-decoded-content-length'].some((name) => fields.has(name))) return false;
  return parseQuery(rawQuery).every(([name]) => !['acl', 'uploads', 'uploadId', 'partNumber'].includes(name));
}

test('an operation or a refusal; a write of content only when nothing else was asked for', () => {
  fc.assert(
    fc.property(method, query, headers, fc.boolean(), (verb, rawQuery, fields, isObject) => {
      const request = { method: verb, rawQuery, headers: fields };
      const operation = valueOrRefusal(() => parseOperation(request, isObject ? 'key' : undefined));
      const isRight =
        operation instanceof S3Error
          ? operation.status !== 405 || operation.headers.some(([name]) => name === 'Allow')
          : operation.name !== 'PutObject' || (verb === 'PUT' && isObject && isPlain(rawQuery, fields));
      expect(isRight).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

test('screened headers or a refusal, and nothing in them that could end a line', () => {
  const operation = fc.constantFrom(
    'PutObject' as const,
    'CreateMultipartUpload' as const,
    'UploadPart' as const,
    'CompleteMultipartUpload' as const,
    'ListParts' as const,
  );
  fc.assert(
    fc.property(operation, headers, (name, fields) => {
      const screened = valueOrRefusal(() => screenObjectHeaders(name, fields));
      if (screened instanceof S3Error) return;
      for (const [field, value] of screened) {
        expect(field).toMatch(/^[!-~]+$/);
        expect(value).toMatch(/^[\t -~]*$/);
        // An empty type is none.
        const lines = [...fields].filter(([one, line]) => one === field && (line !== '' || one !== 'content-type'));
        const given = lines.map(([, line]) => line).join(', ');
        // The framing of the body is no coding of the object.
        if (field === 'content-encoding' && /aws-chunked/iu.test(given)) expect(given).toContain(value.split(',')[0]);
        else expect(value).toBe(given);
      }
    }),
    { numRuns: 5000 },
  );
});
