// What may be shown of a canonical request: the values of what is known to hold no credential; all others are masked.
import type { CanonicalRequest } from './canonical-request.ts';

/**
 * Names, and no patterns: a new field of AWS's may hold a credential, as x-amz-security-token, x-amz-s3session-token, x-amz-mfa and
 * the customer's keys do, and metadata may hold anything.
 */
const shownFields: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'amz-sdk-invocation-id',
  'amz-sdk-request',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'expect',
  'expires',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'range',
  'user-agent',
  'x-amz-acl',
  'x-amz-checksum-algorithm',
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-crc64nvme',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
  'x-amz-checksum-type',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-expected-bucket-owner',
  'x-amz-mp-object-size',
  'x-amz-object-lock-legal-hold',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-request-payer',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-trailer',
  'x-amz-user-agent',
]);

/** In lower case; a presigned URL may carry fields too. Not `uploadId`, with which an upload can be gone on with. */
const shownParameters: ReadonlySet<string> = new Set([
  ...shownFields,
  'location',
  'max-parts',
  'part-number-marker',
  'partnumber',
  'uploads',
  'versionid',
  'x-amz-algorithm',
  'x-amz-expires',
  'x-amz-signedheaders',
  'x-id',
]);

const mask = '***';

export function maskSecrets(canonical: CanonicalRequest): CanonicalRequest {
  const fields = new Map(canonical.fields);
  for (const name of fields.keys()) if (!shownFields.has(name)) fields.set(name, mask);
  return { ...canonical, fields, query: canonical.query.split('&').map(maskParameter).join('&') };
}

function maskParameter(parameter: string): string {
  const at = parameter.indexOf('=');
  const name = parameter.slice(0, at).toLowerCase();
  // An empty query.
  if (at === -1 || shownParameters.has(name)) return parameter;
  // An access key, which may hold slashes, and the four parts of the scope.
  const scope = name === 'x-amz-credential' ? parameter.split('%2F').slice(1).slice(-4) : [];
  return `${parameter.slice(0, at)}=${[mask, ...scope].join('%2F')}`;
}
