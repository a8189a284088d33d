// How many spans are kept, when they are sent, and what is counted, whatever the collector does; and what the SDK leaves alone.
import { context, logs, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TracingConfig } from '../../../../src/config/config.ts';
import { LineWriter } from '../../../../src/line-writer.ts';
import { createLog } from '../../../../src/log.ts';
import type { OnRejected } from '../../../../src/telemetry/tracing/otlp-exporter.ts';
import { startSdk, type SdkOptions } from '../../../../src/telemetry/tracing/start-sdk.ts';

const tracing: TracingConfig = {
  serviceName: 'tests',
  resourceAttributes: {},
  otlp: { endpoint: 'http://localhost:4317', protocol: 'grpc', timeoutMs: 1000, compression: 'none', headers: {} },
  sampling: { strategy: 'always', ratio: 1 },
  batch: { maxQueueSize: 10, scheduledDelayMs: 60_000, maxExportBatchSize: 4 },
  includeKeys: false,
  includeSubject: false,
};

let folder: string;
let fd: number;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-tracing-'));
  fd = openSync(path.join(folder, 'log'), 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const taken: ExportResult = { code: ExportResultCode.SUCCESS };
const refusedWith = (code?: number): ExportResult => ({
  code: ExportResultCode.FAILED,
  error: Object.assign(new Error('no'), code !== undefined && { code }),
});
const refused = refusedWith();

/** @param answer of the collector, to its nth batch. */
function start(
  answer: (batch: number, onRejected: OnRejected) => Promise<ExportResult>,
  options: Partial<SdkOptions> = {},
) {
  const sent: ReadableSpan[][] = [];
  let exporters = 0;
  const sdk = startSdk({
    tracing,
    createExporter(onRejected) {
      exporters++;
      return {
        export(spans, done) {
          sent.push(spans);
          const answered = async (): Promise<void> => done(await answer(sent.length, onRejected));
          void answered();
        },
        shutdown: () => Promise.resolve(),
      };
    },
    log: createLog(
      {
        level: 'info',
        format: 'json',
        keys: 'plain',
        subjects: 'hashed',
        slowUploadMs: 0,
        auditDestination: undefined,
      },
      new LineWriter({ fd, isImmediate: true }),
    ),
    retryDelaysMs: [],
    ...options,
  });
  let made = 0;
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) sdk.tracer.startSpan(String(++made), {}, ROOT_CONTEXT).end();
  };
  const logged = (words: string): number => readFileSync(path.join(folder, 'log'), 'utf8').split(words).length - 1;
  const names = (): number[] => sent.flat().map(({ name }) => Number(name));
  return { sdk, add, sent, names, logged, exporters: () => exporters };
}

const batch = (changes: Partial<TracingConfig['batch']>) => ({
  tracing: { ...tracing, batch: { ...tracing.batch, ...changes } },
});

test('full batches are sent at once, the rest at the end, in order', async () => {
  const { sdk, add, sent, names } = start(async () => taken);
  add(9);
  await vi.waitUntil(() => sdk.counts.exported === 8);
  expect(sent.map(({ length }) => length)).toEqual([4, 4]);
  await sdk.stop();
  expect(names()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(sdk.counts).toEqual({ exported: 9, dropped: 0, failed: 0 });
});

test('a batch that is not full is sent after a while', async () => {
  const { sdk, add, names } = start(async () => taken, batch({ scheduledDelayMs: 1 }));
  add(1);
  await vi.waitUntil(() => sdk.counts.exported === 1);
  expect(names()).toEqual([1]);
});

test('spans that the collector did not keep of a batch that it took have failed, and that is told once', async () => {
  const { sdk, add, logged } = start(async (number, onRejected) => {
    if (number <= 2) onRejected(3, 'quota exceeded');
    return taken;
  });
  add(12);
  await sdk.stop();
  expect(sdk.counts).toEqual({ exported: 6, dropped: 0, failed: 6 });
  expect(logged('does not keep all')).toBe(1);
  expect(logged('quota exceeded')).toBe(1);
});

test('a batch is never larger than the queue', async () => {
  const { sdk, add, sent } = start(async () => taken, batch({ maxQueueSize: 2 }));
  add(2);
  await vi.waitUntil(() => sdk.counts.exported === 2);
  expect(sent.map(({ length }) => length)).toEqual([2]);
});

test('beside the batch that is on its way, no more are kept than the queue may hold, and that is told once', async () => {
  const { promise, resolve } = Promise.withResolvers<ExportResult>();
  const { sdk, add, names, logged } = start(() => promise);
  add(25);
  expect(sdk.counts).toEqual({ exported: 0, dropped: 11, failed: 0 });
  expect(logged('slower than spans are made')).toBe(1);
  resolve(taken);
  await vi.waitUntil(() => sdk.counts.exported === 12);
  add(2);
  await sdk.stop();
  expect(names()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 26, 27]);
  expect(sdk.counts).toEqual({ exported: 16, dropped: 11, failed: 0 });
});

