// The bearer token of the Authorization header field (RFC 6750, section 2.1).
import type { RequestHeaders } from '../http.ts';

/**
 * Two fields, of which two readers could choose different ones, come joined by a comma: that is no token.
 * @returns undefined when there is none: no field, or one of another scheme.
 */
export function readBearerToken(headers: RequestHeaders): string | undefined {
  const credentials = headers.get('authorization');
  // RFC 9110, section 11.1: the scheme's case does not matter, and one space or more follow it.
  if (credentials === undefined || !/^bearer(?: |$)/i.test(credentials)) return undefined;
  return credentials.slice('Bearer'.length).trim();
}
