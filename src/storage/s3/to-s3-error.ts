// Turns whatever a backend answered or failed with into an S3Error: what the client may know, and the rest as its cause.
import { isS3ErrorCode, S3Error, type S3ErrorCode } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import { MalformedAnswer, type Answer } from './response-parser.ts';

export interface BackendRefusalOptions {
  readonly status: number;
  /** The backend's own code; undefined when its answer had none. */
  readonly code: string | undefined;
  /** The backend's words, which may name the object: for the log alone. */
  readonly message: string | undefined;
  readonly header: (name: string) => string | undefined;
}

/** What a backend answered instead of doing as asked, for the log. */
export class BackendRefusal extends Fault {
  override readonly name = 'BackendRefusal';
  readonly status: number;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  /** The region that the bucket is in, when the backend says so. */
  readonly bucketRegion: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor({ status, code, message, header }: BackendRefusalOptions) {
    super(`the backend answered ${status}`, { detail: message });
    this.status = status;
    this.code = code;
    this.requestId = header('x-amz-request-id');
    this.bucketRegion = header('x-amz-bucket-region');
    this.retryAfterMs = parseRetryAfter(header('retry-after'), Date.now());
  }

  /** The session's credentials have run out; the next attempt is made with fresh ones. */
  get hasExpiredCredentials(): boolean {
    return this.code !== undefined && expiredCredentials.has(this.code);
  }
}

/** Codes that say the same to our client as the backend says to us. */
const passedOn: ReadonlySet<string> = new Set<S3ErrorCode>([
  'AccessDenied',
  'BadDigest',
  'ConditionalRequestConflict',
  'EntityTooLarge',
  'EntityTooSmall',
  'InvalidArgument',
  'InvalidDigest',
  'InvalidPart',
  'InvalidPartOrder',
  'InvalidRequest',
  'InvalidStorageClass',
  'KeyTooLongError',
  'MalformedXML',
  'MetadataTooLarge',
  'NoSuchKey',
  'NoSuchUpload',
  'NotImplemented',
  'PreconditionFailed',
]);

/** Our credentials, clock, region, bucket or request are wrong: nothing that a client could mend. */
const oursToMend: ReadonlySet<string> = new Set([
  'AccountProblem',
  'AllAccessDisabled',
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'IllegalLocationConstraintException',
  'InvalidAccessKeyId',
  'InvalidBucketName',
  'InvalidSecurity',
  'InvalidURI',
  'MethodNotAllowed',
  'MissingContentLength',
  'MissingSecurityHeader',
  'NoSuchBucket',
  'NotSignedUp',
  'PermanentRedirect',
  'Redirect',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'TemporaryRedirect',
  'UnauthorizedAccess',
  'XAmzContentSHA256Mismatch',
]);

const expiredCredentials: ReadonlySet<string> = new Set(['ExpiredToken', 'InvalidToken', 'TokenRefreshRequired']);

/** The same request may succeed later. */
const passing = new Map<string, S3ErrorCode>([
  ['BandwidthLimitExceeded', 'SlowDown'],
  ['Busy', 'ServiceUnavailable'],
  ['IncompleteBody', 'ServiceUnavailable'],
  ['InternalError', 'ServiceUnavailable'],
  ['OperationAborted', 'ServiceUnavailable'],
  ['RequestLimitExceeded', 'SlowDown'],
  ['RequestTimeout', 'ServiceUnavailable'],
  ['ServiceUnavailable', 'ServiceUnavailable'],
  ['SlowDown', 'SlowDown'],
  ['SlowDownRead', 'SlowDown'],
  ['SlowDownWrite', 'SlowDown'],
  ['Throttling', 'SlowDown'],
  ['ThrottlingException', 'SlowDown'],
  ['TooManyRequests', 'SlowDown'],
]);

/** What others call what S3 has a name for. */
const synonyms = new Map<string, S3ErrorCode>([
  ['XAmzContentChecksumMismatch', 'BadDigest'],
  ['XAmzContentChecksumInvalid', 'InvalidDigest'],
]);

const noSpaceLeft: ReadonlySet<string> = new Set([
  'InsufficientStorage',
  'QuotaExceeded',
  'XMinioAdminBucketQuotaExceeded',
  'XMinioStorageFull',
]);

/** For a refusal without a code that means something here. */
const codeOfStatus = new Map<number, S3ErrorCode>([
  [400, 'InvalidRequest'],
  [403, 'AccessDenied'],
  [409, 'ConditionalRequestConflict'],
  [412, 'PreconditionFailed'],
  [413, 'EntityTooLarge'],
]);

const refused = 'The storage refused the request.';

