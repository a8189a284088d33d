// Makes URLs that carry a SigV4 signature in their query, for whoever has no credential to sign with.
// Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters".
import { hash } from 'node:crypto';
import { parseQuery, type QueryParameter } from '../../uri/parse-query.ts';
import { canonicalPath, canonicalQuery, canonicalValue, writeCanonicalRequest } from './canonical-request.ts';
import { createSigningKeys } from './signing-keys.ts';
import { formatTimestamp } from './timestamp.ts';

export interface PresignOptions {
  readonly method: string;
  /** Scheme, host, path and perhaps a query; the key in it percent-encoded. */
  readonly url: string;
  readonly credential: {
    readonly accessKey: string;
    readonly secretKey: string;
    readonly sessionToken?: string;
  };
  readonly region: string;
  readonly service: string;
  /** 1 to 604,800. */
  readonly expiresSeconds: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Fields that the request must then be sent with exactly so, beside Host; names in any case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws RangeError for a time that no presigned URL can have; TypeError for a URL that is none; S3Error InvalidURI. */
export function presignUrl(options: PresignOptions): string {
  const { method, credential, region, service, expiresSeconds, nowMs, headers = {} } = options;
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > 604_800) {
    throw new RangeError('a presigned URL is good for 1 to 604800 seconds');
  }
  const url = new URL(options.url);
  const timestamp = formatTimestamp(nowMs);
  const key = createSigningKeys(credential.secretKey, { region, service })(timestamp.slice(0, 8));
  const fields = new Map(
    [
      ['host', url.host] as const,
      ...Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const),
    ]
      .map(([name, value]) => [name, canonicalValue(value)] as const)
      .toSorted(([name], [other]) => (name < other ? -1 : 1)),
  );
  const parameters: QueryParameter[] = [
    ...parseQuery(url.search.slice(1)),
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${credential.accessKey}/${key.scope}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', [...fields.keys()].join(';')],
  ];
  if (credential.sessionToken !== undefined) parameters.push(['X-Amz-Security-Token', credential.sessionToken]);
  const path = canonicalPath(url.pathname);
  const query = canonicalQuery(parameters);
  const payloadHash = fields.get('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  const canonicalRequest = writeCanonicalRequest({ method, path, query, fields, payloadHash });
  const signature = key.hmac(
    `AWS4-HMAC-SHA256\n${timestamp}\n${key.scope}\n${hash('sha256', canonicalRequest, 'hex')}`,
  );
  return `${url.origin}${path}?${query}&X-Amz-Signature=${signature}`;
}
