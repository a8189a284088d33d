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
import type { ObjectAddress, Storage } from './storage/storage.ts';
import type { ByteBudget } from './upload/body/byte-budget.ts';
import type { OpenUploads } from './upload/open-uploads/open-uploads.ts';
import type { UploadSettings } from './upload/operation-context.ts';
import { runOperation, takesBody } from './upload/operations/operations.ts';
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
}

/** How a request ended, for whoever watches. What is undefined was not reached. */
export interface Outcome {
  readonly request: HttpRequest;
  /** The name under which the bucket is configured. */
  readonly bucket: string | undefined;
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
  /** How long the request waited for an upload slot. */
  readonly queueMs: number | undefined;
  readonly response: HttpResponse;
  /** The S3 error code, `ClientGone`, or undefined for success. */
  readonly code: string | undefined;
  readonly error: unknown;
  readonly durationMs: number;
}

/** Sees one request from its start to its end. */
export interface RequestWatch {
  /** The bucket with its parts as this request shall use them. */
  enter(bucket: Bucket): Bucket;
  /** What the answer says of it. */
  readonly answerFields: HttpResponse['headers'];
  end(outcome: Outcome): void;
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
  readonly watch: (request: HttpRequest) => RequestWatch;
}

type Progress = { -readonly [Name in keyof Course]?: Course[Name] } & { bucket?: Bucket | undefined };
type Course = Pick<
  Outcome,
  'bucketName' | 'operation' | 'object' | 'principal' | 'decision' | 'authenticateMs' | 'queueMs'
>;

export function createRequestHandler(options: HandlerOptions): (request: HttpRequest) => Promise<HttpResponse> {
  return async (request) => {
    const statusAnswer = options.answerStatus(request);
    if (statusAnswer !== undefined) return completeAnswer(await statusAnswer, request, undefined);
    const startedAt = performance.now();
    const watch = options.watch(request);
    const progress: Progress = {};
    let response: HttpResponse | undefined;
    let error: unknown;
    try {
      response = await serve(request, { watch, progress }, options);
    } catch (caught) {
      error = caught;
      progress.bucket ??= options.findBucket(request.rawPath);
    }
    return conclude(request, { watch, progress, startedAt, response, error });
  };
}

/** Refuses what the server's edge will not take, and has it seen like any other request. */
export function createRefusal({
  findBucket,
  watch,
}: Pick<HandlerOptions, 'findBucket' | 'watch'>): (error: unknown, request: HttpRequest) => HttpResponse {
  return (error, request) => {
    const progress: Progress = { bucket: findBucket(request.rawPath) };
    const startedAt = performance.now();
    return conclude(request, { watch: watch(request), progress, startedAt, response: undefined, error });
  };
}

interface Ended {
  readonly watch: RequestWatch;
  readonly progress: Progress;
  readonly startedAt: number;
  /** Undefined: `error` is the reason. */
  readonly response: HttpResponse | undefined;
  readonly error: unknown;
}

function conclude(request: HttpRequest, { watch, progress, startedAt, ...ended }: Ended): HttpResponse {
  const { error } = ended;
  const response = ended.response ?? errorResponse(error, { requestId: request.id, resource: request.rawPath });
  watch.end({
    request,
    bucket: progress.bucket?.name,
    bucketName: progress.bucketName,
    operation: progress.operation,
    object: progress.object,
    principal: progress.principal,
    decision: progress.decision,
    authenticateMs: progress.authenticateMs,
    queueMs: progress.queueMs,
    response,
    code: ended.response === undefined ? codeOf(error) : undefined,
    error,
    durationMs: performance.now() - startedAt,
  });
  return completeAnswer(response, request, progress.bucket, watch.answerFields);
}

/** Adds what every answer carries, whoever gives it. */
function completeAnswer(
  response: HttpResponse,
  request: HttpRequest,
  bucket: Bucket | undefined,
  fields: HttpResponse['headers'] = [],
): HttpResponse {
  const corsFields = bucket?.cors?.fieldsFor(request) ?? [];
  return { ...response, headers: [...response.headers, ...corsFields, ['x-amz-request-id', request.id], ...fields] };
}

async function serve(
  request: HttpRequest,
  { watch, progress }: Pick<Ended, 'watch' | 'progress'>,
  options: HandlerOptions,
): Promise<HttpResponse> {
  const address = options.parseAddress(request.rawPath);
  progress.bucketName = address.bucketName;
  const bucket = (progress.bucket = watch.enter(address.bucket));
  bucket.checkAccess?.(request.clientIp);
  if (isPreflight(request)) return answerPreflight(bucket.cors, request.headers);
  const operation = (progress.operation = parseOperation(
    request,
    address.key,
    bucket.policy?.makesKeys === true && request.rawPath.endsWith('/'),
  ));
  const authenticatingAt = performance.now();
  const { principal, payload, headers } = await bucket.authenticate(request).finally(() => {
    progress.authenticateMs = performance.now() - authenticatingAt;
  });
  progress.principal = principal;
  // A presigned URL may carry in its query what must not pass in the header either.
  if (headers !== request.headers) screenRequest(operation.name, headers);
  const { backendBucket } = address;
  const admission = bucket.policy?.admit({ request, operation, backendBucket, key: address.key, principal, headers });
  const object = (progress.object = { bucket: backendBucket, key: admission?.key ?? address.key ?? '' });
  const settings = bucket.authorize === undefined ? bucket.settings : await authorize(bucket.authorize);
  if (!takesBody(operation)) return run();
  const queuedAt = performance.now();
  await options.slots.enter(() => request.signal);
  progress.queueMs = performance.now() - queuedAt;
  try {
    return await run();
  } finally {
    options.slots.leave();
  }

  /** @returns how the upload is to be carried out. */
  async function authorize(ask: Authorize): Promise<UploadSettings> {
    const asked = {
      request,
      operation: admission?.operation ?? operation,
      principal,
      headers: admission?.headers ?? headers,
      payload,
      resource: { bucket: address.bucketName, key: object.key, backendBucket },
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
    const operating = runOperation(admission?.operation ?? operation, {
      request,
      headers: admission?.headers ?? headers,
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
      settings,
      budget: options.budget,
      openUploads: options.openUploads,
    });
    const running = bucket.isNamedByClient ? operating.catch(tellNoSuchBucket) : operating;
    const fields = admission?.answerFields;
    if (fields === undefined || fields.length === 0) return running;
    return running.then((response) => ({ ...response, headers: [...response.headers, ...fields] }));
  }
}

/** Of a bucket that is configured by name the same is the operator's fault, and InternalError. */
function tellNoSuchBucket(error: unknown): never {
  const cause = error instanceof S3Error ? error.cause : undefined;
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'NoSuchBucket';
  throw isMissing ? new S3Error('NoSuchBucket', { cause }) : error;
}

function codeOf(error: unknown): string {
  if (error instanceof S3Error) return error.code;
  return error instanceof ClientGone ? 'ClientGone' : 'InternalError';
}
