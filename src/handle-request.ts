// One request from start to end: bucket and operation, authenticate, authorize, wait for a slot, run, report the outcome.
import type { Authenticator, Principal } from './auth/authenticate.ts';
import { decideRequest, enforceObligations, type RequestDecision } from './authorize-request.ts';
import type { Authorize } from './authz/create-authorizer.ts';
import { answerPreflight, isPreflight, type CorsPolicy } from './cors.ts';
import { errorResponse } from './error-response.ts';
import { S3Error } from './errors.ts';
import { ClientGone, type HttpRequest, type HttpResponse } from './http.ts';
import type { AccessCheck } from './policy/access-list.ts';
import type { UploadPolicy } from './policy/upload-policy.ts';
import type { AddressParser } from './routing/parse-address.ts';
import { parseOperation, type Operation } from './routing/parse-operation.ts';
import { screenRequest } from './routing/screen-request.ts';
import type { Storage } from './storage/storage.ts';
import type { ByteBudget } from './upload/body/byte-budget.ts';
import type { OpenUploads } from './upload/open-uploads/open-uploads.ts';
import type { UploadSettings } from './upload/operation-context.ts';
import { runOperation, takesBody } from './upload/operations/operations.ts';
import type { UploadSlots } from './upload/upload-slots.ts';

/** A configured bucket with everything that serves it. */
export interface Bucket {
  readonly name: string;
  readonly region: string;
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
}

/** How a request ended, for logs and metrics. */
export interface Outcome {
  readonly request: HttpRequest;
  readonly bucket: string | undefined;
  readonly operation: Operation['name'] | undefined;
  readonly principal: Principal | undefined;
  /** Undefined where nobody was asked, or nobody could be. */
  readonly decision: RequestDecision | undefined;
  readonly status: number;
  /** The S3 error code, `ClientGone`, or undefined for success. */
  readonly code: string | undefined;
  readonly error: unknown;
  readonly durationMs: number;
}

export interface HandlerOptions {
  readonly parseAddress: AddressParser<Bucket>;
  /** The bucket of a path that `parseAddress` refuses, if there is one. */
  readonly findBucket: (rawPath: string) => Bucket | undefined;
  readonly slots: UploadSlots;
  readonly budget: ByteBudget;
  readonly openUploads: OpenUploads;
  /** Answers what is not S3: health and the like. */
  readonly answerStatus: (request: HttpRequest) => Promise<HttpResponse> | undefined;
  readonly onOutcome: (outcome: Outcome) => void;
}

interface Progress {
  bucket?: Bucket | undefined;
  operation?: Operation;
  principal?: Principal;
  decision?: RequestDecision;
}

export function createRequestHandler(options: HandlerOptions): (request: HttpRequest) => Promise<HttpResponse> {
  return async (request) => {
    const startedAt = performance.now();
    const progress: Progress = {};
    let error: unknown;
    let response: HttpResponse;
    try {
      response = await (options.answerStatus(request) ?? serve(request, progress, options));
    } catch (caught) {
      error = caught;
      progress.bucket ??= options.findBucket(request.rawPath);
      response = errorResponse(caught, { requestId: request.id, resource: request.rawPath });
    }
    options.onOutcome({
      request,
      bucket: progress.bucket?.name,
      operation: progress.operation?.name,
      principal: progress.principal,
      decision: progress.decision,
      status: response.status,
      code: error === undefined ? undefined : codeOf(error),
      error,
      durationMs: performance.now() - startedAt,
    });
    return completeAnswer(response, request, progress.bucket);
  };
}

/** Adds what every answer carries, whoever gives it. */
export function completeAnswer(response: HttpResponse, request: HttpRequest, bucket: Bucket | undefined): HttpResponse {
  const corsFields = bucket?.cors?.fieldsFor(request) ?? [];
  return { ...response, headers: [...response.headers, ...corsFields, ['x-amz-request-id', request.id]] };
}

async function serve(request: HttpRequest, progress: Progress, options: HandlerOptions): Promise<HttpResponse> {
  const address = options.parseAddress(request.rawPath);
  const bucket = (progress.bucket = address.bucket);
  bucket.checkAccess?.(request.clientIp);
  if (isPreflight(request)) return answerPreflight(bucket.cors, request.headers);
  const operation = (progress.operation = parseOperation(
    request,
    address.key,
    bucket.policy?.makesKeys === true && request.rawPath.endsWith('/'),
  ));
  const { principal, payload, headers } = await bucket.authenticate(request);
  progress.principal = principal;
  // A presigned URL may carry in its query what must not pass in the header either.
  if (headers !== request.headers) screenRequest(operation.name, headers);
  const { backendBucket } = address;
  const admission = bucket.policy?.admit({ request, operation, backendBucket, key: address.key, principal, headers });
  const settings = bucket.authorize === undefined ? bucket.settings : await authorize(bucket.authorize);
  if (!takesBody(operation)) return run();
  await options.slots.enter(() => request.signal);
  try {
    return await run();
  } finally {
    options.slots.leave();
  }

  /** @returns how the upload is to be carried out. */
  async function authorize(ask: Authorize): Promise<UploadSettings> {
    const key = admission?.key ?? address.key ?? '';
    const asked = {
      request,
      operation: admission?.operation ?? operation,
      principal,
      headers: admission?.headers ?? headers,
      payload,
      resource: { bucket: address.bucketName, key, backendBucket },
    };
    const permission = await decideRequest(ask, asked);
    if (permission === undefined) return bucket.settings;
    progress.decision = permission.decision;
    if (!permission.decision.allow) throw new S3Error('AccessDenied');
    if (permission.obligations === undefined) return bucket.settings;
    enforceObligations(permission.obligations, asked);
    const { maxObjectBytes = Infinity } = permission.obligations;
    return { ...bucket.settings, maxObjectBytes: Math.min(bucket.settings.maxObjectBytes, maxObjectBytes) };
  }

  function run(): Promise<HttpResponse> {
    const clientKey = admission?.clientKey ?? address.key ?? '';
    const running = runOperation(admission?.operation ?? operation, {
      request,
      headers: admission?.headers ?? headers,
      payload,
      clientBucket: address.bucketName,
      configuredBucket: bucket.name,
      clientKey,
      object: { bucket: backendBucket, key: admission?.key ?? clientKey },
      toClientUploadId: admission?.toClientUploadId,
      inspector: admission?.inspector,
      needsFirstPart: admission?.needsFirstPart ?? false,
      region: bucket.region,
      storage: bucket.storage,
      settings,
      budget: options.budget,
      openUploads: options.openUploads,
    });
    const fields = admission?.answerFields;
    if (fields === undefined || fields.length === 0) return running;
    return running.then((response) => ({ ...response, headers: [...response.headers, ...fields] }));
  }
}

function codeOf(error: unknown): string {
  if (error instanceof S3Error) return error.code;
  return error instanceof ClientGone ? 'ClientGone' : 'InternalError';
}
