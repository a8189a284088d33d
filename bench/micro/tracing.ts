// The spans of one small upload, from their start until they would leave for a collector.
import { ExportResultCode } from '@opentelemetry/core';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { gzipSync } from 'node:zlib';
import type { SamplingConfig, TracingConfig } from '../../src/config/config.ts';
import type { Outcome } from '../../src/handle-request.ts';
import { RequestHeaders, type HttpRequest } from '../../src/http.ts';
import { createLog } from '../../src/log.ts';
import type { RequestFigures } from '../../src/telemetry/observer.ts';
import type { StorageCallEnd } from '../../src/telemetry/watched-storage.ts';
import { recordTraces } from '../../src/telemetry/tracing/record-traces.ts';
import { startSdk } from '../../src/telemetry/tracing/start-sdk.ts';
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
    setDecoder: () => undefined,
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
  authorizeMs: undefined,
  queueMs: 0,
  reserveMs: undefined,
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
  isUnsettled: false,
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
  unsettled: undefined,
  receivedBytes: 4096,
  sentBytes: 4096,
  firstByteMs: 0.3,
  plan: 'put',
  parts: 0,
  retries: 0,
  clientWaitMs: 0.1,
  backendWaitMs: 0.1,
  memoryWaitMs: 0,
  idleMs: 0,
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
  wantsChecksum: false,
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

/** Does what those for gRPC and HTTP do, save sending. */
const createFullExporter = (): SpanExporter => ({
  export(spans, done) {
    gzipSync(ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array(0));
    done({ code: ExportResultCode.SUCCESS });
  },
  shutdown: () => Promise.resolve(),
});

/** For what happens while requests go on: the rest is done for a whole batch. */
const createIdleExporter = (): SpanExporter => ({
  export: (_spans, done) => done({ code: ExportResultCode.SUCCESS }),
  shutdown: () => Promise.resolve(),
});

/** All that tracing does for a PUT of 4 KiB with a bearer token; what the request costs besides is not in it. */
function uploadWith(
  sampling: SamplingConfig,
  fields: readonly string[],
  createExporter = createFullExporter,
): () => Promise<unknown> {
  const options = { tracing: config(sampling), buckets: [{ name: 'uploads', storage }], log };
  const tracing = recordTraces(startSdk({ ...options, createExporter }), options);
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

const always: SamplingConfig = { strategy: 'always', ratio: 1 };
const parentBased: SamplingConfig = { strategy: 'parent_based', ratio: 1 };

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'tracing: the three spans of a small PUT', call: uploadWith(always, headers) },
  { name: 'tracing: of it, up to the batch', call: uploadWith(always, headers, createIdleExporter) },
  {
    name: 'tracing: the same, in the trace of the client',
    call: uploadWith(parentBased, [...headers, ...traceparent]),
  },
  { name: 'tracing: the same, not sampled', call: uploadWith({ strategy: 'ratio', ratio: 0 }, headers) },
];
