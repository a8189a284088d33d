// Puts a request to the policy engines of its bucket, and holds it to the bounds that they set.
import type { Principal } from './auth/principal.ts';
import type { Action, Obligations, Question } from './authz/authorizer.ts';
import type { Authorize } from './authz/create-authorizer.ts';
import type { Verdict } from './authz/merge-verdicts.ts';
import { S3Error } from './errors.ts';
import type { HttpRequest, RequestHeaders } from './http.ts';
import type { Payload } from './payload.ts';
import { createMediaTypeSet, nameMediaType, readMediaType } from './policy/media-type.ts';
import type { Operation } from './routing/operation.ts';

/** How a request was decided, for logs and metrics. */
export interface RequestDecision {
  /** The one that refused; else all that were asked: `opa`, `openfga`, `opa+openfga`. */
  readonly engine: string;
  readonly allow: boolean;
  /** Nobody was asked for this very question. */
  readonly cached: boolean;
  /** Of a refusal, the first 256 characters of the engine's words, which may hold all that it was asked. */
  readonly reason: string | undefined;
  /** Engines that could not be asked, where that lets through. */
  readonly failedOpen: readonly string[];
}

export interface RequestToAuthorize {
  readonly request: HttpRequest;
  /** As the backend will see it, and so the key and the fields. */
  readonly operation: Operation;
  readonly principal: Principal;
  readonly headers: RequestHeaders;
  readonly payload: Payload;
  readonly resource: Question['resource'];
}

/** What is known of the decision when the request ends, however it ends. */
export interface DecisionProgress {
  decision?: RequestDecision | undefined;
  /** How long the request waited for it, cached or failed ones included. */
  authorizeMs?: number | undefined;
}

/** What an allowed upload is held to. */
export interface Permission {
  /** The fields as they go on. */
  readonly headers: RequestHeaders;
  readonly maxObjectBytes: number;
}

const maxReasonChars = 256;

const actions: Readonly<Record<Operation['name'], Action | undefined>> = {
  PutObject: 'upload',
  CreateMultipartUpload: 'upload',
  UploadPart: 'upload',
  CompleteMultipartUpload: 'upload',
  AbortMultipartUpload: 'abort',
  ListParts: 'list_parts',
  // Answered from the configuration.
  HeadBucket: undefined,
  GetBucketLocation: undefined,
};

/**
 * Nobody is asked about what is answered from the configuration.
 * @throws S3Error AccessDenied when it is refused, or keeps to no bound of those that it is allowed with; UnsupportedMediaType;
 * ServiceUnavailable when an engine cannot be asked; what the request's signal was aborted with.
 */
export async function authorizeRequest(
  authorize: Authorize,
  asked: RequestToAuthorize,
  progress: DecisionProgress,
): Promise<Permission> {
  const { operation, headers, request } = asked;
  const action = actions[operation.name];
  if (action === undefined) return { headers, maxObjectBytes: Infinity };
  // Of a client that has left, the address is not known any more.
  request.signal.throwIfAborted();
  const question = toQuestion(action, asked);
  const askedAt = performance.now();
  let verdict: Verdict;
  try {
    verdict = await authorize(question);
  } finally {
    progress.authorizeMs = performance.now() - askedAt;
    // Whatever became of the question: it is of nobody's interest any more.
    request.signal.throwIfAborted();
  }
  const { decision, engine, cached, failedOpen } = verdict;
  const reason = decision.allow ? undefined : decision.reason?.slice(0, maxReasonChars);
  progress.decision = { engine, allow: decision.allow, cached, reason, failedOpen };
  if (!decision.allow) throw new S3Error('AccessDenied');
  if (decision.obligations === undefined) return { headers, maxObjectBytes: Infinity };
  const { maxObjectBytes = Infinity } = decision.obligations;
  return { headers: enforceObligations(decision.obligations, asked), maxObjectBytes };
}

function toQuestion(action: Action, asked: RequestToAuthorize): Question {
  const { request, operation, principal, headers, resource } = asked;
  return {
    principal,
    action,
    resource,
    context: {
      operation: operation.name,
      method: request.method,
      clientIp: request.clientIp,
      contentLength: payloadBytes(asked),
      contentType: headers.get('content-type'),
      userAgent: headers.get('user-agent'),
      uploadId: 'uploadId' in operation ? operation.uploadId : undefined,
      partNumber: 'partNumber' in operation ? operation.partNumber : undefined,
      metadata: readMetadata(headers),
    },
  };
}

function payloadBytes({ request, headers, payload }: RequestToAuthorize): number | undefined {
  if (payload.kind === 'plain') return request.body.length;
  const text = headers.get('x-amz-decoded-content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

const metadataPrefix = 'x-amz-meta-';
const noMetadata: Question['context']['metadata'] = Object.freeze({});

function readMetadata(headers: RequestHeaders): Question['context']['metadata'] {
  let names: Set<string> | undefined;
  for (const [name] of headers) if (name.startsWith(metadataPrefix)) (names ??= new Set()).add(name);
  if (names === undefined) return noMetadata;
  return Object.fromEntries([...names].map((name) => [name.slice(metadataPrefix.length), headers.get(name) ?? '']));
}

/**
 * `maxObjectBytes` is not looked at here: sizes are for whoever reads the body.
 * @returns the fields as they go on.
 * @throws S3Error AccessDenied, UnsupportedMediaType.
 */
export function enforceObligations(
  { keyPrefix = '', allowedContentTypes }: Obligations,
  { operation, headers, resource }: Pick<RequestToAuthorize, 'operation' | 'headers' | 'resource'>,
): RequestHeaders {
  if (!resource.key.startsWith(keyPrefix)) throw new S3Error('AccessDenied');
  // The others say nothing of an object's type.
  const isNew = operation.name === 'PutObject' || operation.name === 'CreateMultipartUpload';
  if (allowedContentTypes === undefined || !isNew) return headers;
  const type = readMediaType(headers.get('content-type'));
  if (type === undefined || !createMediaTypeSet(allowedContentTypes).has(type)) {
    throw new S3Error('UnsupportedMediaType');
  }
  return nameMediaType(headers);
}
