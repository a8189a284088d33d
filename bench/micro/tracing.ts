// The spans of one small upload, from their start until a collector would have them: ours, and OpenTelemetry's SDK for comparison.
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { AlwaysOnSampler, BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { gzipSync } from 'node:zlib';
import type { SamplingConfig, TracingConfig } from '../../src/config/config.ts';
import type { Outcome } from '../../src/handle-request.ts';
import { RequestHeaders, type HttpRequest } from '../../src/http.ts';
import { createLog } from '../../src/log.ts';
import type { RequestFigures } from '../../src/telemetry/observer.ts';
import type { StorageCallEnd } from '../../src/telemetry/watched-storage.ts';
import { traceTo } from '../../src/telemetry/tracing/start-tracing.ts';
import type { MicroBenchmark } from '../micro.ts';

const headers = [
  'host',
  'uploads.example.com',
  'user-agent',
  'aws-sdk-js/3.1169.0 ua/2.1 os/linux#6.1.0 lang/js md/nodejs#22.23.3 api/s3#3.1169.0',
  'authorization',
  'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl',
  'content-type',
  'application/octet-stream',
  'content-length',
  '4096',
];
const traceparent = ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'];

const request = (fields: readonly string[]): HttpRequest => ({
  id: 'BA2247836E000001',
  method: 'PUT',
  rawPath: '/uploads/2026/11/21/report.pdf',
  rawQuery: '',
  headers: new RequestHeaders(fields),
  host: 'uploads.example.com',
  clientIp: '192.0.2.7',
  isTls: false,
  body: {
    length: 4096,
    receivedBytes: 4096,
    read: () => Promise.resolve(null),
    setReserved: () => undefined,
    cancel: () => undefined,
  },
  signal: AbortSignal.abort(),
});

const object = { bucket: 'my-bucket', key: '2026/11/21/report.pdf' };
const principal = { kind: 'jwt', subject: 'alice', claims: {}, expiresAtMs: 0 } as const;
const outcome = (of: HttpRequest): Outcome => ({
  request: of,
  bucket: 'uploads',
  bucketName: 'uploads',
  operation: { name: 'PutObject' },
  object,
  principal,
  decision: undefined,
  authenticateMs: 0.1,
  queueMs: 0,
  response: { status: 200, headers: [] },
  code: undefined,
  error: undefined,
  durationMs: 1.2,
});
const ended: StorageCallEnd = {
  durationMs: 1.1,
  error: undefined,
  answer: undefined,
  isGivenUp: false,
  bytes: 4096,
  firstBytesAtMs: 1,
  clientWaitMs: 0.1,
  backendWaitMs: 0.1,
  memoryWaitMs: 0,
};
const figures: RequestFigures = {
  traceId: undefined,
  storedBytes: 4096,
  answer: undefined,
  uploadId: undefined,
  receivedBytes: 4096,
  sentBytes: 4096,
  firstByteMs: 0.3,
  plan: 'put',
  parts: 0,
  retries: 0,
  clientWaitMs: 0.1,
  backendWaitMs: 0.1,
  memoryWaitMs: 0,
};
const authentication = { principal, payload: { kind: 'plain' }, headers: new RequestHeaders([]) } as never;

const config = (sampling: SamplingConfig): TracingConfig => ({
  serviceName: 'mizuchi-uploadr',
  resourceAttributes: {},
  otlp: {
    endpoint: 'http://localhost:4317',
    protocol: 'grpc',
    timeoutMs: 10_000,
    compression: 'gzip',
    headers: {},
  },
  sampling,
  batch: { maxQueueSize: 2048, scheduledDelayMs: 5000, maxExportBatchSize: 512 },
  includeKeys: false,
  includeSubject: false,
});

const storage = {
  kind: 's3',
  bucket: 'my-bucket',
  region: 'us-east-1',
  endpoint: 'http://127.0.0.1:9000',
  credentials: undefined,
  forcePathStyle: true,
  keepsEmptySegments: false,
  timeouts: { connectMs: 5000, idleMs: 30_000, totalMs: 0 },
} as const;
const log = createLog({
  level: 'silent',
  format: 'json',
  keys: 'plain',
  subjects: 'hashed',
  slowUploadMs: 0,
  auditDestination: undefined,
});

/** The last batch that was sent. */
let batch: Uint8Array = new Uint8Array(0);

/** All that tracing does for a PUT of 4 KiB with a bearer token; what the request costs besides is not in it. */
function uploadWith(sampling: SamplingConfig, fields: readonly string[]): () => Promise<unknown> {
  const transport = {
    send: async ({ bytes }: { readonly bytes: Uint8Array }) => {
      batch = bytes;
      return { rejectedSpans: 0, message: '' };
    },
    reconnect: () => undefined,
    close: () => undefined,
  };
  const tracing = traceTo(transport, { tracing: config(sampling), buckets: [{ name: 'uploads', storage }], log });
  const of = request(fields);
  const result = outcome(of);
  return async () => {
    const span = tracing.startRequest(of);
    span.startAuthentication().succeed(authentication);
    const call = span.startStorageCall('uploads', { name: 'PutObject', object, attempt: 1 });
    const sent = call.trace?.fields;
    call.trace?.onAnswer?.({ status: 200, requestId: '18EA0F3251D3BDE4' });
    call.endCall(ended);
    span.endRequest(result, figures);
    return sent;
  };
}

/** The same spans and attributes. */
function uploadWithSdk(): () => Promise<unknown> {
  const exporter = {
    export(spans: Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0], done: (result: never) => void) {
      batch = ProtobufTraceSerializer.serializeRequest(spans) ?? batch;
      done({ code: ExportResultCode.SUCCESS } as never);
    },
    shutdown: () => Promise.resolve(),
  };
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer('mizuchi-uploadr', '0.1.0');
  return async () => {
    const span = tracer.startSpan('PutObject', { kind: SpanKind.SERVER }, ROOT_CONTEXT);
    const within = trace.setSpan(ROOT_CONTEXT, span);
    const authenticating = tracer.startSpan('authenticate', { kind: SpanKind.INTERNAL }, within);
    authenticating.setAttribute('mizuchi.credential', 'jwt');
    authenticating.end();
    const call = tracer.startSpan('S3.PutObject', { kind: SpanKind.CLIENT }, within);
    const { traceId, spanId } = call.spanContext();
    const sent = `00-${traceId}-${spanId}-01`;
    call.setAttributes({
      'http.response.status_code': 200,
      'aws.request_id': '18EA0F3251D3BDE4',
      'rpc.system.name': 'aws-api',
      'rpc.method': 'S3/PutObject',
      'http.request.method': 'PUT',
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'server.port': 9000,
      'aws.s3.bucket': 'my-bucket',
      'mizuchi.sent_bytes': 4096,
    });
    call.end();
    span.setAttributes({
      'http.request.method': 'PUT',
      'url.scheme': 'http',
      'server.address': 'uploads.example.com',
      'server.port': 80,
      'http.response.status_code': 200,
      'mizuchi.request_id': 'BA2247836E000001',
      'user_agent.original': headers[3] ?? '',
      'aws.s3.bucket': 'uploads',
      'http.request.body.size': 4096,
      'mizuchi.plan': 'put',
      'mizuchi.sent_bytes': 4096,
    });
    span.addEvent('first byte sent to the backend');
    span.end();
    return sent;
  };
}

const always: SamplingConfig = { strategy: 'always', ratio: 1 };
const parentBased: SamplingConfig = { strategy: 'parent_based', ratio: 1 };

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'tracing: the three spans of a small PUT', call: uploadWith(always, headers) },
  {
    name: 'tracing: the same, in the trace of the client',
    call: uploadWith(parentBased, [...headers, ...traceparent]),
  },
  { name: 'tracing: the same, not sampled', call: uploadWith({ strategy: 'ratio', ratio: 0 }, headers) },
  { name: 'tracing: the same with the SDK', call: uploadWithSdk() },
  { name: 'tracing: gzip of a whole batch of 512 spans', call: () => gzipSync(batch) },
];
