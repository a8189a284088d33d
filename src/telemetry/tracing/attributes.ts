// The names under which spans say things: OpenTelemetry's semantic conventions 1.45 where they have one, `mizuchi.` where not.
// Written out here, as many are still in development, and their package may change those with any version.

export const names = {
  httpMethod: 'http.request.method',
  httpStatus: 'http.response.status_code',
  resendCount: 'http.request.resend_count',
  requestBodySize: 'http.request.body.size',
  urlScheme: 'url.scheme',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  clientAddress: 'client.address',
  userAgent: 'user_agent.original',
  errorType: 'error.type',
  exceptionType: 'exception.type',
  exceptionMessage: 'exception.message',
  rpcSystem: 'rpc.system.name',
  rpcMethod: 'rpc.method',
  s3Bucket: 'aws.s3.bucket',
  s3Key: 'aws.s3.key',
  s3PartNumber: 'aws.s3.part_number',
  awsRequestId: 'aws.request_id',
  enduserId: 'enduser.id',
} as const;

/** Ours. Waits are whole milliseconds, and left out when there was none. */
export const ownNames = {
  requestId: 'mizuchi.request_id',
  bucket: 'mizuchi.bucket',
  /** S3's code of the answer, or `ClientGone`. */
  errorCode: 'mizuchi.error_code',
  /** `put` or `multipart`. */
  plan: 'mizuchi.plan',
  parts: 'mizuchi.parts',
  /** Calls to the backend that were made again. */
  retries: 'mizuchi.retries',
  sentBytes: 'mizuchi.sent_bytes',
  clientWaitMs: 'mizuchi.client_wait_ms',
  backendWaitMs: 'mizuchi.backend_wait_ms',
  memoryWaitMs: 'mizuchi.memory_wait_ms',
  /** For one of the slots that `max_concurrent_uploads` allows. */
  queueWaitMs: 'mizuchi.queue_wait_ms',
  /** `jwt`, `sigv4` or `anonymous`. */
  credential: 'mizuchi.credential',
  engine: 'mizuchi.authz.engine',
  decision: 'mizuchi.authz.decision',
  cached: 'mizuchi.authz.cached',
  failedOpen: 'mizuchi.authz.failed_open',
  /** Uploads that a sweep has found. */
  abandoned: 'mizuchi.abandoned',
  /** No request waits for it: a sweep of what a process has left open, or an abort that is made again. */
  background: 'mizuchi.background',
} as const;
