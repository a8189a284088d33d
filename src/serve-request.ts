// One request from its bucket to its answer: authenticate, authorize, wait for a slot, run.
import type { Authenticator, Principal } from './auth/authenticate.ts';
import { authorizeRequest, type RequestDecision } from './authorize-request.ts';
import type { Authorize } from './authz/create-authorizer.ts';
import { answerPreflight, isPreflight, refuseForeignPage, type CorsPolicy } from './cors.ts';
import { S3Error } from './errors.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import type { AccessCheck } from './policy/access-list.ts';
import type { UploadPolicy } from './policy/upload-policy.ts';
import type { Address, AddressParser } from './routing/parse-address.ts';
import { parseOperation, type Operation } from './routing/parse-operation.ts';
import { screenRequest } from './routing/screen-request.ts';
import type { ObjectAddress, Storage } from './storage/storage.ts';
import type { ByteBudget } from './upload/body/byte-budget.ts';
import type { OpenUploads } from './upload/open-uploads/open-uploads.ts';
import type { OperationContext, UploadSettings } from './upload/operation-context.ts';
import { checkHead, runOperation, takesBody } from './upload/operations/operations.ts';
import type { UploadSlots } from './upload/upload-slots.ts';

/** A configured bucket with everything that serves it. */
export interface Bucket {
  readonly name: string;
  readonly region: string;
  /** Whether the backend's bucket is whatever the client names: then it may not be there. */
  readonly isNamedByClient: boolean;
  readonly storage: Storage;
  readonly authenticate: Authenticator;
  readonly settings: UploadSettings;
  /** Undefined: every address may come. */
  readonly checkAccess: AccessCheck | undefined;
  /** Undefined: the bucket asks for nothing by itself. */
  readonly policy: UploadPolicy | undefined;
  /** Undefined: whoever is authenticated may do what the bucket allows. */
  readonly authorize: Authorize | undefined;
  readonly cors: CorsPolicy | undefined;
  /** As in `OperationContext`. */
  readonly refusedChecksums: OperationContext['refusedChecksums'];
}

/** What is known of a request by its end. What is undefined was not reached. */
export interface Course {
  /** As the client names the bucket. */
  readonly bucketName: string | undefined;
  readonly operation: Operation | undefined;
  /** In the backend. */
  readonly object: ObjectAddress | undefined;
  readonly principal: Principal | undefined;
  /** Undefined too where nobody is asked, or nobody could be. */
  readonly decision: RequestDecision | undefined;
  /** How long authentication took. */
  readonly authenticateMs: number | undefined;
  /** How long the request waited for its decision, cached or failed ones included; undefined where nobody is asked. */
  readonly authorizeMs: number | undefined;
  /** How long the request waited for an upload slot. */
  readonly queueMs: number | undefined;
  /** How long it waited for memory to be set aside, which is before anything is asked of the backend. */
  readonly reserveMs: number | undefined;
}

/** Filled in on the way, so that it is there when the request fails. */
export type Progress = { -readonly [Name in keyof Course]?: Course[Name] } & { bucket?: Bucket | undefined };

export interface ServeOptions {
  readonly parseAddress: AddressParser<Bucket>;
  /** The bucket of a path that `parseAddress` refuses, if there is one. */
  readonly findBucket: (rawPath: string) => Bucket | undefined;
  readonly slots: UploadSlots;
  readonly budget: ByteBudget;
  readonly openUploads: OpenUploads;
}

