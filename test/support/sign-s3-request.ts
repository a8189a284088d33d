// Signs whole requests as an S3 client does (AWS Signature Version 4), written for the tests and sharing nothing with the proxy:
// in the header or in the query, with the payload hashed, in signed chunks, or not signed at all.
// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
import { crc32 } from 'node:zlib';
import { noteSignature } from './find-secrets.ts';
import { hmacOf, sha256 } from './sigv4.ts';

export interface ClientCredential {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
}

export const payloadModes = [
  'sha256',
  'UNSIGNED-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
] as const;
export type PayloadMode = (typeof payloadModes)[number];

export interface RequestToSign {
  readonly credential: ClientCredential;
  readonly method: string;
  readonly host: string;
  /** Canonical, as it goes over the wire. */
  readonly path: string;
  /** Canonical: sorted, `uploads=` for `uploads`. */
  readonly query?: string;
  /** All are signed; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly mode: PayloadMode;
  readonly chunkBytes?: number;
  readonly date?: Date;
}

export interface SignedRequest {
  /** Host and Content-Length included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export const sha256Hex = sha256;

export function crc32Base64(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

const toTimestamp = (date: Date): string => `${date.toISOString().slice(0, 19).replaceAll(/[-:]/gu, '')}Z`;

interface Signer {
  readonly timestamp: string;
  readonly scope: string;
  readonly sign: (text: string) => string;
}

function createSigner({ secretKey, region }: ClientCredential, date: Date): Signer {
  const timestamp = toTimestamp(date);
  const scope = `${timestamp.slice(0, 8)}/${region}/s3/aws4_request`;
  return { timestamp, scope, sign: hmacOf(secretKey, scope) };
}

export function signS3Request(request: RequestToSign): SignedRequest {
  const { credential, method, host, path, query = '', body, mode, date = new Date() } = request;
  const signer = createSigner(credential, date);
  const isTrailed = mode.endsWith('-TRAILER');
  const payloadHash = mode === 'sha256' ? sha256Hex(body) : mode;
  const headers: Record<string, string> = {
    ...request.headers,
    host,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': signer.timestamp,
    ...(mode.startsWith('STREAMING-') && { 'x-amz-decoded-content-length': String(body.length) }),
    ...(isTrailed && { 'x-amz-trailer': 'x-amz-checksum-crc32' }),
  };
  const names = Object.keys(headers).toSorted();
  const fields = names.map((name) => `${name}:${headers[name]?.trim().replaceAll(/ +/gu, ' ')}\n`).join('');
  const canonicalRequest = [method, path, query, fields, names.join(';'), payloadHash].join('\n');
  const seed = signer.sign(
    ['AWS4-HMAC-SHA256', signer.timestamp, signer.scope, sha256Hex(canonicalRequest)].join('\n'),
  );
  noteSignature(seed);
  const framed = mode.startsWith('STREAMING-') ? frame(request, signer, seed) : Buffer.from(body);
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential.accessKey}/${signer.scope}, SignedHeaders=${names.join(';')}, Signature=${seed}`;
  return { headers: { ...headers, authorization, 'content-length': String(framed.length) }, body: framed };
}

function frame({ body, mode, chunkBytes = 65_536 }: RequestToSign, signer: Signer, seed: string): Buffer {
  const isSigned = mode.startsWith('STREAMING-AWS4-');
  let previous = seed;
  const next = (kind: 'PAYLOAD' | 'TRAILER', hashes: readonly string[]): string => {
    previous = signer.sign(
      [`AWS4-HMAC-SHA256-${kind}`, signer.timestamp, signer.scope, previous, ...hashes].join('\n'),
    );
    return previous;
  };
  const sizeLine = (bytes: Uint8Array): Buffer => {
    const signature = isSigned ? `;chunk-signature=${next('PAYLOAD', [sha256Hex(''), sha256Hex(bytes)])}` : '';
    return Buffer.from(`${bytes.length.toString(16)}${signature}\r\n`);
  };
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const bytes = body.subarray(at, at + chunkBytes);
    pieces.push(sizeLine(bytes), bytes, Buffer.from('\r\n'));
  }
  pieces.push(sizeLine(Buffer.alloc(0)));
  if (mode.endsWith('-TRAILER')) {
    const trailer = `x-amz-checksum-crc32:${crc32Base64(body)}`;
    pieces.push(Buffer.from(`${trailer}\r\n`));
    if (isSigned)
      pieces.push(Buffer.from(`x-amz-trailer-signature:${next('TRAILER', [sha256Hex(`${trailer}\n`)])}\r\n`));
  }
  return Buffer.concat([...pieces, Buffer.from('\r\n')]);
}

export interface UrlToPresign extends Pick<RequestToSign, 'credential' | 'method' | 'host' | 'path' | 'date'> {
  /** Further parameters, canonically encoded. */
  readonly query?: readonly string[];
  readonly expiresSeconds?: number;
  /** Header fields that must come with it besides Host; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** @returns path and query. */
export function presignS3Url(url: UrlToPresign): string {
  const { credential, method, host, path, date = new Date(), expiresSeconds = 300 } = url;
  const signer = createSigner(credential, date);
  const headers: Record<string, string> = { ...url.headers, host };
  const names = Object.keys(headers).toSorted();
  const query = [
    ...(url.query ?? []),
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(`${credential.accessKey}/${signer.scope}`)}`,
    `X-Amz-Date=${signer.timestamp}`,
    `X-Amz-Expires=${expiresSeconds}`,
    `X-Amz-SignedHeaders=${encodeURIComponent(names.join(';'))}`,
  ]
    .toSorted()
    .join('&');
  const fields = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const canonicalRequest = [method, path, query, fields, names.join(';'), 'UNSIGNED-PAYLOAD'].join('\n');
  const signature = signer.sign(
    ['AWS4-HMAC-SHA256', signer.timestamp, signer.scope, sha256Hex(canonicalRequest)].join('\n'),
  );
  noteSignature(signature);
  return `${path}?${query}&X-Amz-Signature=${signature}`;
}
