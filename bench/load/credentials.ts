// What the arms are shown to let an upload in: a bearer token for ours, a SigV4 signature for S3 gateways.
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** Of this run only. */
export const jwtSecret = randomBytes(32).toString('hex');
export const accessKey = 'BENCHACCESSKEY';
export const secretKey = randomBytes(20).toString('hex');

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An HS256 token that lives for a day. */
export function bearerToken(): string {
  const issuedAt = Math.floor(Date.now() / 1000);
  const unsigned = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: 'bench', iat: issuedAt, exp: issuedAt + 86_400 })}`;
  return `${unsigned}.${createHmac('sha256', jwtSecret).update(unsigned).digest('base64url')}`;
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/**
 * Header fields that sign a PUT with an unsigned payload; good for fifteen minutes.
 * Source: AWS General Reference, "Signature Version 4 signing process"; `path` must need no encoding.
 */
export function signedHeaders(host: string, path: string): readonly string[] {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const names = 'host;x-amz-content-sha256;x-amz-date';
  const fields = `host:${host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:${time}\n`;
  const canonical = ['PUT', path, '', fields, names, 'UNSIGNED-PAYLOAD'].join('\n');
  const hashed = createHash('sha256').update(canonical).digest('hex');
  const key = ['us-east-1', 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${secretKey}`, time.slice(0, 8)));
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, hashed].join('\n')).toString('hex');
  return [
    'x-amz-content-sha256: UNSIGNED-PAYLOAD',
    `x-amz-date: ${time}`,
    `Authorization: AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  ];
}
