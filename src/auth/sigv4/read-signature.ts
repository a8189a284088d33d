// Finds the SigV4 signature that a request carries, in its Authorization field or in its query, and takes it apart.
// Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header" and "Using Query Parameters".
import { S3Error } from '../../errors.ts';
import type { RequestHeaders } from '../../http.ts';
import { parseQuery, type QueryParameter } from '../../uri/parse-query.ts';
import type { AuthRequest } from '../authentication.ts';
import { ecdsaRefusal } from '../read-payload.ts';

export type PresentedSignature = HeaderSignature | QuerySignature;

interface Presented {
  readonly accessKey: string;
  readonly scope: PresentedScope;
  /** In lower case, in the order of their bytes, each once. */
  readonly signedHeaders: readonly string[];
  /** As received: anything without space, comma and control characters. */
  readonly signature: string;
}

export interface HeaderSignature extends Presented {
  readonly form: 'header';
}

/** Of a presigned URL. */
export interface QuerySignature extends Presented {
  readonly form: 'query';
  /** As received. */
  readonly timestamp: string;
  /** 1 to 604,800. */
  readonly expiresSeconds: number;
  readonly sessionToken: string | undefined;
  /** The whole query, decoded. */
  readonly parameters: readonly QueryParameter[];
}

/** What follows the access key in a credential; not yet compared with anything. */
export interface PresentedScope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
}

const algorithm = 'AWS4-HMAC-SHA256';
const maxExpiresSeconds = 604_800;

const required = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
] as const;
const sessionTokenName = 'X-Amz-Security-Token';
/** In lower case: of these no other spelling is taken, lest a neighbour reads one that was not looked at here. */
const authParameters: ReadonlySet<string> = new Set([...required, sessionTokenName].map((name) => name.toLowerCase()));

