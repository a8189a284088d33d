// How spans reach the collector: both protocols, compressed or not, with the fields that are configured; by the configuration or by
// OpenTelemetry's environment variables.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../servers/free-port.ts';
import { startProcess, waitUntilReady } from '../servers/start-process.ts';
import { startRotel, type Collector } from '../servers/start-rotel.ts';
import { createCertificate } from '../support/certificate.ts';
import { sendRequest } from '../support/send-request.ts';
import { startProxy } from '../support/start-proxy.ts';
import { terminateTls } from '../support/terminate-tls.ts';
import { spansOf, waitForTrace } from '../support/traces.ts';
import { waitFor } from '../support/wait-for.ts';

const servers: { collector?: Collector } = {};
const collector = (): Collector => {
  if (servers.collector === undefined) throw new Error('not started');
  return servers.collector;
};
beforeAll(async () => {
  servers.collector = await startRotel();
});
afterAll(() => servers.collector?.stop());

const buckets = [
  { name: 'uploads', path_prefix: '/uploads', filesystem: { root: './data' }, auth: { enabled: false } },
];
const start = (tracing: object) => startProxy({ config: { metrics: { enabled: false }, tracing, buckets } });

async function put(url: string): Promise<string> {
  const answer = await sendRequest({ url, method: 'PUT', path: '/uploads/a', body: 'a' });
  expect(answer.status).toBe(200);
  return String(answer.headers['x-mizuchi-trace-id']);
}

describe.each(['grpc', 'http/protobuf'])('%s', (protocol) => {
  test.each(['gzip', 'none'])('%s', async (compression) => {
    const endpoint = protocol === 'grpc' ? collector().grpcUrl : collector().httpUrl;
    const proxy = await start({
      enabled: true,
      service_name: `${protocol} ${compression}`,
      resource_attributes: { 'deployment.environment.name': 'tests' },
      otlp: { endpoint, protocol, compression },
    });
    const traceId = await put(proxy.url);
    // What waits is sent when the process stops: the usual delay is five seconds.
    await proxy.stop();
    const spans = await waitForTrace(collector(), traceId, ({ length }) => length === 3);
    expect(spans.map(({ name }) => name).toSorted()).toEqual(['PutObject', 'authenticate', 'filesystem.PutObject']);
    expect(spans[0]?.resource).toMatchObject({
      'service.name': `${protocol} ${compression}`,
      'service.version': expect.stringMatching(/^\d+\.\d+\.\d+/u),
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/u),
      'deployment.environment.name': 'tests',
    });
  });

  test('over TLS, to a collector whose authority is configured, and to no other', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-otlp-tls-'));
    const certificate = createCertificate(folder, 'collector');
    const behind = new URL(protocol === 'grpc' ? collector().grpcUrl : collector().httpUrl);
    const terminator = await terminateTls(certificate, Number(behind.port));
    onTestFinished(async () => {
      terminator.stop();
      await rm(folder, { recursive: true });
    });
    const otlp = { endpoint: `https://127.0.0.1:${terminator.port}`, protocol, timeout_seconds: 1 };
    const proxy = await start({ enabled: true, otlp: { ...otlp, ca_file: certificate.certFile } });
    const traceId = await put(proxy.url);
    await proxy.stop();
    await waitForTrace(collector(), traceId, ({ length }) => length === 3);
    const trusting = await start({ enabled: true, otlp, batch: { scheduled_delay_millis: 10 } });
    const lost = await put(trusting.url);
    await waitFor(async () => trusting.logs().includes('spans cannot be exported'));
    await trusting.stop();
    expect(spansOf(collector()).filter((span) => span.traceId === lost)).toEqual([]);
  });
});

test('over HTTP, the fields are sent and the body is as configured', async () => {
  const seen: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      seen.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(pieces) });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const otlp = { endpoint: `http://127.0.0.1:${port}`, protocol: 'http/protobuf', headers: { 'X-Api-Key': 'a key' } };
  const proxy = await start({ enabled: true, otlp });
  const traceId = await put(proxy.url);
  await proxy.stop();
  expect(seen[0]?.path).toBe('/v1/traces');
  expect(seen[0]?.headers).toMatchObject({
    'x-api-key': 'a key',
    'content-type': 'application/x-protobuf',
    'content-encoding': 'gzip',
  });
  expect(seen[0]?.headers['user-agent']).toMatch(/^mizuchi-uploadr\//u);
  const received = seen.map(({ body }) => gunzipSync(body));
  expect(spansOf({ received }).every((span) => span.traceId === traceId)).toBe(true);
  server.close();
});

test('over gRPC, the fields are sent', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    seen.push(headers);
    stream.resume();
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      // One message, empty: everything was taken.
      stream.end(Buffer.alloc(5));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const proxy = await start({
    enabled: true,
    otlp: { endpoint: `http://127.0.0.1:${port}`, headers: { 'X-Api-Key': 'a key' } },
  });
  await put(proxy.url);
  await proxy.stop();
  expect(seen[0]).toMatchObject({
    ':path': '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    'x-api-key': 'a key',
    'grpc-encoding': 'gzip',
  });
  server.close();
});

test('OpenTelemetry’s environment variables switch it on where the configuration says nothing', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-otel-'));
  const port = await freePort();
  const file = path.join(folder, 'config.yaml');
  const server = { address: `127.0.0.1:${port}`, state_dir: path.join(folder, 'state') };
  await writeFile(file, stringify({ server, metrics: { enabled: false }, buckets }));
  const running = startProcess({
    command: process.execPath,
    args: [path.resolve(import.meta.dirname, '../../src/cli.ts'), '--config', file],
    cwd: folder,
    folder,
    env: {
      OTEL_SERVICE_NAME: 'of the environment',
      OTEL_RESOURCE_ATTRIBUTES: 'team=uploads%20and%20more',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector().httpUrl,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_TRACES_SAMPLER: 'always_on',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'brotli',
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(running, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  const spans = await waitForTrace(collector(), await put(url), ({ length }) => length === 3);
  expect(spans[0]?.resource).toMatchObject({ 'service.name': 'of the environment', team: 'uploads and more' });
  await waitFor(async () => running.output().includes('OTEL_EXPORTER_OTLP_COMPRESSION is ignored'));
  await running.stop('SIGTERM');
  await rm(folder, { recursive: true, force: true });
});
