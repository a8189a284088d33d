// Verifies the SigV4 signature of a request's head, in the order in which S3 finds fault.
// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
import { hash } from 'node:crypto';
import type { SigV4Config, SigV4Credential } from '../../config/config.ts';
import { S3Error } from '../../errors.ts';
import type { RequestHeaders } from '../../http.ts';
import { parseQuery } from '../../uri/parse-query.ts';
import type { Authentication, AuthRequest, AuthServices } from '../authentication.ts';
import { readPayload } from '../read-payload.ts';
import {
  canonicalPath,
  canonicalQuery,
  readSignedFields,
  withEmptySegments,
  writeCanonicalRequest,
  type CanonicalRequest,
} from './canonical-request.ts';
import { startChunkSignatures } from './chunk-signatures.ts';
import { hoistParameters, refuseParameters } from './hoist-parameters.ts';
import { isSameSignature } from './is-same-signature.ts';
import { maskSecrets } from './mask-secrets.ts';
import { badParameters, malformedHeader, type PresentedSignature } from './read-signature.ts';
import { createSigningKeys, type SigningKey } from './signing-keys.ts';
import { fromHttpDate, parseTimestamp } from './timestamp.ts';

/**
 * The body is not looked at: `payload` of what is returned says what it must be.
 * @throws S3Error as http-api has it: AuthorizationHeaderMalformed or AuthorizationQueryParametersError, InvalidAccessKeyId,
 * RequestTimeTooSkewed, AccessDenied, SignatureDoesNotMatch, InvalidToken, ExpiredToken; InvalidRequest, InvalidArgument,
 * NotImplemented, InvalidURI.
 */
export type SigV4Verifier = (request: AuthRequest, signature: PresentedSignature) => Promise<Authentication>;

interface KnownCredential {
  readonly credential: SigV4Credential;
  readonly keyOf: (date: string) => SigningKey;
}

export function createSigV4Verifier(config: SigV4Config, { replays, onMismatch }: AuthServices): SigV4Verifier {
  const known = new Map<string, KnownCredential>();
  for (const credential of config.credentials) {
    known.set(credential.accessKey, { credential, keyOf: createSigningKeys(credential.secretKey, config) });
  }

  /** The request has waited since it was verified, and what has expired may be forgotten. */
  async function claim(
    presented: PresentedSignature,
    { expiresAtMs, ...signed }: { timestamp: string; signedAtMs: number; expiresAtMs: number },
  ): Promise<void> {
    checkTime(presented, signed, config.maxClockSkewMs);
    await replays.claim(presented.signature, expiresAtMs, presented.accessKey);
  }

  return async (request, presented) => {
    const timestamp = presented.form === 'query' ? presented.timestamp : readTimestamp(request.headers);
    const signedAtMs = checkScope(presented, timestamp, config);
    const found = known.get(presented.accessKey);
    if (found === undefined) throw new S3Error('InvalidAccessKeyId');
    const expiresAtMs = checkTime(presented, { timestamp, signedAtMs }, config.maxClockSkewMs);

    const { headers, canonical } = canonicalise(request, presented);
    const key = found.keyOf(presented.scope.date);
    const stringToSign = writeStringToSign(canonical, timestamp, key);
    const isSigned =
      isSameSignature(key.hmac(stringToSign), presented.signature) ||
      isSignedWithEmptySegments(canonical, timestamp, key, presented.signature);
    if (!isSigned) {
      const masked = writeCanonicalRequest(maskSecrets(canonical));
      onMismatch?.({ requestId: request.id, canonicalRequest: masked, stringToSign });
      throw new S3Error('SignatureDoesNotMatch');
    }
    const {
      subject,
      accessKey: accessKeyId,
      sessionToken,
      expiresAtMs: credentialExpiresAtMs = Infinity,
    } = found.credential;
    // Not before the signature: whoever knows no more than the access key is not told which token is right.
    checkSessionToken(sessionToken, presented, request.headers);
    if (Date.now() >= credentialExpiresAtMs) throw new S3Error('ExpiredToken');
    if (!config.allowUnsignedPayload) refuseUnsignedPayload(canonical.payloadHash);
    const payload = readPayload(headers, () =>
      startChunkSignatures({ key, timestamp, seedSignature: presented.signature }),
    );
    return {
      principal: { kind: 'sigv4', subject, accessKeyId, expiresAtMs: Math.min(expiresAtMs, credentialExpiresAtMs) },
      payload,
      headers,
      isByCookie: false,
      claim: config.rejectReplays ? () => claim(presented, { timestamp, signedAtMs, expiresAtMs }) : undefined,
    };
  };
}

function writeStringToSign(canonical: CanonicalRequest, timestamp: string, { scope }: SigningKey): string {
  return `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hash('sha256', writeCanonicalRequest(canonical), 'hex')}`;
}

/** See `withEmptySegments`. */
function isSignedWithEmptySegments(
  canonical: CanonicalRequest,
  timestamp: string,
  key: SigningKey,
  signature: string,
): boolean {
  const path = withEmptySegments(canonical.path);
  if (path === canonical.path) return false;
  return isSameSignature(key.hmac(writeStringToSign({ ...canonical, path }, timestamp, key)), signature);
}