/** @param watch gives the bucket with its parts as this request shall use them. */
export async function serveRequest(
  request: HttpRequest,
  { watch, progress }: { readonly watch: { enter(bucket: Bucket): Bucket }; readonly progress: Progress },
  options: ServeOptions,
): Promise<HttpResponse> {
  // Before all that could refuse it: of a request whose preflight is refused, the page is never told why.
  const preflighted = isPreflight(request) ? options.findBucket(request.rawPath) : undefined;
  if (preflighted !== undefined) {
    progress.bucket = watch.enter(preflighted);
    return answerPreflight(preflighted.cors, request.headers);
  }
  const address = options.parseAddress(request.rawPath);
  progress.bucketName = address.bucketName;
  const bucket = (progress.bucket = watch.enter(address.bucket));
  bucket.checkAccess?.(request.clientIp);
  const operation = (progress.operation = operationOf(request, address));
  const authenticatingAt = performance.now();
  const { principal, payload, headers, isByCookie, claim } = await bucket.authenticate(request).finally(() => {
    progress.authenticateMs = performance.now() - authenticatingAt;
  });
  progress.principal = principal;
  if (isByCookie) refuseForeignPage(bucket.cors, request);
  // A presigned URL may carry in its query what must not pass in the header either.
  if (headers !== request.headers) screenRequest(operation.name, headers);
  const { backendBucket } = address;
  const admission = bucket.policy?.admit({ request, operation, backendBucket, key: address.key, principal, headers });
  const object = (progress.object = { bucket: backendBucket, key: admission?.key ?? address.key ?? '' });
  const asked = {
    request,
    operation: admission?.operation ?? operation,
    principal,
    headers: admission?.headers ?? headers,
    payload,
    resource: { bucket: address.bucketName, key: object.key, backendBucket },
  };
  const permission = bucket.authorize && (await authorizeRequest(bucket.authorize, asked, progress));
  if (!takesBody(operation)) return claimAndRun();
  const queuedAt = performance.now();
  try {
    await options.slots.enter(() => request.signal);
  } finally {
    progress.queueMs = performance.now() - queuedAt;
  }
  try {
    return await claimAndRun();
  } finally {
    options.slots.leave();
  }

  function claimAndRun(): Promise<HttpResponse> {
    const context = createContext();
    return claim === undefined ? run(context) : claimBefore(claim, context);
  }

  async function claimBefore(claiming: () => Promise<void>, context: OperationContext): Promise<HttpResponse> {
    checkHead(asked.operation, context);
    const claimingAt = performance.now() - (progress.authenticateMs ?? 0);
    await claiming().finally(() => {
      progress.authenticateMs = performance.now() - claimingAt;
    });
    return run(context);
  }

  function createContext(): OperationContext {
    return {
      request,
      headers: permission?.headers ?? asked.headers,
      payload,
      clientBucket: address.bucketName,
      configuredBucket: bucket.name,
      clientKey: admission?.clientKey ?? address.key ?? '',
      object,
      toClientUploadId: admission?.toClientUploadId,
      inspector: admission?.inspector,
      needsFirstPart: admission?.needsFirstPart ?? false,
      region: bucket.region,
      storage: bucket.storage,
      refusedChecksums: bucket.refusedChecksums,
      settings: narrow(bucket.settings, permission?.maxObjectBytes),
      budget: options.budget,
      openUploads: options.openUploads,
      progress,
    };
  }

  function run(context: OperationContext): Promise<HttpResponse> {
    const operating = runOperation(asked.operation, context);
    const running = bucket.isNamedByClient ? operating.catch(tellNoSuchBucket) : operating;
    const fields = admission?.answerFields;
    if (fields === undefined || fields.length === 0) return running;
    return running.then((response) => ({ ...response, headers: [...response.headers, ...fields] }));
  }
}

/** @throws as `parseOperation`. */
export function operationOf(request: HttpRequest, { bucket, key }: Address<Bucket>): Operation {
  return parseOperation(request, key, bucket.policy?.makesKeys === true && request.rawPath.endsWith('/'));
}

function narrow(settings: UploadSettings, maxObjectBytes = Infinity): UploadSettings {
  return maxObjectBytes < settings.maxObjectBytes ? { ...settings, maxObjectBytes } : settings;
}

/** Of a bucket that is configured by name the same is the operator's fault, and InternalError. */
function tellNoSuchBucket(error: unknown): never {
  const cause = error instanceof S3Error ? error.cause : undefined;
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'NoSuchBucket';
  throw isMissing ? new S3Error('NoSuchBucket', { cause }) : error;
}