/** Never an error of another kind: what is not known is InternalError with its cause. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof BackendRefusal) return fromRefusal(error);
  // The SDK gives its metadata to whatever goes wrong with an answer.
  const refusal = error instanceof MalformedAnswer ? undefined : fromSdk(error);
  if (refusal !== undefined) return fromRefusal(refusal);
  if (isFaultOfTheWay(error)) return new S3Error('ServiceUnavailable', { cause: error, retryable: true });
  return new S3Error('InternalError', { cause: error });
}

/** The refusal in an answer of the hot path, whose body is S3's `<Error>` document, or nothing of use. */
export function readRefusal({ status, headers, body }: Answer): BackendRefusal {
  const xml = body.toString('utf8');
  const isError = xml.includes('<Error>');
  return new BackendRefusal({
    status,
    code: isError ? /<Code>([^<]{1,64})<\/Code>/.exec(xml)?.[1]?.trim() : undefined,
    message: isError ? /<Message>([^<]{1,1024})<\/Message>/.exec(xml)?.[1] : undefined,
    header: (name) => headers.get(name),
  });
}

/** @returns milliseconds from now, of a number of seconds or an HTTP date (RFC 9110, section 10.2.3). */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // Date.parse alone reads much else as a date.
  const at = /^[A-Z][a-z]{2,8}, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

function fromRefusal(cause: BackendRefusal): S3Error {
  const { status, code = '', retryAfterMs } = cause;
  const retry = { cause, retryable: true, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  if (cause.hasExpiredCredentials) return new S3Error('ServiceUnavailable', retry);
  if (oursToMend.has(code)) return new S3Error('InternalError', { cause });
  if (noSpaceLeft.has(code) || status === 507) return new S3Error('InsufficientStorage', { cause });
  const passingCode = passing.get(code);
  if (passingCode !== undefined) return new S3Error(passingCode, retry);
  const synonym = synonyms.get(code);
  if (synonym !== undefined) return new S3Error(synonym, { cause });
  if (passedOn.has(code) && isS3ErrorCode(code)) return new S3Error(code, { cause });
  if (status === 429) return new S3Error('SlowDown', retry);
  if (status >= 500 || status === 408 || status < 300) return new S3Error('ServiceUnavailable', retry);
  return fromClientsFault(cause);
}

/** A status of 300 to 499 with a code that the tables above do not know. */
function fromClientsFault(cause: BackendRefusal): S3Error {
  const { status, code } = cause;
  // A redirect is never followed: it would take the body, and our signature, wherever the answer says.
  if (status < 400 || status === 401 || status === 407) return new S3Error('InternalError', { cause });
  // Codes of one product would say which one is behind us.
  const isTold = code !== undefined && /^[A-Za-z][A-Za-z0-9._-]*$/.test(code) && !code.startsWith('XMinio');
  if (isTold) return new S3Error('InvalidRequest', { detail: refused, cause, passed: { code, status } });
  const ownCode = codeOfStatus.get(status);
  return ownCode === undefined ? new S3Error('InternalError', { cause }) : new S3Error(ownCode, { cause });
}

/** Names that the SDK gives to answers without an error document. */
const namedBySdk = /^(?:Unknown|UnknownError|NotFound|BadRequest|Forbidden|MovedPermanently|Error|\d+)$/;

/** An exception of the SDK that stands for an answer, as a refusal; undefined for any other. */
function fromSdk(error: unknown): BackendRefusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const metadata = property(error, '$metadata');
  const status = property(metadata, 'httpStatusCode');
  if (typeof status !== 'number') return undefined;
  const headers = property(property(error, '$response'), 'headers');
  // Without the exception as its cause, whose message is the backend's. Elements that the document holds twice are no text.
  const [name, message] = [textOf(error.name), textOf(error.message)];
  return new BackendRefusal({
    status,
    code: name === undefined || namedBySdk.test(name) || error instanceof SyntaxError ? undefined : name,
    message,
    header: (field) => textOf(property(headers, field)),
  });
}

/** Codes of system calls, name look-ups, certificates and Node's HTTP parser; the ERR_… for wrong use of its API are not among them. */
const codeOfTheWay =
  /^(?:HPE_[A-Z_]+|E(?!RR_)[A-Z]+|EAI_[A-Z]+|ERR_TLS_[A-Z_]+|ERR_SSL_[A-Z_]+|(?:CERT|DEPTH|SELF|UNABLE)_[A-Z0-9_]+)$/;
const namesOfTheWay: ReadonlySet<string> = new Set([
  'BackendTimeout',
  'ConnectionLost',
  'CredentialsProviderError',
  'MalformedAnswer',
  'TimeoutError',
]);

/** A fault of the network or of an answer: nothing is known to be wrong with the request itself. */
function isFaultOfTheWay(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = property(error, 'code');
  if (typeof code === 'string' && codeOfTheWay.test(code)) return true;
  return namesOfTheWay.has(error.name);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
