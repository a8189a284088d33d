// The token of a request: where it is looked for, and how it is taken out of there.
import type { TokenSource } from '../../config/config.ts';
import type { HttpRequest, RequestHeaders } from '../../http.ts';
import { parseQuery } from '../../uri/parse-query.ts';

export interface PresentedToken {
  readonly token: string;
  readonly isCookie: boolean;
}

/**
 * Undefined when no source has a token. What is empty, or given more than once so that two readers could choose different
 * ones, is a token all the same: one that cannot be right.
 * @throws S3Error InvalidURI for a query that cannot be decoded.
 */
export type TokenReader = (request: CarryingRequest) => PresentedToken | undefined;

type CarryingRequest = Pick<HttpRequest, 'headers' | 'rawQuery'>;

const broken = '';

/** @param sources the first that is present in a request counts, whatever the later ones hold. */
export function createTokenReader(sources: readonly TokenSource[]): TokenReader {
  const readers = sources.map((source) => ({ read: toReader(source), isCookie: source.type === 'cookie' }));
  return (request) => {
    for (const { read, isCookie } of readers) {
      const token = read(request);
      if (token !== undefined) return { token, isCookie };
    }
    return undefined;
  };
}

function toReader(source: TokenSource): (request: CarryingRequest) => string | undefined {
  switch (source.type) {
    case 'bearer':
      return ({ headers }) => readBearer(headers);
    case 'query':
      return ({ rawQuery }) => theOnly(parseQuery(rawQuery), source.name);
    case 'header':
      // Fields of one name come joined by a comma, which no token holds.
      return ({ headers }) => headers.get(source.name)?.trim();
    case 'cookie':
      return ({ headers }) => theOnly(readCookies(headers), source.name);
  }
}

/** RFC 6750, section 2.1. A scheme other than Bearer is no token. */
function readBearer(headers: RequestHeaders): string | undefined {
  const credentials = headers.get('authorization');
  // RFC 9110, section 11.1: the scheme's case does not matter, and one space or more follow it.
  if (credentials === undefined || !/^bearer(?: |$)/i.test(credentials)) return undefined;
  return credentials.slice('Bearer'.length).trim();
}

function theOnly(pairs: Iterable<readonly [name: string, value: string]>, wanted: string): string | undefined {
  let found: string | undefined;
  for (const [name, value] of pairs) {
    if (name === wanted) found = found === undefined ? value : broken;
  }
  return found;
}

/**
 * RFC 6265, section 4.2.1: pairs between semicolons, a value perhaps in quotes (section 4.1.1). Fields are read one by one:
 * joined by a comma, the value of one could pass for a pair of its own.
 */
function* readCookies(headers: RequestHeaders): Generator<readonly [name: string, value: string]> {
  for (const [field, cookies] of headers) {
    if (field !== 'cookie') continue;
    for (const pair of cookies.split(';')) {
      const at = pair.indexOf('=');
      if (at === -1) continue;
      const value = pair.slice(at + 1).trim();
      yield [pair.slice(0, at).trim(), /^".*"$/.test(value) ? value.slice(1, -1) : value];
    }
  }
}
