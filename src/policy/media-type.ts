// Content types: what one is, and lists of them with wildcards.
import { RequestHeaders } from '../http.ts';

/**
 * One type, and parameters, by the grammar of RFC 9110, section 8.3.1. Not more: readers take the last of several types
 * between commas (Fetch Standard, "extract a MIME type"), which is then another one than was allowed.
 */
const mediaType =
  /^([!#$%&'+\-.^_`|~0-9a-z]+\/[!#$%&'+\-.^_`|~0-9a-z]+)(?:[ \t]*;(?:[ \t]*[!#$%&'*+\-.^_`|~0-9a-z]+=(?:[!#$%&'*+\-.^_`|~0-9a-z]+|"(?:[^"\\]|\\.)*"))?)*[ \t]*$/i;

/** RFC 6838, section 4.2: 127 characters on each side. */
const maxTypeLength = 255;
/** RFC 2046, section 4.5.1: bytes of which nothing is said. */
export const unknownType = 'application/octet-stream';

/**
 * @param contentType value of the header field; absent or empty, it is `application/octet-stream`.
 * @returns type and subtype in lower case; undefined for what is no content type.
 */
export function readMediaType(contentType: string | undefined): string | undefined {
  if (contentType === undefined || contentType === '') return unknownType;
  const [, type] = mediaType.exec(contentType) ?? [];
  return type === undefined || type.length > maxTypeLength ? undefined : type.toLowerCase();
}

/** @returns the fields with a type that a client has left open written out: backends guess by what the key ends in. */
export function nameMediaType(headers: RequestHeaders): RequestHeaders {
  if ((headers.get('content-type') ?? '') !== '') return headers;
  const others = [...headers].filter(([name]) => name !== 'content-type');
  return new RequestHeaders([...others.flat(), 'content-type', unknownType]);
}

export interface MediaTypeSet {
  /** @param type as `readMediaType` gives it. */
  has(type: string): boolean;
}

/** @param patterns as `isMediaTypePattern` knows them. */
export function createMediaTypeSet(patterns: readonly string[]): MediaTypeSet {
  const listed = new Set(patterns.map((pattern) => pattern.toLowerCase()));
  return {
    has: (type) => listed.has(type) || listed.has(`${type.slice(0, type.indexOf('/'))}/*`) || listed.has('*/*'),
  };
}
