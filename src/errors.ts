// The table of S3 error codes and the one class that carries them.
// Source: Amazon S3 API Reference, "Error responses", list of error codes.

const table = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs.'],
  AccessDenied: [403, 'Access Denied.'],
  AccessForbidden: [403, 'CORSResponse: This CORS request is not allowed.'],
  AuthorizationHeaderMalformed: [400, 'The authorization header that you provided is not valid.'],
  AuthorizationQueryParametersError: [400, 'The query parameters of the signature are not valid.'],
  BadDigest: [400, 'The Content-MD5 or checksum value that you specified did not match what the server received.'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available.'],
  ConditionalRequestConflict: [409, 'A conflicting conditional operation is in progress against this resource.'],
  EntityTooLarge: [413, 'Your proposed upload exceeds the maximum allowed object size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed size.'],
  ExpectationFailed: [417, 'The only expectation that can be met is 100-continue, in lower case.'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header.'],
  InsufficientStorage: [507, 'There is not enough storage left for this upload.'],
  InternalError: [500, 'An internal error occurred. Try again.'],
  InvalidAccessKeyId: [403, 'The access key ID that you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid argument.'],
  InvalidDigest: [400, 'The Content-MD5 or checksum value that you specified is not valid.'],
  InvalidPart: [400, 'One or more of the specified parts could not be found, or an entity tag does not match.'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order.'],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidStorageClass: [400, 'The storage class that you specified is not valid.'],
  InvalidToken: [400, 'The provided token is malformed or otherwise not valid.'],
  InvalidURI: [400, 'The specified URI could not be parsed.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedTrailerError: [400, 'The request contained trailing data that was not well-formed.'],
  MalformedXML: [
    400,
    'The XML that you provided was not well formed or did not validate against the published schema.',
  ],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist.'],
  NotImplemented: [501, 'A header or query that you provided implies functionality that is not implemented.'],
  PreconditionFailed: [412, 'At least one of the preconditions that you specified did not hold.'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large.'],
  RequestTimeout: [
    400,
    'Your socket connection to the server was not read from or written to within the timeout period.',
  ],
  ServiceUnavailable: [503, 'The service is unavailable. Try again later.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  SlowDown: [503, 'Reduce your request rate.'],
  UnsupportedMediaType: [415, 'The content type of the upload is not allowed.'],
  Unauthorized: [401, 'A valid bearer token is required.'],
  XAmzContentSHA256Mismatch: [400, "The provided 'x-amz-content-sha256' header does not match what was computed."],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type S3ErrorCode = keyof typeof table;

export const s3ErrorCodes = Object.keys(table) as readonly S3ErrorCode[];

export interface S3ErrorOptions {
  /** Replaces the table's message; goes to the client, so it holds nothing of the backend. */
  readonly detail?: string;
  /** What lies behind it: for the log, never for the client. */
  readonly cause?: unknown;
  /** Header fields that the answer must carry (Allow, WWW-Authenticate). */
  readonly headers?: readonly (readonly [string, string])[];
  /** What S3 says of this code besides, in the error document. */
  readonly elements?: readonly (readonly [name: string, text: string])[];
  /** True when the same attempt may succeed if it is made again (set by storage backends). */
  readonly retryable?: boolean;
  /** How long the backend asked to be left alone; sent as Retry-After. */
  readonly retryAfterMs?: number;
  /** A backend's own code and status for a refusal that the client must see (for example KMS.NotFoundException). */
  readonly passed?: { readonly code: string; readonly status: number };
}

/** A fault that the client may know of. Everything else that is thrown is answered InternalError. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly code: string;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly elements: readonly (readonly [name: string, text: string])[];
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: S3ErrorCode, options: S3ErrorOptions = {}) {
    super(options.detail ?? table[code][1], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.passed?.code ?? code;
    this.status = options.passed?.status ?? table[code][0];
    this.headers = options.headers ?? [];
    this.elements = options.elements ?? [];
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a name is a code of the table: for turning a backend's codes into ours. */
export function isS3ErrorCode(code: string): code is S3ErrorCode {
  return Object.hasOwn(table, code);
}
