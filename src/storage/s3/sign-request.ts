// SigV4 for the requests that carry bodies to S3: writes the signed header fields and the Authorization that covers them.
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
import { hash } from 'node:crypto';
import { deriveSigningKey } from '../../sigv4/derive-signing-key.ts';
import { createHmacSha256 } from '../../sigv4/hmac-sha256.ts';
import { checkHeaderField } from './header-field.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface RequestToSign {
  readonly method: string;
  /** Percent-encoded exactly as it is sent. */
  readonly path: string;
  /** Percent-encoded, without `?`, its parameters in the order of their names. */
  readonly query: string;
  readonly host: string;
  /** Names in lower case; every one is sent and signed. */
  readonly headers: ReadonlyMap<string, string>;
  /** Lower-case hex SHA-256 of the payload, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string;
}

/** @returns the header fields in SigV4's order, then Authorization, each line ended by CRLF. */
export type SignRequest = (request: RequestToSign, credentials: S3Credentials, nowMs: number) => string;

// What HTTP calls space (RFC 9110, section 5.6.3), as in AWS's own SDKs; others are part of the value.
const needsFolding = /\t| {2}|^ | $/;

/** The algorithm's name, the timestamp and the hash of the canonical request, with the line ends between. */
const otherBytesToSign = 16 + 1 + 16 + 1 + 1 + 64;

interface Day {
  readonly secretAccessKey: string;
  readonly date: string;
  readonly scope: string;
  readonly hmac: (message: string) => string;
}

/** A signer for one region; it keeps the last second's date strings and the last day's signing key. */
export function createRequestSigner(region: string): SignRequest {
  let second = -1;
  let timestamp = '';
  let day: Day | undefined;

  return (request, credentials, nowMs) => {
    const nowSecond = Math.floor(nowMs / 1000);
    if (nowSecond !== second) {
      second = nowSecond;
      timestamp = `${new Date(second * 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    }
    if (day?.secretAccessKey !== credentials.secretAccessKey || !timestamp.startsWith(day.date)) {
      day = deriveDay(credentials.secretAccessKey, timestamp.slice(0, 8), region);
    }
    const { canonical, signedHeaders, lines } = writeFields(request, credentials, timestamp);
    const canonicalRequest = `${request.method}\n${request.path}\n${request.query}\n${canonical}\n${signedHeaders}\n${request.payloadHash}`;
    const stringToSign = `AWS4-HMAC-SHA256\n${timestamp}\n${day.scope}\n${hash('sha256', canonicalRequest, 'hex')}`;
    const signature = day.hmac(stringToSign);
    return `${lines}authorization: AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${day.scope},SignedHeaders=${signedHeaders},Signature=${signature}\r\n`;
  };
}

function deriveDay(secretAccessKey: string, date: string, region: string): Day {
  const key = deriveSigningKey(secretAccessKey, { date, region, service: 's3' });
  const scope = `${date}/${region}/s3/aws4_request`;
  return { secretAccessKey, date, scope, hmac: createHmacSha256(key, scope.length + otherBytesToSign) };
}

/** The same fields twice: as they are signed and as they are sent. */
function writeFields(
  request: RequestToSign,
  credentials: S3Credentials,
  timestamp: string,
): { canonical: string; signedHeaders: string; lines: string } {
  const { headers } = request;
  const sessionToken = credentials.sessionToken;
  const names = ['host', 'x-amz-content-sha256', 'x-amz-date'];
  if (sessionToken !== undefined) names.push('x-amz-security-token');
  if (headers.size > 0) {
    names.push(...headers.keys());
    names.sort();
  }
  let canonical = '';
  let lines = '';
  for (const name of names) {
    let value = ownField(name, request, timestamp, sessionToken);
    if (value === undefined) {
      value = headers.get(name) ?? '';
      checkHeaderField(name, value);
      canonical += `${name}:${needsFolding.test(value) ? value.replaceAll(/[ \t]+/g, ' ').replaceAll(/^ | $/g, '') : value}\n`;
    } else {
      canonical += `${name}:${value}\n`;
    }
    lines += `${name}: ${value}\r\n`;
  }
  return { canonical, signedHeaders: names.join(';'), lines };
}

function ownField(
  name: string,
  request: RequestToSign,
  timestamp: string,
  sessionToken: string | undefined,
): string | undefined {
  if (name === 'host') return request.host;
  if (name === 'x-amz-content-sha256') return request.payloadHash;
  if (name === 'x-amz-date') return timestamp;
  if (name === 'x-amz-security-token') return sessionToken;
  return undefined;
}