const visible = /^[!-~]+$/;
// RFC 9110, section 5.6.2, in lower case.
const fieldNames = /^[!#$%&'*+\-.^_`|~0-9a-z]+(?:;[!#$%&'*+\-.^_`|~0-9a-z]+)*$/;

/**
 * @returns undefined when the request carries none: no Authorization field, or one of a scheme that is not AWS's.
 * @throws S3Error AuthorizationHeaderMalformed, AuthorizationQueryParametersError; InvalidArgument for two of them;
 * InvalidRequest for Signature Version 2, NotImplemented for SigV4A; InvalidURI.
 */
export function readSignature({ headers, rawQuery }: AuthRequest): PresentedSignature | undefined {
  const authorization = headers.get('authorization');
  const parameters = rawQuery === '' ? undefined : readSignedQuery(rawQuery);
  if (parameters !== undefined) {
    if (authorization !== undefined) throw new S3Error('InvalidArgument', { detail: onlyOne });
    return readQueryForm(parameters);
  }
  if (authorization?.startsWith('AWS') !== true) return undefined;
  return readHeaderForm(authorization, headers);
}

/** Whether the parameter belongs to the signature itself, in whatever case it is spelt. */
export function isAuthParameter(lowerCaseName: string): boolean {
  return authParameters.has(lowerCaseName);
}

function readHeaderForm(authorization: string, headers: RequestHeaders): HeaderSignature | undefined {
  const space = authorization.indexOf(' ');
  const scheme = space === -1 ? authorization : authorization.slice(0, space);
  if (scheme === 'AWS4-ECDSA-P256-SHA256') throw new S3Error('NotImplemented', { detail: ecdsaRefusal });
  if (scheme !== algorithm) {
    if (scheme === 'AWS' || scheme.startsWith('AWS4-')) throw notSupported();
    return undefined;
  }
  // Two fields would come joined, and could make one signature of two halves.
  let fields = 0;
  for (const [name] of headers) if (name === 'authorization') fields++;
  if (fields > 1) throw malformedHeader('it is given more than once');

  let credential: string | undefined;
  let signedHeaders: string | undefined;
  let signature: string | undefined;
  for (const piece of authorization.slice(scheme.length).split(',')) {
    const start = /[^ ]/.exec(piece)?.index ?? piece.length;
    const equals = piece.indexOf('=');
    const value = piece.slice(equals + 1);
    const name = equals === -1 ? '' : piece.slice(start, equals);
    if (!visible.test(value)) throw malformedHeader(expectedParts);
    if (name === 'Credential' && credential === undefined) credential = value;
    else if (name === 'SignedHeaders' && signedHeaders === undefined) signedHeaders = value;
    else if (name === 'Signature' && signature === undefined) signature = value;
    else throw malformedHeader(expectedParts);
  }
  if (credential === undefined || signedHeaders === undefined || signature === undefined) {
    throw malformedHeader(expectedParts);
  }
  const names = readSignedHeaders(signedHeaders);
  if (names === undefined) throw malformedHeader(badSignedHeaders);
  const read = readCredential(credential);
  if (read === undefined) throw malformedHeader(badCredential);
  return { form: 'header', ...read, signedHeaders: names, signature };
}

/** The parameters of a query that carries a signature; undefined when it carries none. */
function readSignedQuery(rawQuery: string): readonly QueryParameter[] | undefined {
  if (rawQuery.includes('X-Amz-')) {
    const parameters = parseQuery(rawQuery);
    if (parameters.some(([name]) => (required as readonly string[]).includes(name))) return parameters;
  }
  if (rawQuery.includes('AWSAccessKeyId=') && /(?:^|&)Signature=/.test(rawQuery)) throw notSupported();
  return undefined;
}

function readQueryForm(parameters: readonly QueryParameter[]): QuerySignature {
  const found = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!isAuthParameter(name.toLowerCase())) continue;
    if (found.has(name)) throw badParameters(`${name} is given more than once.`);
    found.set(name, value);
  }
  if (found.get('X-Amz-Algorithm') === 'AWS4-ECDSA-P256-SHA256') {
    throw new S3Error('NotImplemented', { detail: ecdsaRefusal });
  }
  const [givenAlgorithm, credential, timestamp, expires, signedHeaders, signature] = required.map((name) =>
    found.get(name),
  );
  const optional = found.has(sessionTokenName) ? 1 : 0;
  if (
    found.size !== required.length + optional ||
    credential === undefined ||
    timestamp === undefined ||
    expires === undefined ||
    signedHeaders === undefined ||
    signature === undefined
  ) {
    throw badParameters(expectedParameters);
  }
  if (givenAlgorithm !== algorithm) throw badParameters(`X-Amz-Algorithm only supports "${algorithm}"`);
  const expiresSeconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (expiresSeconds < 1 || expiresSeconds > maxExpiresSeconds) {
    throw badParameters(`X-Amz-Expires must be a number of seconds between 1 and ${maxExpiresSeconds} (a week)`);
  }
  const names = readSignedHeaders(signedHeaders);
  if (names === undefined) throw badParameters(`Error parsing the X-Amz-SignedHeaders parameter; ${badSignedHeaders}`);
  const read = readCredential(credential);
  if (read === undefined) throw badParameters(`Error parsing the X-Amz-Credential parameter; ${badCredential}`);
  const sessionToken = found.get(sessionTokenName);
  return {
    form: 'query',
    ...read,
    signedHeaders: names,
    signature,
    timestamp,
    expiresSeconds,
    sessionToken,
    parameters,
  };
}

/** From the end: an access key may hold slashes. */
function readCredential(credential: string): Pick<Presented, 'accessKey' | 'scope'> | undefined {
  if (!visible.test(credential)) return undefined;
  const parts = credential.split('/');
  const [date, region, service, terminator] = parts.splice(-4);
  const accessKey = parts.join('/');
  if (accessKey === '' || !date || !region || !service || !terminator) return undefined;
  return { accessKey, scope: { date, region, service, terminator } };
}

function readSignedHeaders(text: string): readonly string[] | undefined {
  if (!fieldNames.test(text)) return undefined;
  const names = text.split(';');
  for (let i = 1; i < names.length; i++) {
    if ((names[i] as string) <= (names[i - 1] as string)) return undefined;
  }
  return names;
}

const onlyOne =
  'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified';
const expectedParts = `expecting ${algorithm} with Credential, SignedHeaders and Signature, each once, separated by commas`;
const expectedParameters =
  'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.';
const badCredential = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".';
const badSignedHeaders =
  'the signed headers must be names in lower case, in alphabetical order, separated by semicolons.';

export function malformedHeader(fault: string, headers: readonly (readonly [string, string])[] = []): S3Error {
  return new S3Error('AuthorizationHeaderMalformed', {
    detail: `The authorization header is malformed; ${fault}`,
    headers,
  });
}

export function badParameters(detail: string, headers: readonly (readonly [string, string])[] = []): S3Error {
  return new S3Error('AuthorizationQueryParametersError', { detail, headers });
}

function notSupported(): S3Error {
  return new S3Error('InvalidRequest', {
    detail: `The authorization mechanism you have provided is not supported. Please use ${algorithm}.`,
  });
}