test('a collector that is away is told of once, and so is its return; each time a new exporter tries', async () => {
  const { sdk, add, logged, exporters } = start(async (nth) => (nth < 3 ? refused : taken));
  for (const spans of [4, 8, 12]) {
    add(4);
    await vi.waitUntil(() => sdk.counts.exported + sdk.counts.failed === spans);
  }
  expect(sdk.counts).toEqual({ exported: 4, dropped: 0, failed: 8 });
  expect(exporters()).toBe(3);
  expect(logged('spans cannot be exported')).toBe(1);
  expect(logged('Error: no')).toBe(1);
  expect(logged('"lostSpans":8')).toBe(1);
  add(4);
  await sdk.stop();
  expect(logged('spans are exported again')).toBe(1);
  expect(exporters()).toBe(3);
});

test('what may succeed later is tried again, and nothing is sent twice', async () => {
  const { sdk, add, sent } = start(async (nth) => (nth < 3 ? refusedWith(14) : taken), { retryDelaysMs: [1, 1] });
  add(8);
  await vi.waitUntil(() => sdk.counts.exported === 8);
  expect(sent.map((spans) => spans.map(({ name }) => Number(name)))).toEqual([
    [1, 2, 3, 4],
    [1, 2, 3, 4],
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ]);
  expect(sdk.counts).toEqual({ exported: 8, dropped: 0, failed: 0 });
});

test('what never succeeds is given up, and counted', async () => {
  const { sdk, add, sent } = start(async () => refused, { retryDelaysMs: [1, 1] });
  add(4);
  await vi.waitUntil(() => sdk.counts.failed === 4);
  expect(sent).toHaveLength(3);
});

test.each([3, 16, 400, 401, 404])('what is refused for good (code %i) is not tried again', async (code) => {
  const { sdk, add, sent } = start(async () => refusedWith(code), { retryDelaysMs: [1, 1] });
  add(4);
  await vi.waitUntil(() => sdk.counts.failed === 4);
  expect(sent).toHaveLength(1);
});

test('stopping does not wait until a batch may be tried again: it has its last attempt at once', async () => {
  const answer = async (nth: number): Promise<ExportResult> => (nth === 1 ? refusedWith(14) : taken);
  const { sdk, add, logged, names } = start(answer, { retryDelaysMs: [3_600_000], stopMs: 3_600_000 });
  add(6);
  await vi.waitUntil(() => logged('spans cannot be exported') === 1);
  await sdk.stop();
  expect(sdk.counts).toEqual({ exported: 6, dropped: 0, failed: 0 });
  expect(names().toSorted((a, b) => a - b)).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 6]);
});

test('spans that a collector that is away leaves no room for are its loss, and not told of again', async () => {
  const { promise, resolve } = Promise.withResolvers<ExportResult>();
  const { sdk, add, logged } = start(async (nth) => (nth === 1 ? refused : nth === 2 ? promise : taken));
  add(4);
  await vi.waitUntil(() => sdk.counts.failed === 4);
  add(20);
  expect(sdk.counts.dropped).toBe(6);
  resolve(taken);
  await vi.waitUntil(() => logged('spans are exported again') === 1);
  expect(logged('"lostSpans":10')).toBe(1);
  expect(logged('slower than spans are made')).toBe(0);
  await sdk.stop();
});

