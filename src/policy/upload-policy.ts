// What a bucket asks of uploads by itself, decided once for each request, between authentication and authorization.
import type { Principal } from '../auth/principal.ts';
import type { UploadPolicyConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import { RequestHeaders, type HttpRequest } from '../http.ts';
import type { Operation } from '../routing/operation.ts';
import { encodeKey } from '../uri/percent-encode.ts';
import { createHeaderForcer } from './forced-headers.ts';
import { createMediaTypeSet, nameMediaType, readMediaType } from './media-type.ts';
import { createObjectKeys } from './object-key.ts';
import { createHeaderCheck } from './refused-headers.ts';
import { createContentSniffer, type BodyInspector } from './sniff-content.ts';
import { createUploadIds } from './upload-ids.ts';

export type { BodyInspector } from './sniff-content.ts';

export interface UploadPolicyOptions {
  /** The name under which the bucket is configured. */
  readonly bucket: string;
  readonly policy: UploadPolicyConfig;
  /** What ids of multipart uploads are sealed with; asked for only where they are. */
  readonly uploadIdSecret: () => string;
}

export interface PolicyQuestion {
  readonly request: Pick<HttpRequest, 'host' | 'isTls' | 'rawPath'>;
  readonly operation: Operation;
  readonly backendBucket: string;
  /** Decoded; undefined when the path names the bucket. */
  readonly key: string | undefined;
  readonly principal: Principal;
  readonly headers: RequestHeaders;
}

/** A request as it goes on: what authorization is asked about and what the operation runs with. */
export interface Admission {
  /** With the backend's upload id. */
  readonly operation: Operation;
  /** As the client addresses the object. */
  readonly clientKey: string;
  /** As the backend does. */
  readonly key: string;
  readonly headers: RequestHeaders;
  /** Looks at the body; undefined where nobody needs to. */
  readonly inspector: BodyInspector | undefined;
  /** From the backend's upload id to the client's. */
  readonly toClientUploadId: ((uploadId: string) => string) | undefined;
  /** Whether CompleteMultipartUpload must list part 1, the one whose bytes have been looked at. */
  readonly needsFirstPart: boolean;
  /** For the answer, when it is a success. */
  readonly answerFields: readonly (readonly [name: string, value: string])[];
}

export interface UploadPolicy {
  /** Whether the proxy names what is sent to the bucket's own path. */
  readonly makesKeys: boolean;
  /**
   * @returns undefined for what is no object's.
   * @throws S3Error AccessDenied (a key or a header that does not fit, a claim that is absent or not fit), UnsupportedMediaType,
   * InvalidRequest (metadata that is asked for is missing), PreconditionFailed (If-Match where nothing is replaced),
   * KeyTooLongError, NoSuchUpload (somebody else's).
   */
  admit(question: PolicyQuestion): Admission | undefined;
}

const noFields: Admission['answerFields'] = [];

/**
 * @returns undefined where the bucket asks for nothing.
 * @throws TypeError for a template or pattern that is none.
 */
export function createUploadPolicy(options: UploadPolicyOptions): UploadPolicy | undefined {
  const { policy } = options;
  if (asksNothing(policy)) return undefined;
  const checkHeaders = createHeaderCheck(policy.refusedHeaders);
  const keys = createObjectKeys(policy);
  const force = createHeaderForcer(policy.forcedHeaders);
  const readType = createTypeReader(policy);
  const ids =
    policy.bindMultipartToCreator || policy.sniffContentType
      ? createUploadIds({ bucket: options.bucket, secret: options.uploadIdSecret() })
      : undefined;

  return {
    makesKeys: keys.makesKeys,
    admit({ request, operation, backendBucket, key: givenKey, principal, headers }) {
      if (operation.name === 'HeadBucket' || operation.name === 'GetBucketLocation') return undefined;
      checkHeaders(operation.name, headers);
      const clientKey = givenKey ?? keys.makeKey(principal, headers.get('content-type'));
      const key = keys.finalKey(principal, clientKey);
      const scope = { backendBucket, key, creator: policy.bindMultipartToCreator ? principal : undefined };
      const isNew = operation.name === 'PutObject' || operation.name === 'CreateMultipartUpload';
      let type = isNew ? readType(headers) : '';
      const own = force(operation.name, headers, principal);
      const forced = type === '' ? own : nameMediaType(own);
      if (isNew) requireMetadata(forced, policy.requiredMetadata);
      // Before anything is made that could not be used afterwards.
      if (operation.name === 'CreateMultipartUpload') ids?.seal(scope, '', type);
      let admitted = operation;
      if (ids !== undefined && 'uploadId' in operation) {
        const { uploadId, declaredType } = ids.open(scope, operation.uploadId);
        admitted = { ...operation, uploadId };
        type = declaredType;
      }
      const isComplete = operation.name === 'CompleteMultipartUpload';
      const inspector =
        policy.sniffContentType && (isComplete || holdsFirstBytes(operation)) ? createContentSniffer(type) : undefined;
      return {
        operation: admitted,
        clientKey,
        key,
        headers: policy.overwrite === 'deny' ? denyOverwrite(operation.name, forced) : forced,
        inspector: isComplete ? undefined : inspector,
        toClientUploadId: ids && ((uploadId) => ids.seal(scope, uploadId, type)),
        needsFirstPart: isComplete && inspector !== undefined,
        answerFields: givenKey === undefined ? addressOf(request, clientKey) : noFields,
      };
    },
  };
}

function asksNothing(policy: UploadPolicyConfig): boolean {
  return (
    policy.allowedContentTypes.length === 0 &&
    !policy.sniffContentType &&
    policy.overwrite === 'allow' &&
    policy.keyPrefix === '' &&
    policy.keyPattern === '' &&
    policy.keyTemplate === '' &&
    policy.requiredMetadata.length === 0 &&
    policy.refusedHeaders.length === 0 &&
    Object.keys(policy.forcedHeaders).length === 0 &&
    !policy.bindMultipartToCreator
  );
}

/** @returns what a body is declared to be, '' where nobody asks. @throws S3Error UnsupportedMediaType. */
function createTypeReader({
  allowedContentTypes,
  sniffContentType,
}: UploadPolicyConfig): (headers: RequestHeaders) => string {
  if (allowedContentTypes.length === 0 && !sniffContentType) return () => '';
  const allowed = allowedContentTypes.length === 0 ? undefined : createMediaTypeSet(allowedContentTypes);
  return (headers) => {
    const type = readMediaType(headers.get('content-type'));
    if (type === undefined || allowed?.has(type) === false) throw new S3Error('UnsupportedMediaType');
    if (sniffContentType && isEncoded(headers)) {
      throw new S3Error('UnsupportedMediaType', {
        detail: 'This bucket looks into bodies, and takes none with a Content-Encoding.',
      });
    }
    return type;
  };
}

/** Of aws-chunked nothing is left in the body that is looked at. */
function isEncoded(headers: RequestHeaders): boolean {
  const codings = headers.get('content-encoding')?.toLowerCase().split(',') ?? [];
  return codings.some((coding) => !['', 'aws-chunked', 'identity'].includes(coding.trim()));
}

function holdsFirstBytes(operation: Operation): boolean {
  return operation.name === 'PutObject' || (operation.name === 'UploadPart' && operation.partNumber === 1);
}

function requireMetadata(headers: RequestHeaders, names: readonly string[]): void {
  for (const name of names) {
    const field = `x-amz-meta-${name}`;
    // Of several that are empty, what joins them would count as a value.
    if ([...headers].some(([one, value]) => one === field && value.trim() !== '')) continue;
    throw new S3Error('InvalidRequest', { detail: `The header ${field} is required.` });
  }
}

/** The backend decides, at the moment in which the object would become visible. */
function denyOverwrite(operation: Operation['name'], headers: RequestHeaders): RequestHeaders {
  if (operation !== 'PutObject' && operation !== 'CompleteMultipartUpload') return headers;
  // It asks for an object to be replaced.
  if (headers.has('if-match')) throw new S3Error('PreconditionFailed');
  if (headers.has('if-none-match')) return headers;
  return new RequestHeaders([...[...headers].flat(), 'if-none-match', '*']);
}

/** @param request whose path is the bucket's, with a slash behind it. */
function addressOf({ isTls, host, rawPath }: PolicyQuestion['request'], key: string): Admission['answerFields'] {
  const encoded = encodeKey(key);
  return [
    ['Location', `${isTls ? 'https' : 'http'}://${host}${rawPath}${encoded}`],
    ['x-mizuchi-key', encoded],
  ];
}
