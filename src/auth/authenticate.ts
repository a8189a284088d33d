// Who sends a request, and what has been signed of its body: every kind of credential that a bucket takes, behind one port.
import type { CallTrace } from '../call-trace.ts';
import type { AuthConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import { parseQuery } from '../uri/parse-query.ts';
import type { Authentication, AuthRequest, AuthServices } from './authentication.ts';
import { createJwtVerifier } from './jwt/jwt-verifier.ts';
import { createTokenReader } from './jwt/read-token.ts';
import type { Principal } from './principal.ts';
import { readPayload } from './read-payload.ts';
import { hoistParameters, refuseParameters } from './sigv4/hoist-parameters.ts';
import { readSignature } from './sigv4/read-signature.ts';
import { createSigV4Verifier, type SigV4Verifier } from './sigv4/sigv4-verifier.ts';
import { unauthorized } from './unauthorized.ts';

export type { Authentication, AuthRequest, AuthServices } from './authentication.ts';
export type { Principal } from './principal.ts';

/**
 * Rejects with S3Error Unauthorized for whatever is wrong with a token, which has one message for all; with S3's own codes
 * for signatures; InvalidArgument when there is more than one credential.
 */
export type Authenticator = (request: AuthRequest, trace?: CallTrace) => Promise<Authentication>;

export function createAuthenticator(auth: AuthConfig, services: AuthServices): Authenticator {
  if (!auth.enabled) {
    return async ({ headers: own, rawQuery }) => {
      // What a presigned URL asks for counts, though nobody checks who has signed it.
      const headers = mayHoldFields.test(rawQuery) ? hoistParameters(own, parseQuery(rawQuery)) : own;
      return { principal: anonymous, payload: readPayload(headers), headers, isByCookie: false, claim: undefined };
    };
  }
  const readToken = auth.jwt && createTokenReader(auth.jwt.tokenSources);
  const verifyToken = auth.jwt && createJwtVerifier(auth.jwt, services);
  const verifySignature: SigV4Verifier | undefined = auth.sigv4 && createSigV4Verifier(auth.sigv4, services);

  return async (request, trace) => {
    const presented = readToken?.(request);
    const signature = verifySignature && readSignature(request);
    if (presented !== undefined && signature !== undefined)
      throw new S3Error('InvalidArgument', { detail: twoCredentials });
    if (signature !== undefined) return (verifySignature as SigV4Verifier)(request, signature);
    if (verifyToken === undefined) throw new S3Error('AccessDenied');
    if (presented === undefined) throw unauthorized();
    const { headers } = request;
    const principal = await verifyToken(presented.token, trace);
    if (mayHoldFields.test(request.rawQuery)) refuseParameters(parseQuery(request.rawQuery));
    const payload = readPayload(headers);
    if (payload.kind === 'aws-chunked' && payload.isSigned) {
      throw new S3Error('InvalidRequest', {
        detail: 'Signed chunks need a request that is signed with AWS4-HMAC-SHA256.',
      });
    }
    return { principal, payload, headers, isByCookie: presented.isCookie, claim: undefined };
  };
}

const mayHoldFields = /x-amz-|%/i;
const anonymous: Principal = Object.freeze({ kind: 'anonymous' });
const twoCredentials =
  'Only one credential is allowed: a token, a signature in the Authorization header, or one in the query.';
