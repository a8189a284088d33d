// SigV4's canonical request: the one spelling of a request that both sides hash.
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header", task 1.
import type { RequestHeaders } from '../../http.ts';
import type { QueryParameter } from '../../uri/parse-query.ts';
import { percentDecode } from '../../uri/percent-decode.ts';
import { encodeKey, percentEncode } from '../../uri/percent-encode.ts';

export interface CanonicalRequest {
  readonly method: string;
  /** As `canonicalPath` makes it. */
  readonly path: string;
  /** As `canonicalQuery` makes it. */
  readonly query: string;
  /** Every signed field by its name, in SigV4's order, its value as `canonicalValue` makes it. */
  readonly fields: ReadonlyMap<string, string>;
  /** What stands for the body: `x-amz-content-sha256`. */
  readonly payloadHash: string;
}

const plainPath = /^[A-Za-z0-9\-._~/]*$/;
const encodedSlash = /%2f/i;
// What HTTP calls space (RFC 9110, section 5.6.3), as in AWS's own SDKs; others are part of the value.
const needsFolding = /\t| {2}|^ | $/;

export function writeCanonicalRequest({ method, path, query, fields, payloadHash }: CanonicalRequest): string {
  let lines = '';
  let names = '';
  for (const [name, value] of fields) {
    lines += `${name}:${value}\n`;
    names += names === '' ? name : `;${name}`;
  }
  return `${method}\n${path}\n${query}\n${lines}\n${names}\n${payloadHash}`;
}

/**
 * Every segment decoded and encoded once, nothing normalised: S3 keeps empty and dot segments. An encoded slash stays
 * encoded, as it divides nothing when the bucket is looked for; so two paths share a form only when they mean the same.
 * @throws S3Error InvalidURI.
 */
export function canonicalPath(rawPath: string): string {
  if (plainPath.test(rawPath)) return rawPath;
  if (!encodedSlash.test(rawPath)) return encodeKey(percentDecode(rawPath));
  return rawPath
    .split('/')
    .map((segment) => percentEncode(percentDecode(segment)))
    .join('/');
}

/**
 * AWS's SDK for Java 2 signs a path with two slashes in a row, and sends the second one encoded. The key is the same in both, and so is
 * the bucket: no bucket has an empty segment in its prefix.
 * @param path as `canonicalPath` makes it.
 */
export function withEmptySegments(path: string): string {
  return path.replaceAll('/%2F', '//');
}

/**
 * @param parameters decoded; duplicates are kept, X-Amz-Signature is left out.
 * @throws S3Error InvalidURI.
 */
export function canonicalQuery(parameters: readonly QueryParameter[]): string {
  if (parameters.length === 0) return '';
  const encoded: QueryParameter[] = [];
  for (const [name, value] of parameters) {
    if (name !== 'X-Amz-Signature') encoded.push([percentEncode(name), percentEncode(value)]);
  }
  // By name, then by value: as one text `a-b=` would come before `a=`.
  encoded.sort(([name, value], [otherName, otherValue]) => compare(name, otherName) || compare(value, otherValue));
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

export interface SignedFields {
  /** Those of the names that the request has, in the order of the names. */
  readonly fields: ReadonlyMap<string, string>;
  /** The first of the names that the request does not have. */
  readonly missing: string | undefined;
  /**
   * Names of the request's `x-amz-` fields that are not among the names; not `x-amz-content-sha256`, whose value is signed
   * as what stands for the body ("there is no need to include" it among the fields).
   */
  readonly unsigned: readonly string[];
}

/** @param names in SigV4's order. @param host stands for the Host field, which a trusted proxy may have rewritten. */
export function readSignedFields(names: readonly string[], headers: RequestHeaders, host: string): SignedFields {
  const values = new Map<string, string | undefined>();
  for (const name of names) values.set(name, name === 'host' ? canonicalValue(host) : undefined);
  const unsigned: string[] = [];
  for (const [name, value] of headers) {
    if (!values.has(name)) {
      if (name.startsWith('x-amz-') && name !== 'x-amz-content-sha256') unsigned.push(name);
    } else if (name !== 'host') {
      const earlier = values.get(name);
      values.set(name, earlier === undefined ? canonicalValue(value) : `${earlier},${canonicalValue(value)}`);
    }
  }
  for (const name of names) {
    if (values.get(name) === undefined) return { fields: new Map(), missing: name, unsigned };
  }
  return { fields: values as Map<string, string>, missing: undefined, unsigned };
}

/** Without space around it, runs of space within it as one. */
export function canonicalValue(value: string): string {
  return needsFolding.test(value) ? value.replaceAll(/[ \t]+/g, ' ').replaceAll(/^ | $/g, '') : value;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
