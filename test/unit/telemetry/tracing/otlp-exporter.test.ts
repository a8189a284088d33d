// An exporter is made of the configuration alone, and what a collector does is what it answers.
import { ROOT_CONTEXT } from '@opentelemetry/api';
import type { ExportResult } from '@opentelemetry/core';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { OtlpConfig } from '../../../../src/config/config.ts';
import { prepareExporter } from '../../../../src/telemetry/tracing/otlp-exporter.ts';

afterEach(() => vi.unstubAllEnvs());

function createSpan(): ReadableSpan[] {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  provider.getTracer('tests').startSpan('a', {}, ROOT_CONTEXT).end();
  return exporter.getFinishedSpans();
}

async function send(config: Partial<OtlpConfig> & Pick<OtlpConfig, 'endpoint' | 'protocol'>) {
  const createExporter = await prepareExporter({ timeoutMs: 5000, compression: 'none', headers: {}, ...config });
  const rejected: [spans: number, reason: string][] = [];
  const exporter = createExporter((...told) => rejected.push(told));
  const result = await new Promise<ExportResult>((resolve) => exporter.export(createSpan(), resolve));
  await exporter.shutdown();
  return { ...result, rejected };
}

/** Another collector's, which must not be told to this one. */
function setVariables(): void {
  vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-of-another=secret');
  vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://127.0.0.1:1');
  vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip');
}

/** @param statuses the last of them for all further requests. */
async function startHttpCollector(statuses: number[], answer: Buffer = Buffer.alloc(0)) {
  const seen: { url: string | undefined; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url, headers: request.headers });
    request.resume();
    request.on('end', () => response.writeHead(statuses[seen.length - 1] ?? statuses.at(-1) ?? 200).end(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

test('over HTTP, the fields are those of the configuration', async () => {
  setVariables();
  const { endpoint, seen } = await startHttpCollector([200]);
  expect(await send({ endpoint, protocol: 'http/protobuf', headers: { 'x-own': 'own' } })).toMatchObject({
    code: 0,
    rejected: [],
  });
  expect(seen).toHaveLength(1);
  expect(seen[0]?.url).toBe('/v1/traces');
  expect(seen[0]?.headers).toMatchObject({ 'x-own': 'own' });
  expect(seen[0]?.headers).not.toHaveProperty('x-of-another');
  expect(seen[0]?.headers).not.toHaveProperty('content-encoding');
});

test('over HTTP, a path that is configured is the path', async () => {
  const { endpoint, seen } = await startHttpCollector([200]);
  await send({ endpoint: `${endpoint}/otlp/traces`, protocol: 'http/protobuf' });
  expect(seen[0]?.url).toBe('/otlp/traces');
});

test('over HTTP, what may succeed later is tried again', async () => {
  const { endpoint, seen } = await startHttpCollector([503, 200]);
  expect(await send({ endpoint, protocol: 'http/protobuf' })).toMatchObject({ code: 0, rejected: [] });
  expect(seen).toHaveLength(2);
});

test('over HTTP, what is refused for good is not tried again', async () => {
  const { endpoint, seen } = await startHttpCollector([401]);
  expect(await send({ endpoint, protocol: 'http/protobuf' })).toMatchObject({ code: 1, error: { code: 401 } });
  expect(seen).toHaveLength(1);
});

async function startGrpcCollector(status: string, message: Buffer = Buffer.alloc(0)) {
  const seen: IncomingHttpHeaders[] = [];
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  const server = createHttp2Server()
    .on('stream', (stream, headers) => {
      seen.push(headers);
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
        stream.end(status === '0' ? Buffer.concat([frame, message]) : '');
      });
    })
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

test.each([
  ['taken', '0', { code: 0, rejected: [] }],
  ['refused', '16', { code: 1, error: { code: 16 } }],
])('over gRPC, spans are %s, with the fields of the configuration', async (_, status, result) => {
  setVariables();
  const { endpoint, seen } = await startGrpcCollector(status);
  expect(await send({ endpoint, protocol: 'grpc', headers: { 'X-Own': 'own' } })).toMatchObject(result);
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({ 'x-own': 'own' });
  expect(seen[0]).not.toHaveProperty('x-of-another');
  expect(seen[0]).not.toHaveProperty('grpc-encoding', 'gzip');
});

/** ExportTraceServiceResponse of opentelemetry/proto/collector/trace/v1: partial_success { rejected_spans, error_message }. */
function partialSuccess(rejectedSpans: number, message: string): Buffer {
  const inner = Buffer.concat([Buffer.from([0x08, rejectedSpans, 0x12, message.length]), Buffer.from(message)]);
  return Buffer.concat([Buffer.from([0x0a, inner.length]), inner]);
}

const answers = [
  ['some are rejected', partialSuccess(5, 'quota'), [[5, 'quota']]],
  ['it has only something to say', partialSuccess(0, 'a warning'), []],
] as const;

test.each(answers)('over HTTP, a collector takes the batch, but %s', async (_, answer, rejected) => {
  const { endpoint } = await startHttpCollector([200], answer);
  expect(await send({ endpoint, protocol: 'http/protobuf' })).toEqual({ code: 0, rejected });
});

test.each(answers)('over gRPC, a collector takes the batch, but %s', async (_, answer, rejected) => {
  const { endpoint } = await startGrpcCollector('0', answer);
  expect(await send({ endpoint, protocol: 'grpc' })).toEqual({ code: 0, rejected });
});
