// The one refusal of everything that is wrong with a bearer token.
import { S3Error } from '../errors.ts';

const challenge = 'Bearer realm="mizuchi"';

/**
 * RFC 6750, section 3.1: the error attribute is for requests that came with a token.
 * @param fault what is wrong, for the log; undefined when there is no token.
 */
export function unauthorized(fault?: string): S3Error {
  if (fault === undefined) return new S3Error('Unauthorized', { headers: [['WWW-Authenticate', challenge]] });
  return new S3Error('Unauthorized', {
    cause: new Error(fault),
    headers: [['WWW-Authenticate', `${challenge}, error="invalid_token"`]],
  });
}
