// What spans say of waits, of calls that were given up, and of calls that were made again.
import { SpanStatusCode, type Attributes } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { beforeEach, expect, test } from 'vitest';
import type { TracingConfig } from '../../../../src/config/config.ts';
import { S3Error } from '../../../../src/errors.ts';
import type { Outcome } from '../../../../src/handle-request.ts';
import { RequestHeaders, type HttpRequest } from '../../../../src/http.ts';
import { LineWriter } from '../../../../src/line-writer.ts';
import { createLog } from '../../../../src/log.ts';
import type { RequestFigures } from '../../../../src/telemetry/observer.ts';
import { recordTraces } from '../../../../src/telemetry/tracing/record-traces.ts';
import { startSdk } from '../../../../src/telemetry/tracing/start-sdk.ts';
import type { StorageCallEnd } from '../../../../src/telemetry/watched-storage.ts';

const tracing: TracingConfig = {
  serviceName: 'tests',
  resourceAttributes: {},
  otlp: { endpoint: 'http://localhost:4317', protocol: 'grpc', timeoutMs: 1000, compression: 'none', headers: {} },
  sampling: { strategy: 'always', ratio: 1 },
  batch: { maxQueueSize: 10, scheduledDelayMs: 60_000, maxExportBatchSize: 10 },
  includeKeys: false,
  includeSubject: false,
};
const logging = { level: 'info', format: 'json', keys: 'plain', subjects: 'hashed', slowUploadMs: 0 } as const;
const log = createLog({ ...logging, auditDestination: undefined }, new LineWriter({ fd: 1, maxWaitingBytes: 0 }));

let spans: ReadableSpan[];
let traces: ReturnType<typeof recordTraces>;
beforeEach(() => {
  spans = [];
  const createExporter = () => ({
    export(batch: ReadableSpan[], done: (result: { code: ExportResultCode }) => void) {
      spans.push(...batch);
      done({ code: ExportResultCode.SUCCESS });
    },
    shutdown: () => Promise.resolve(),
  });
  const buckets = [{ name: 'uploads', storage: { kind: 'filesystem', root: './data' } }] as const;
  traces = recordTraces(startSdk({ tracing, createExporter, log }), { tracing, buckets });
});

const end = {
  durationMs: 100,
  error: undefined,
  answer: undefined,
  isGivenUp: false,
  isUnsettled: false,
  bytes: 100,
  firstBytesAtMs: 1,
  clientWaitMs: 0,
  backendWaitMs: 0,
  memoryWaitMs: 0,
} satisfies StorageCallEnd;

const request = {
  id: '0123456789ABCDEF',
  method: 'PUT',
  host: 'localhost',
  isTls: false,
  headers: new RequestHeaders([]),
  clientIp: '192.0.2.1',
} as unknown as HttpRequest;

/** @returns the span of one part that is sent at its second attempt. */
async function endPart(ended: Partial<StorageCallEnd>): Promise<ReadableSpan | undefined> {
  const call = { name: 'UploadPart', object: { bucket: 'store', key: 'a' }, partNumber: 3, attempt: 2 } as const;
  traces
    .startRequest(request)
    .startStorageCall('uploads', call)
    .endCall({ ...end, ...ended });
  await traces.stop();
  return spans.find(({ name }) => name === 'filesystem.UploadPart');
}

test('a part says for what it has waited, and that it was sent again', async () => {
  const span = await endPart({ clientWaitMs: 30.4, backendWaitMs: 20, memoryWaitMs: 17.2 });
  expect(span?.attributes).toEqual({
    'aws.s3.bucket': 'store',
    'aws.s3.part_number': 3,
    'http.request.resend_count': 1,
    'mizuchi.sent_bytes': 100,
    'mizuchi.client_wait_ms': 30,
    'mizuchi.backend_wait_ms': 20,
    'mizuchi.memory_wait_ms': 17,
  });
});

test.each([
  [1, undefined],
  [3, 2],
])('a call that no request waits for says how often it was made before: attempt %s', async (attempt, resent) => {
  const call = { name: 'AbortMultipartUpload', object: { bucket: 'store', key: 'a' }, attempt } as const;
  traces.startBackgroundCall('uploads', call, undefined).endCall(end);
  await traces.stop();
  expect(spans[0]?.attributes).toMatchObject({ 'mizuchi.background': true });
  expect(spans[0]?.attributes['http.request.resend_count']).toBe(resent);
});

test('of waits that were none, nothing is said', async () => {
  const span = await endPart({ clientWaitMs: 0.9, backendWaitMs: 0.9, memoryWaitMs: 0.9 });
  expect(Object.keys(span?.attributes ?? {}).filter((name) => name.includes('wait'))).toEqual([]);
});

test('a part that is given up because another has failed is no fault of the backend', async () => {
  const error = new S3Error('ServiceUnavailable', { cause: new Error('planted message') });
  const givenUp = await endPart({ error, isGivenUp: true });
  expect(givenUp).toMatchObject({ status: { code: SpanStatusCode.UNSET }, events: [] });
  expect(givenUp?.attributes['error.type']).toBe('ServiceUnavailable');
});

test('a part that has failed is an error with its code, and nothing of what was said', async () => {
  const failed = await endPart({ error: new S3Error('ServiceUnavailable', { cause: new Error('planted message') }) });
  expect(failed).toMatchObject({ status: { code: SpanStatusCode.ERROR, message: 'ServiceUnavailable' } });
  expect(failed?.events).toMatchObject([{ name: 'exception', attributes: { 'exception.type': 'Error' } }]);
  expect(JSON.stringify([failed?.attributes, failed?.events])).not.toContain('planted');
});

test('a request says for what it has waited', async () => {
  const outcome = { request, response: { status: 200, headers: [] }, operation: { name: 'PutObject' }, queueMs: 12.6 };
  const figures = { receivedBytes: 100, sentBytes: 100, plan: 'put', parts: 0, retries: 0, clientWaitMs: 30 };
  const waits = { backendWaitMs: 20, memoryWaitMs: 17 };
  traces
    .startRequest(request)
    .endRequest(outcome as unknown as Outcome, { ...figures, ...waits } as unknown as RequestFigures);
  await traces.stop();
  const expected: Attributes = {
    'mizuchi.queue_wait_ms': 13,
    'mizuchi.client_wait_ms': 30,
    'mizuchi.backend_wait_ms': 20,
    'mizuchi.memory_wait_ms': 17,
  };
  expect(spans[0]?.attributes).toMatchObject(expected);
});
