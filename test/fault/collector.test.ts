// A collector that dies, stops answering or refuses in the middle of uploads: they go on, and so do spans once it is back.
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startRotel, type Collector } from '../servers/start-rotel.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { answerWith, passOnTo, startRecorder, type Recorder } from '../support/recorder.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { scrape } from '../support/scrape.ts';
import { sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { spansOf } from '../support/traces.ts';
import { waitFor } from '../support/wait-for.ts';

const uploads = 200;
const inFlight = 8;
/** The request, who it is, and the backend's call. */
const spansOfUpload = 3;
const bodyOf = (key: string): string => `the body of ${key}`;
const awayMessage = 'spans cannot be exported';
const backMessage = 'spans are exported again';

let store: S3Server;
let stored: BucketView;
let collector: Collector;
/** Between the proxy and the collector, for refusals. */
let gate: Recorder;
let token: string;

beforeAll(async () => {
  store = await startMinio();
  stored = await createBucket(store, 'backend-bucket');
  token = await createToken();
});
afterAll(() => store.stop());
beforeEach(async () => {
  collector = await startRotel();
  gate = await startRecorder(passOnTo({ port: Number(new URL(collector.httpUrl).port) }));
});
afterEach(async () => {
  await gate.stop();
  await collector.stop();
});

function start(otlp: object, batch: object = {}): Promise<RunningProxy> {
  const { endpoint, region, accessKey, secretKey } = store;
  return startProxy({
    config: {
      tracing: {
        enabled: true,
        otlp: { timeout_seconds: 1, ...otlp },
        batch: { scheduled_delay_millis: 20, ...batch },
      },
      buckets: [
        {
          name: 'uploads',
          path_prefix: '/uploads',
          s3: { bucket: stored.bucket, region, endpoint, access_key: accessKey, secret_key: secretKey },
          auth: { jwt: { algorithm: 'HS256', secret: jwtSecret } },
        },
      ],
    },
  });
}

/** @param onDone is told how many are done. @returns the traces of the uploads, all of which have succeeded. */
async function upload(
  proxy: RunningProxy,
  prefix: string,
  count: number,
  onDone: (done: number) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const traceIds: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const key = `${prefix}-${next++}`;
      const answer = await sendRequest({
        url: proxy.url,
        method: 'PUT',
        path: `/uploads/${key}`,
        headers: { authorization: `Bearer ${token}` },
        body: bodyOf(key),
        agent,
      });
      expect(answer).toMatchObject({ status: 200 });
      traceIds.push(String(answer.headers['x-mizuchi-trace-id']));
      await onDone(traceIds.length);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  agent.destroy();
  return traceIds;
}

const timesLogged = (proxy: RunningProxy, message: string): number => proxy.logs().split(message).length - 1;

/** What has become of all spans. */
async function spanCounts({ metricsUrl }: RunningProxy): Promise<Record<'exported' | 'dropped' | 'failed', number>> {
  const read = await scrape(metricsUrl);
  const count = (result: string): number => read.sum('mizuchi_trace_spans_total', { result });
  return { exported: count('exported'), dropped: count('dropped'), failed: count('failed') };
}

async function haveArrived(traceIds: readonly string[]): Promise<void> {
  await waitFor(async () => {
    const seen = new Set(spansOf(collector).map(({ traceId }) => traceId));
    return traceIds.every((traceId) => seen.has(traceId));
  }, 60_000);
}

interface Fault {
  readonly otlp: () => object;
  readonly begin: () => Promise<void> | void;
  readonly end: () => Promise<void> | void;
}

const overGrpc = (): object => ({ endpoint: collector.grpcUrl });
const toCollector = (): object => ({ endpoint: collector.httpUrl, protocol: 'http/protobuf' });
const overHttp = (): object => ({ endpoint: gate.endpoint, protocol: 'http/protobuf' });

const faults: readonly (readonly [name: string, fault: Fault])[] = [
  ['killed, over gRPC', { otlp: overGrpc, begin: () => collector.kill(), end: () => collector.restart() }],
  ['killed, over HTTP', { otlp: toCollector, begin: () => collector.kill(), end: () => collector.restart() }],
  ['stalled, over gRPC', { otlp: overGrpc, begin: () => collector.suspend(), end: () => collector.resume() }],
  ['stalled, over HTTP', { otlp: overHttp, begin: () => collector.suspend(), end: () => collector.resume() }],
  [
    'refusing, over HTTP',
    {
      otlp: overHttp,
      begin: () => gate.setAnswer(answerWith(503, {})),
      end: () => gate.setAnswer(passOnTo({ port: Number(new URL(collector.httpUrl).port) })),
    },
  ],
];

/** Between the proxy and the collector: passes every connection on, or to a server that has no room for what it is sent. */
async function startGrpcGate() {
  const listen = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const full = createHttp2Server().on('stream', (stream) => {
    const exhausted = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8' };
    stream.resume().on('end', () => stream.respond(exhausted, { endStream: true }));
  });
  const fullPort = await listen(full);
  const sockets = new Set<Socket>();
  let isRefusing = false;
  const server = createServer((socket) => {
    const onward = connect(isRefusing ? fullPort : Number(new URL(collector.grpcUrl).port), '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => onward.destroy());
    onward.on('error', () => undefined).on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  const endpoint = `http://127.0.0.1:${await listen(server)}`;
  const setRefusing = (next: boolean): void => {
    isRefusing = next;
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  onTestFinished(() => {
    setRefusing(false);
    server.close();
    full.close();
  });
  return { endpoint, setRefusing };
}

test('a collector that has no room over gRPC (RESOURCE_EXHAUSTED) is like one that is away', async () => {
  const { endpoint, setRefusing } = await startGrpcGate();
  const proxy = await start({ endpoint });
  await haveArrived(await upload(proxy, 'before', 10));
  // A connection that is cut under a batch would be another fault.
  await waitFor(async () => (await spanCounts(proxy)).exported === 10 * spansOfUpload);
  setRefusing(true);
  await upload(proxy, 'exhausted', uploads);
  await waitFor(async () => timesLogged(proxy, awayMessage) === 1, 60_000);
  expect(proxy.logs()).toContain('RESOURCE_EXHAUSTED');
  setRefusing(false);
  await waitFor(async () => {
    await upload(proxy, 'again', 1);
    return timesLogged(proxy, backMessage) === 1;
  }, 60_000);
  await haveArrived(await upload(proxy, 'after', 10));
  expect(timesLogged(proxy, awayMessage)).toBe(1);
  expect(await proxy.stop()).toEqual({ code: 0, signal: null });
});

describe.each(faults)('a collector that is %s', (name, fault) => {
  test('fails no upload, is told of once, and gets spans again when it is back', async () => {
    const proxy = await start(fault.otlp());
    const prefix = name.replaceAll(/\W+/gu, '-');
    let hasBegun = false;
    await upload(proxy, prefix, uploads, async (done) => {
      if (hasBegun || done < uploads / 4) return;
      hasBegun = true;
      await fault.begin();
    });
    const keys = Array.from({ length: uploads }, (_, index) => `${prefix}-${index}`);
    for (const key of keys) expect((await stored.readBytes(key)).toString()).toBe(bodyOf(key));
    await waitFor(async () => timesLogged(proxy, awayMessage) === 1, 60_000);
    await fault.end();
    await waitFor(async () => timesLogged(proxy, backMessage) === 1, 60_000);
    await haveArrived(await upload(proxy, `${prefix}-back`, 10));
    expect(timesLogged(proxy, awayMessage)).toBe(1);
    expect(timesLogged(proxy, backMessage)).toBe(1);
    // None goes uncounted.
    await waitFor(async () => {
      const { exported, dropped, failed } = await spanCounts(proxy);
      return exported + dropped + failed === (uploads + 10) * spansOfUpload;
    });
    expect(await proxy.stop()).toEqual({ code: 0, signal: null });
  });
});

test('with a collector that takes nothing, memory stays bounded and the process stops in time', async () => {
  const proxy = await start({ endpoint: collector.grpcUrl, timeout_seconds: 60 }, { max_queue_size: 512 });
  await upload(proxy, 'warm', 1000);
  const peakBytes = await proxy.peakRssBytes();
  collector.suspend();
  const before = await spanCounts(proxy);
  await upload(proxy, 'more', 3000);
  // 512 spans may wait, and as many be on their way.
  const { dropped } = await spanCounts(proxy);
  expect(dropped - before.dropped).toBeGreaterThanOrEqual(3000 * spansOfUpload - 2 * 512);
  expect((await proxy.peakRssBytes()) - peakBytes).toBeLessThan(32 * 1024 * 1024);
  expect(timesLogged(proxy, 'slower than spans are made')).toBe(1);
  expect(await proxy.stop()).toEqual({ code: 0, signal: null });
  collector.resume();
});

test('without a collector from the start, the proxy starts, serves and stops', async () => {
  await collector.kill();
  const proxy = await start({ endpoint: collector.grpcUrl });
  await upload(proxy, 'alone', 20);
  await waitFor(async () => timesLogged(proxy, awayMessage) === 1);
  expect(await proxy.stop()).toEqual({ code: 0, signal: null });
});
