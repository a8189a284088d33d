// SigV4 written down a second time, as plainly as the specification has it, and free to sign what no client should.
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header" and "Using Query Parameters".
import { createHash, createHmac } from 'node:crypto';
import type { AuthRequest } from '../../src/auth/authentication.ts';
import type { SigV4Config } from '../../src/config/config.ts';
import { RequestHeaders } from '../../src/http.ts';

export const accessKey = 'AKIAIOSFODNN7EXAMPLE';
export const secretKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
export const emptySha256 = sha256('');

/** What is signed; everything but the method and the raw path can be left out. */
export interface ToSign {
  readonly method?: string;
  readonly rawPath?: string;
  /** As it stands in the canonical request; the raw one unless told. */
  readonly canonicalPath?: string;
  /** Without the parameters of a presigned URL. */
  readonly rawQuery?: string;
  /** As it stands in the canonical request, in the header form; the raw one unless told. */
  readonly canonicalQuery?: string;
  /** Names in lower case; `host` is taken from here. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Sent, but not signed. */
  readonly unsignedFields?: Readonly<Record<string, string>>;
  /** Names to be left out of SignedHeaders, or put in without being sent. */
  readonly signedHeaders?: readonly string[];
  readonly timestamp?: string;
  readonly scope?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly payloadHash?: string;
}

export const defaults = {
  method: 'PUT',
  rawPath: '/examplebucket/key',
  rawQuery: '',
  timestamp: '20130524T000000Z',
  scope: '20130524/us-east-1/s3/aws4_request',
  host: 's3.example:9000',
};

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

export function hmacOf(secret: string, scope: string): (text: string) => string {
  const key = scope
    .split('/')
    .reduce<Buffer>((key, part) => createHmac('sha256', key).update(part).digest(), Buffer.from(`AWS4${secret}`));
  return (text) => createHmac('sha256', key).update(text).digest('hex');
}

function signatureOf(canonicalRequest: string, { timestamp, scope, secret }: Record<string, string>): string {
  const stringToSign = `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256(canonicalRequest)}`;
  return hmacOf(secret ?? '', scope ?? '')(stringToSign);
}

/** A request whose Authorization field signs it. */
export function signedByHeader(given: ToSign = {}): AuthRequest {
  const { method, rawPath, rawQuery, timestamp, scope } = { ...defaults, ...given };
  const fields: Record<string, string> = {
    host: defaults.host,
    'x-amz-content-sha256': given.payloadHash ?? 'UNSIGNED-PAYLOAD',
    'x-amz-date': timestamp,
    ...given.fields,
  };
  const names = given.signedHeaders ?? Object.keys(fields).toSorted();
  const canonicalRequest = [
    method,
    given.canonicalPath ?? rawPath,
    given.canonicalQuery ?? rawQuery,
    ...names.map((name) => `${name}:${fields[name] ?? ''}`),
    '',
    names.join(';'),
    fields['x-amz-content-sha256'] ?? '',
  ].join('\n');
  const signature = signatureOf(canonicalRequest, { timestamp, scope, secret: given.secretKey ?? secretKey });
  const credential = `${given.accessKey ?? accessKey}/${scope}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return toRequest({ method, rawPath, rawQuery, fields: { ...fields, ...given.unsignedFields, authorization } });
}

export interface ToPresign extends ToSign {
  readonly expires?: string;
  readonly sessionToken?: string;
  /** Of the signature itself, to be replaced (or removed: undefined). */
  readonly parameters?: Readonly<Record<string, string | undefined>>;
}

/** A request whose query signs it; the other parameters must be encoded as SigV4 wants them, and not be duplicates. */
export function signedByQuery(given: ToPresign = {}): AuthRequest {
  const { method, rawPath, rawQuery, timestamp, scope } = { ...defaults, ...given };
  const fields: Record<string, string> = { host: defaults.host, ...given.fields };
  const names = given.signedHeaders ?? Object.keys(fields).toSorted();
  const own: Record<string, string | undefined> = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${given.accessKey ?? accessKey}/${scope}`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': given.expires ?? '3600',
    'X-Amz-SignedHeaders': names.join(';'),
    'X-Amz-Security-Token': given.sessionToken,
    ...given.parameters,
  };
  const pieces = rawQuery === '' ? [] : rawQuery.split('&').map((piece) => piece.split('=') as [string, string]);
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined) pieces.push([name, encodeURIComponent(value)]);
  }
  const query = pieces
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const canonicalRequest = [
    method,
    given.canonicalPath ?? rawPath,
    query,
    ...names.map((name) => `${name}:${fields[name] ?? ''}`),
    '',
    names.join(';'),
    given.payloadHash ?? 'UNSIGNED-PAYLOAD',
  ].join('\n');
  const signature = signatureOf(canonicalRequest, { timestamp, scope, secret: given.secretKey ?? secretKey });
  return toRequest({
    method,
    rawPath,
    rawQuery: `${query}&X-Amz-Signature=${signature}`,
    fields: { ...fields, ...given.unsignedFields },
  });
}

export interface Sent {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly fields: Readonly<Record<string, string>>;
}

export function toRequest({ method, rawPath, rawQuery, fields }: Sent): AuthRequest {
  const headers = new RequestHeaders(Object.entries(fields).flat());
  return { method, rawPath, rawQuery, headers, host: fields['host'] ?? '' };
}

/** What the requests of this file are signed for. */
export const sigv4Config: SigV4Config = {
  credentials: [{ accessKey, secretKey, subject: 'example' }],
  region: 'us-east-1',
  service: 's3',
  maxClockSkewMs: 900_000,
  rejectReplays: false,
  allowUnsignedPayload: true,
};
