// A query as it was received, taken apart.
import { percentDecode } from './percent-decode.ts';

/** Decoded; a parameter without `=` has the value ''. */
export type QueryParameter = readonly [name: string, value: string];

const none: readonly QueryParameter[] = [];

/**
 * The parameters in the order received, duplicates kept. `+` stays `+`: this is a URI's query (RFC 3986, section 3.4), not a
 * form's, and an upload id may hold one.
 * @param rawQuery without `?`.
 * @throws S3Error InvalidURI for bad percent-encoding or bytes that are not UTF-8.
 */
export function parseQuery(rawQuery: string): readonly QueryParameter[] {
  if (rawQuery === '') return none;
  const parameters: QueryParameter[] = [];
  for (const piece of rawQuery.split('&')) {
    if (piece === '') continue;
    const at = piece.indexOf('=');
    parameters.push(
      at === -1 ? [percentDecode(piece), ''] : [percentDecode(piece.slice(0, at)), percentDecode(piece.slice(at + 1))],
    );
  }
  return parameters;
}
