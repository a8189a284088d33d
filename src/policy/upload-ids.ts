// Ids of multipart uploads that only their creator can use: the backend's id with a message authentication code.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../auth/principal.ts';
import { S3Error } from '../errors.ts';

/** What an id is good for. */
export interface UploadScope {
  readonly backendBucket: string;
  /** The final one. */
  readonly key: string;
  /** Undefined where uploads are not bound to whoever creates them. */
  readonly creator: Principal | undefined;
}

export interface OpenedUploadId {
  /** The backend's. */
  readonly uploadId: string;
  /** As it was sealed. */
  readonly declaredType: string;
}

export interface UploadIds {
  /**
   * @param declaredType content type, or '' where it does not matter.
   * @returns the id for the client: the backend's, the type in base64url, and the code, with dots between.
   * @throws S3Error AccessDenied for a creator without a name: all such would be one.
   */
  seal(scope: UploadScope, uploadId: string, declaredType: string): string;
  /** @throws S3Error NoSuchUpload for an id that was not sealed for this scope: nothing is told of what others have. */
  open(scope: UploadScope, clientUploadId: string): OpenedUploadId;
}

export interface UploadIdsOptions {
  /** The name under which the bucket is configured. */
  readonly bucket: string;
  /** Of any length and at least 128 bits of entropy; equal on all proxies that serve the bucket. */
  readonly secret: string;
}

export function createUploadIds({ bucket, secret }: UploadIdsOptions): UploadIds {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'mizuchi-uploadr upload id v1', 32));

  // JSON, for it divides what it holds: no two lists of texts come to one text.
  const code = ({ backendBucket, key: objectKey, creator }: UploadScope, uploadId: string, type: string): string =>
    createHmac('sha256', key)
      .update(JSON.stringify([bucket, backendBucket, objectKey, creator && identify(creator), uploadId, type]))
      .digest('base64url');

  const seal = (scope: UploadScope, uploadId: string, type: string): string =>
    `${uploadId}.${Buffer.from(type).toString('base64url')}.${code(scope, uploadId, type)}`;

  return {
    seal,
    open(scope, clientUploadId) {
      const codeAt = clientUploadId.lastIndexOf('.');
      const typeAt = clientUploadId.lastIndexOf('.', codeAt - 1);
      if (codeAt <= 0 || typeAt <= 0) throw new S3Error('NoSuchUpload');
      const uploadId = clientUploadId.slice(0, typeAt);
      const declaredType = Buffer.from(clientUploadId.slice(typeAt + 1, codeAt), 'base64url').toString();
      // All of it anew, so that no second spelling of an id is one.
      if (!isEqual(seal(scope, uploadId, declaredType), clientUploadId)) throw new S3Error('NoSuchUpload');
      return { uploadId, declaredType };
    },
  };
}

/** One user of one issuer; or whoever an access key stands for, so that a key may be replaced while an upload goes on. */
function identify(principal: Principal): readonly unknown[] {
  switch (principal.kind) {
    case 'jwt':
      if (principal.subject === undefined || principal.subject === '') {
        throw new S3Error('AccessDenied', { cause: new Error('a token without sub cannot own an upload') });
      }
      return ['jwt', principal.claims['iss'] ?? null, principal.subject];
    case 'sigv4':
      return ['sigv4', principal.subject];
    case 'anonymous':
      return ['anonymous'];
  }
}

function isEqual(expected: string, given: string): boolean {
  const a = Buffer.from(expected);
  const b = Buffer.from(given);
  return a.length === b.length && timingSafeEqual(a, b);
}
