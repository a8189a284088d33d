// Who sends a request: the port that every kind of credential answers to.
import type { AuthConfig } from '../config/config.ts';
import type { HttpRequest } from '../http.ts';
import { createJwtVerifier } from './jwt.ts';
import type { Principal } from './principal.ts';
import { readBearerToken } from './read-bearer-token.ts';
import { unauthorized } from './unauthorized.ts';

export type { Principal } from './principal.ts';

/** Rejects with S3Error Unauthorized, which has one message whatever is wrong. */
export type Authenticator = (request: Pick<HttpRequest, 'headers'>) => Promise<Principal>;

const anonymous: Principal = Object.freeze({ kind: 'anonymous' });

export function createAuthenticator(auth: AuthConfig): Authenticator {
  if (!auth.enabled) return () => Promise.resolve(anonymous);
  const verify = createJwtVerifier(auth.jwt);
  return async ({ headers }) => {
    const token = readBearerToken(headers);
    if (token === undefined) throw unauthorized();
    return verify(token);
  };
}