test('stopping waits for no collector, and counts what it leaves behind', async () => {
  const { promise, resolve } = Promise.withResolvers<ExportResult>();
  const { sdk, add } = start(() => promise, { stopMs: 20 });
  add(6);
  await sdk.stop();
  expect(sdk.counts).toEqual({ exported: 0, dropped: 6, failed: 0 });
  add(1);
  expect(sdk.counts.dropped).toBe(7);
  resolve(taken);
  await setImmediate();
  expect(sdk.counts).toEqual({ exported: 0, dropped: 7, failed: 0 });
});

test('stopping waits for a batch that is on its way, though another has failed', async () => {
  const { promise, resolve } = Promise.withResolvers<ExportResult>();
  const { sdk, add } = start(async (nth) => (nth === 1 ? promise : refused), { stopMs: 3_600_000 });
  add(6);
  const stopped = sdk.stop();
  await vi.waitUntil(() => sdk.counts.failed === 2);
  await setImmediate();
  resolve(taken);
  await stopped;
  expect(sdk.counts).toEqual({ exported: 4, dropped: 0, failed: 2 });
});

test('an exporter that cannot be made shows at the start', () => {
  const createExporter = () => {
    throw new Error('no such setting');
  };
  expect(() => start(async () => taken, { createExporter })).toThrow('no such setting');
});

test.each([
  ['always', 0, 1],
  ['ratio', 0, 0],
  ['ratio', 1, 1],
  ['parent_based', 0, 0],
  ['parent_based', 1, 1],
] as const)('%s of %i, without a parent', async (strategy, ratio, exported) => {
  const { sdk, add } = start(async () => taken, { tracing: { ...tracing, sampling: { strategy, ratio } } });
  add(1);
  await sdk.stop();
  expect(sdk.counts).toEqual({ exported, dropped: 0, failed: 0 });
});

describe('in a process that is not ours alone', () => {
  afterEach(() => {
    trace.disable();
    vi.unstubAllEnvs();
  });

  test('nothing is registered for all of it', async () => {
    const { sdk } = start(async () => taken);
    const theirs = new TracerProvider();
    expect(trace.getTracer('theirs').startSpan('theirs', {}, ROOT_CONTEXT).isRecording()).toBe(false);
    expect(trace.setGlobalTracerProvider(theirs)).toBe(true);
    expect(logs.setGlobalLoggerProvider(logs.getLoggerProvider())).toBe(true);
    expect(context.with(trace.setSpan(ROOT_CONTEXT, sdk.tracer.startSpan('ours')), () => trace.getActiveSpan())).toBe(
      undefined,
    );
    logs.disable();
    await sdk.stop();
  });

  test('a provider that is registered stays so, and its spans are not ours', async () => {
    const theirs = new TracerProvider();
    trace.setGlobalTracerProvider(theirs);
    const { sdk } = start(async () => taken);
    trace.getTracer('theirs').startSpan('theirs', {}, ROOT_CONTEXT).end();
    await sdk.stop();
    expect(sdk.counts.exported).toBe(0);
    expect(trace.getTracer('theirs').startSpan('theirs', {}, ROOT_CONTEXT).isRecording()).toBe(true);
  });

  test('OpenTelemetry’s variables change nothing, and stay as they are', async () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_off');
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'team=uploads');
    vi.stubEnv('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', '0');
    const { sdk, sent } = start(async () => taken);
    sdk.tracer.startSpan('a', { attributes: { a: 'a' } }, ROOT_CONTEXT).end();
    await sdk.stop();
    expect(sent[0]?.[0]?.attributes).toEqual({ a: 'a' });
    expect(sent[0]?.[0]?.resource.attributes).toMatchObject({ 'service.name': 'tests' });
    expect(sent[0]?.[0]?.resource.attributes).not.toHaveProperty('team');
    expect(process.env['OTEL_SDK_DISABLED']).toBe('true');
    expect(process.env).not.toHaveProperty('OTEL_LOGS_EXPORTER');
  });
});
