// The span of a request, and of the stages that it goes through.
import { SpanKind, type Attributes } from '@opentelemetry/api';
import type { Authentication } from '../../auth/authentication.ts';
import type { Verdict } from '../../authz/merge-verdicts.ts';
import type { TracingConfig } from '../../config/config.ts';
import type { Outcome } from '../../handle-request.ts';
import type { HttpRequest } from '../../http.ts';
import type { RequestFigures, RequestSpan, StageSpan } from '../observer.ts';
import type { StorageCall } from '../watched-storage.ts';
import { addressAttributes } from './address-attributes.ts';
import { names, ownNames } from './attributes.ts';
import { codeOf } from './failure.ts';
import { RecordedSpan, type RecordedTrace } from './recorded-span.ts';
import { RecordedStorageSpan, waitAttributes, type StorageCallKinds } from './storage-span.ts';

export interface RequestSpanOptions extends Pick<TracingConfig, 'includeKeys' | 'includeSubject'> {
  /** Of a bucket, by its name in the configuration. */
  readonly callKinds: ReadonlyMap<string, StorageCallKinds>;
}

const knownMethods: ReadonlySet<string> = new Set([
  'PUT',
  'POST',
  'GET',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
]);
const maxUserAgentLength = 128;

export class RecordedRequest extends RecordedSpan implements RequestSpan {
  readonly #request: HttpRequest;
  readonly #options: RequestSpanOptions;

  constructor(request: HttpRequest, trace: RecordedTrace, options: RequestSpanOptions) {
    super({ trace, parent: undefined, name: 'HTTP', kind: SpanKind.SERVER });
    this.#request = request;
    this.#options = options;
  }

  get traceId(): string {
    return this.identity.traceId;
  }

  startAuthentication(): StageSpan<Authentication> {
    return new Stage<Authentication>(this, 'authenticate', ({ principal }) => ({
      [ownNames.credential]: principal.kind,
    }));
  }

  startAuthorization(): StageSpan<Verdict> {
    return new Stage<Verdict>(this, 'authorize', ({ engine, decision, cached, failedOpen }) => ({
      [ownNames.engine]: engine,
      [ownNames.decision]: decision.allow ? 'allow' : 'deny',
      [ownNames.cached]: cached,
      ...(failedOpen.length > 0 && { [ownNames.failedOpen]: failedOpen.join('+') }),
    }));
  }

  startStorageCall(bucket: string, call: StorageCall & { readonly attempt: number }): RecordedStorageSpan {
    const { callKinds, includeKeys } = this.#options;
    const kinds = callKinds.get(bucket);
    if (kinds === undefined) throw new TypeError(`no such bucket: ${bucket}`);
    return new RecordedStorageSpan({ trace: this.recorded, parent: this, call, kinds, includeKeys });
  }

  endRequest(outcome: Outcome, figures: RequestFigures): void {
    const { code, error, operation, response } = outcome;
    const { method } = this.#request;
    const attributes = { ...this.#describeRequest(outcome), ...this.#describeFigures(outcome, figures) };
    if (code !== undefined) attributes[ownNames.errorCode] = codeOf(error);
    if (figures.plan !== undefined && figures.firstByteMs !== undefined) {
      this.span.addEvent('first byte sent to the backend', this.epochMs(this.startMs + figures.firstByteMs));
    }
    this.span.updateName(operation?.name ?? (knownMethods.has(method) ? method : 'HTTP'));
    // Of a server's span, an answer of 4xx is no error (semantic conventions, "HTTP server", status).
    this.finish(attributes, code !== undefined && response.status >= 500 ? error : undefined);
  }

  #describeRequest({ object, principal, bucket, bucketName, response, code }: Outcome): Attributes {
    const { id, method, headers, clientIp } = this.#request;
    const attributes: Attributes = {
      [names.httpMethod]: knownMethods.has(method) ? method : '_OTHER',
      ...attributesOfHost(this.#request),
      [ownNames.requestId]: id,
    };
    // Who has left is not answered.
    if (code !== 'ClientGone') attributes[names.httpStatus] = response.status;
    const userAgent = headers.get('user-agent');
    if (userAgent !== undefined) attributes[names.userAgent] = userAgent.slice(0, maxUserAgentLength);
    // What does not lead to a bucket may be anything.
    if (bucket !== undefined && bucketName !== undefined) attributes[names.s3Bucket] = bucketName;
    if (bucket !== undefined && bucket !== bucketName) attributes[ownNames.bucket] = bucket;
    const { includeKeys, includeSubject } = this.#options;
    if (includeKeys && object !== undefined && object.key !== '') attributes[names.s3Key] = object.key;
    if (!includeSubject) return attributes;
    if (clientIp !== '') attributes[names.clientAddress] = clientIp;
    const subject = principal === undefined || principal.kind === 'anonymous' ? undefined : principal.subject;
    if (subject !== undefined) attributes[names.enduserId] = subject.slice(0, 256);
    return attributes;
  }

  #describeFigures({ queueMs = 0 }: Outcome, figures: RequestFigures): Attributes {
    const attributes: Attributes = {};
    if (figures.receivedBytes > 0) attributes[names.requestBodySize] = figures.receivedBytes;
    if (queueMs >= 1) attributes[ownNames.queueWaitMs] = Math.round(queueMs);
    if (figures.plan === undefined) return attributes;
    attributes[ownNames.plan] = figures.plan;
    attributes[ownNames.sentBytes] = figures.sentBytes;
    if (figures.parts > 0) attributes[ownNames.parts] = figures.parts;
    if (figures.retries > 0) attributes[ownNames.retries] = figures.retries;
    return Object.assign(attributes, waitAttributes(figures));
  }
}

class Stage<Result> extends RecordedSpan implements StageSpan<Result> {
  readonly #describe: (result: Result) => Attributes;

  constructor(parent: RecordedSpan, name: string, describe: (result: Result) => Attributes) {
    super({ trace: parent.recorded, parent, name, kind: SpanKind.INTERNAL });
    this.#describe = describe;
  }

  succeed(result: Result): void {
    this.finish(this.#describe(result));
  }
}

const maxHosts = 64;
const hosts = new Map<string, Attributes>();

/** The client may say any host: few of them are remembered. */
function attributesOfHost({ host, isTls }: HttpRequest): Attributes {
  const url = `${isTls ? 'https' : 'http'}://${host}`;
  let attributes = hosts.get(url);
  if (attributes === undefined) {
    attributes = addressAttributes(url);
    if (hosts.size >= maxHosts) hosts.clear();
    hosts.set(url, attributes);
  }
  return attributes;
}