function readTimestamp(headers: RequestHeaders): string {
  const timestamp = headers.get('x-amz-date');
  if (timestamp !== undefined) return timestamp;
  // "Authenticating Requests: Using the Authorization Header", overview: Date is used when there is no x-amz-date.
  const date = headers.get('date') ?? '';
  return fromHttpDate(date) ?? date;
}

/** @returns the time of signing, in milliseconds since 1970. */
function checkScope({ form, scope }: PresentedSignature, timestamp: string, { region, service }: SigV4Config): number {
  const refusal = (fault: string, headers?: [string, string][]): S3Error =>
    form === 'query'
      ? badParameters(`Error parsing the X-Amz-Credential parameter; ${fault}`, headers)
      : malformedHeader(fault, headers);
  const signedAtMs = parseTimestamp(timestamp);
  if (signedAtMs === undefined) {
    if (form === 'query') throw badParameters(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
    throw new S3Error('AccessDenied', { detail: 'AWS authentication requires a valid Date or x-amz-date header' });
  }
  if (scope.terminator !== 'aws4_request') {
    throw refusal(`incorrect terminal "${scope.terminator}". This endpoint uses "aws4_request".`);
  }
  if (scope.service !== service) {
    throw refusal(`incorrect service "${scope.service}". This endpoint belongs to "${service}".`);
  }
  if (scope.region !== region) {
    // Clients that find the field sign again for that region.
    throw refusal(`the region '${scope.region}' is wrong; expecting '${region}'`, [['x-amz-bucket-region', region]]);
  }
  if (scope.date !== timestamp.slice(0, 8)) {
    throw refusal(`Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${timestamp}".`);
  }
  return signedAtMs;
}

function checkSessionToken(expected: string | undefined, presented: PresentedSignature, headers: RequestHeaders): void {
  const given =
    (presented.form === 'query' ? presented.sessionToken : undefined) ?? headers.get('x-amz-security-token');
  if (expected === undefined && given === undefined) return;
  // Hashed, so that they are of one length.
  const digestOf = (token: string | undefined) => hash('sha256', token ?? '', 'hex');
  const isSame = isSameSignature(digestOf(expected), digestOf(given));
  if (expected === undefined || given === undefined || !isSame) throw new S3Error('InvalidToken');
}

/** @returns the last millisecond in which the signature is accepted. */
function checkTime(
  presented: PresentedSignature,
  { timestamp, signedAtMs }: { readonly timestamp: string; readonly signedAtMs: number },
  skewMs: number,
): number {
  const nowMs = Date.now();
  if (presented.form === 'header') {
    if (Math.abs(nowMs - signedAtMs) <= skewMs) return signedAtMs + skewMs;
    throw new S3Error('RequestTimeTooSkewed', {
      elements: [
        ['RequestTime', timestamp],
        ['ServerTime', `${new Date(nowMs).toISOString().slice(0, 19)}Z`],
        ['MaxAllowedSkewMilliseconds', String(skewMs)],
      ],
    });
  }
  const expiresAtMs = signedAtMs + presented.expiresSeconds * 1000;
  if (nowMs < signedAtMs - skewMs) throw new S3Error('AccessDenied', { detail: 'Request is not valid yet' });
  if (nowMs > expiresAtMs) throw new S3Error('AccessDenied', { detail: 'Request has expired' });
  return expiresAtMs;
}

/** @returns what is signed, and the header fields that the operation will see. */
function canonicalise(
  request: AuthRequest,
  presented: PresentedSignature,
): { headers: RequestHeaders; canonical: CanonicalRequest } {
  const { fields, missing, unsigned } = readSignedFields(presented.signedHeaders, request.headers, request.host);
  if (!presented.signedHeaders.includes('host')) refuseUnsigned(['host', ...unsigned]);
  if (unsigned.length > 0) refuseUnsigned(unsigned);
  if (missing !== undefined) {
    throw new S3Error('SignatureDoesNotMatch', {
      detail: `The signature covers the header ${missing}, which is not in the request.`,
    });
  }

  const parameters = presented.form === 'query' ? presented.parameters : parseQuery(request.rawQuery);
  let { headers } = request;
  if (presented.form === 'query') headers = hoistParameters(headers, parameters);
  else refuseParameters(parameters);
  const payloadHash =
    headers.get('x-amz-content-sha256') ?? (presented.form === 'query' ? 'UNSIGNED-PAYLOAD' : undefined);
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', {
      detail: 'Missing required header for this request: x-amz-content-sha256',
    });
  }
  const path = canonicalPath(request.rawPath);
  return {
    headers,
    canonical: { method: request.method, path, query: canonicalQuery(parameters), fields, payloadHash },
  };
}

function refuseUnsigned(names: readonly string[]): never {
  throw new S3Error('AccessDenied', {
    detail: `There were headers present in the request which were not signed: ${[...new Set(names)].join(', ')}`,
  });
}

function refuseUnsignedPayload(payloadHash: string): void {
  if (payloadHash !== 'UNSIGNED-PAYLOAD' && payloadHash !== 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') return;
  throw new S3Error('AccessDenied', {
    detail: 'This bucket takes only bodies that are signed: send their SHA-256, or signed chunks.',
  });
}
