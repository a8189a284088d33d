// What is asked of the proxy and how it ended: every request is answered, and whoever watches is told.
import { errorResponse } from './error-response.ts';
import { S3Error } from './errors.ts';
import { ClientGone, type HttpRequest, type HttpResponse } from './http.ts';
import {
  operationOf,
  serveRequest,
  type Bucket,
  type Course,
  type Progress,
  type ServeOptions,
} from './serve-request.ts';

export type { Bucket } from './serve-request.ts';

/** How a request ended, for whoever watches. */
export interface Outcome extends Course {
  readonly request: HttpRequest;
  /** The name under which the bucket is configured. */
  readonly bucket: string | undefined;
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

export interface HandlerOptions extends ServeOptions {
  /** Answers what is not S3: health and the like. */
  readonly answerStatus: (request: HttpRequest) => Promise<HttpResponse> | undefined;
  readonly watch: (request: HttpRequest) => RequestWatch;
}

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
      response = await serveRequest(request, { watch, progress }, options);
    } catch (caught) {
      error = caught;
      if (progress.operation === undefined) identify(request, progress, options);
    }
    return conclude(request, { watch, progress, startedAt, response, error });
  };
}

/** Refuses what the server's edge will not take, and has it seen like any other request. */
export function createRefusal(
  options: Pick<HandlerOptions, 'parseAddress' | 'findBucket' | 'watch'>,
): (error: unknown, request: HttpRequest) => HttpResponse {
  return (error, request) => {
    const progress: Progress = {};
    const startedAt = performance.now();
    identify(request, progress, options);
    return conclude(request, { watch: options.watch(request), progress, startedAt, response: undefined, error });
  };
}

/** Finds out what was asked for, where a request was refused before that was known. */
function identify(
  request: HttpRequest,
  progress: Progress,
  options: Pick<HandlerOptions, 'parseAddress' | 'findBucket'>,
): void {
  try {
    const address = options.parseAddress(request.rawPath);
    progress.bucketName ??= address.bucketName;
    progress.bucket ??= address.bucket;
    progress.operation ??= operationOf(request, address);
  } catch {
    // What is wrong with it besides is not what it is refused for.
    progress.bucket ??= options.findBucket(request.rawPath);
  }
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
    authorizeMs: progress.authorizeMs,
    queueMs: progress.queueMs,
    reserveMs: progress.reserveMs,
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

function codeOf(error: unknown): string {
  if (error instanceof S3Error) return error.code;
  return error instanceof ClientGone ? 'ClientGone' : 'InternalError';
}
