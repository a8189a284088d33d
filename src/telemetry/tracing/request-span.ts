// The span of a request, and of the stages that it goes through.
import type { Authentication } from '../../auth/authentication.ts';
import type { Verdict } from '../../authz/create-authorizer.ts';
import type { TracingConfig } from '../../config/config.ts';
import type { Outcome } from '../../handle-request.ts';
import type { HttpRequest } from '../../http.ts';
import type { RequestFigures, RequestSpan, StageSpan } from '../observer.ts';
import type { StorageCall } from '../watched-storage.ts';
import { addressAttributes } from './address-attributes.ts';
import { keys, names } from './attributes.ts';
import { codeOf, writeFailure } from './failure.ts';
import { RecordedSpan, type RecordedTrace } from './recorded-span.ts';
import { encodeAttribute, spanKinds, type SpanWriter } from './span-writer.ts';
import { RecordedStorageSpan, writeWaits, type StorageCallKinds } from './storage-span.ts';

export interface RequestSpanOptions extends Pick<TracingConfig, 'includeKeys' | 'includeSubject'> {
  /** Of a bucket, by its name in the configuration. */
  readonly callKinds: ReadonlyMap<string, StorageCallKinds>;
}

const knownMethods: ReadonlyMap<string, Uint8Array> = new Map(
  ['PUT', 'POST', 'GET', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT'].map((method) => [
    method,
    encodeAttribute(names.httpMethod, method),
  ]),
);
const otherMethod = encodeAttribute(names.httpMethod, '_OTHER');
const maxUserAgentLength = 128;

export class RecordedRequest extends RecordedSpan implements RequestSpan {
  readonly #request: HttpRequest;
  readonly #options: RequestSpanOptions;

  constructor(request: HttpRequest, trace: RecordedTrace, options: RequestSpanOptions) {
    super({ trace, parent: undefined, name: 'HTTP', kind: spanKinds.server });
    this.#request = request;
    this.#options = options;
  }

  get traceId(): string {
    return this.recorded.traceId;
  }

  startAuthentication(): StageSpan<Authentication> {
    return new Stage<Authentication>(this, 'authenticate', (writer, { principal }) =>
      writer.text(keys.credential, principal.kind),
    );
  }

  startAuthorization(): StageSpan<Verdict> {
    return new Stage<Verdict>(this, 'authorize', (writer, { engine, decision, cached, failedOpen }) => {
      writer.text(keys.engine, engine);
      writer.text(keys.decision, decision.allow ? 'allow' : 'deny');
      writer.flag(keys.cached, cached);
      if (failedOpen.length > 0) writer.text(keys.failedOpen, failedOpen.join('+'));
    });
  }

  startStorageCall(bucket: string, call: StorageCall & { readonly attempt: number }): RecordedStorageSpan {
    const { callKinds, includeKeys } = this.#options;
    const kinds = callKinds.get(bucket);
    if (kinds === undefined) throw new TypeError(`no such bucket: ${bucket}`);
    return new RecordedStorageSpan({ trace: this.recorded, parent: this, call, kinds, includeKeys });
  }

  endRequest(outcome: Outcome, figures: RequestFigures): void {
    const { method } = this.#request;
    const name = outcome.operation?.name ?? (knownMethods.has(method) ? method : 'HTTP');
    this.finish((writer) => {
      this.#writeRequest(writer, outcome);
      this.#writeFigures(writer, outcome, figures);
      if (outcome.code !== undefined) this.#writeFailure(writer, outcome);
    }, name);
  }

  #writeRequest(writer: SpanWriter, { object, principal, bucket, bucketName, response, code }: Outcome): void {
    const { id, method, headers, clientIp } = this.#request;
    writer.encoded(knownMethods.get(method) ?? otherMethod);
    writer.encoded(attributesOfHost(this.#request));
    // Who has left is not answered.
    if (code !== 'ClientGone') writer.integer(keys.httpStatus, response.status);
    writer.text(keys.requestId, id);
    const userAgent = headers.get('user-agent');
    if (userAgent !== undefined) writer.text(keys.userAgent, userAgent.slice(0, maxUserAgentLength));
    // What does not lead to a bucket may be anything.
    if (bucket !== undefined && bucketName !== undefined) writer.text(keys.s3Bucket, bucketName);
    if (bucket !== undefined && bucket !== bucketName) writer.text(keys.bucket, bucket);
    const { includeKeys, includeSubject } = this.#options;
    if (includeKeys && object !== undefined && object.key !== '') writer.text(keys.s3Key, object.key);
    if (!includeSubject) return;
    writer.text(keys.clientAddress, clientIp);
    const subject = principal === undefined || principal.kind === 'anonymous' ? undefined : principal.subject;
    if (subject !== undefined) writer.text(keys.enduserId, subject.slice(0, 256));
  }

  #writeFigures(writer: SpanWriter, { queueMs = 0 }: Outcome, figures: RequestFigures): void {
    if (figures.receivedBytes > 0) writer.integer(keys.requestBodySize, figures.receivedBytes);
    if (queueMs >= 1) writer.integer(keys.queueWaitMs, Math.round(queueMs));
    if (figures.plan === undefined) return;
    writer.text(keys.plan, figures.plan);
    writer.integer(keys.sentBytes, figures.sentBytes);
    if (figures.parts > 0) writer.integer(keys.parts, figures.parts);
    if (figures.retries > 0) writer.integer(keys.retries, figures.retries);
    writeWaits(writer, figures);
    if (figures.firstByteMs !== undefined) {
      writer.event('first byte sent to the backend', this.epochMs(this.startMs + figures.firstByteMs));
    }
  }

  #writeFailure(writer: SpanWriter, { error, response }: Outcome): void {
    writer.text(keys.errorCode, codeOf(error));
    // Of a server's span, an answer of 4xx is no error (semantic conventions, "HTTP server", status).
    if (response.status >= 500) writeFailure(writer, error, this.epochMs(performance.now()));
  }
}

class Stage<Result> extends RecordedSpan implements StageSpan<Result> {
  readonly #write: (writer: SpanWriter, result: Result) => void;

  constructor(parent: RecordedSpan, name: string, write: (writer: SpanWriter, result: Result) => void) {
    super({ trace: parent.recorded, parent, name, kind: spanKinds.internal });
    this.#write = write;
  }

  succeed(result: Result): void {
    this.finish((writer) => this.#write(writer, result));
  }
}

const maxHosts = 64;
const hosts = new Map<string, Uint8Array>();

/** The client may say any host: few of them are remembered. */
function attributesOfHost({ host, isTls }: HttpRequest): Uint8Array {
  const url = `${isTls ? 'https' : 'http'}://${host}`;
  let attributes = hosts.get(url);
  if (attributes === undefined) {
    attributes = addressAttributes(url);
    if (hosts.size >= maxHosts) hosts.clear();
    hosts.set(url, attributes);
  }
  return attributes;
}
