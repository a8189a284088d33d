// How many spans are kept, when they are sent, and what is counted, whatever the collector does.
import { expect, test, vi } from 'vitest';
import { createLog } from '../../../../src/log.ts';
import type { Receipt, SpanBatch } from '../../../../src/telemetry/tracing/otlp-transport.ts';
import { SpanExporter, type SpanExporterOptions } from '../../../../src/telemetry/tracing/span-exporter.ts';
import { spanKinds } from '../../../../src/telemetry/tracing/span-writer.ts';
import { spansOf } from '../../../support/traces.ts';

const log = createLog({
  level: 'silent',
  format: 'json',
  keys: 'plain',
  subjects: 'hashed',
  slowUploadMs: 0,
  auditDestination: undefined,
});

const taken: Receipt = { rejectedSpans: 0, message: '' };

function start(
  answer: (attempt: number) => Promise<Receipt>,
  {
    batch = { maxQueueSize: 10, scheduledDelayMs: 60_000, maxExportBatchSize: 4 },
    ...more
  }: Partial<SpanExporterOptions> = {},
) {
  const sent: SpanBatch[] = [];
  const received: Buffer[] = [];
  const exporter = new SpanExporter({
    transport: {
      async send(one) {
        sent.push(one);
        const receipt = await answer(sent.length);
        received.push(Buffer.from(one.bytes));
        return receipt;
      },
      reconnect: () => undefined,
      close: () => undefined,
    },
    batch,
    resource: {},
    scope: { name: 'tests', version: '1' },
    log,
    retryDelaysMs: [1, 1],
    ...more,
  });
  let made = 0;
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const writer = exporter.open();
      const spanId = String(++made).padStart(16, '0');
      if (writer === undefined) continue;
      writer.begin({
        traceId: '1'.repeat(32),
        spanId,
        parentId: undefined,
        hasRemoteParent: false,
        state: undefined,
        name: 'a',
        kind: spanKinds.server,
        startMs: 1,
        endMs: 2,
      });
      writer.end();
      exporter.added();
    }
  };
  return { exporter, add, sent, arrived: () => spansOf({ received }).map(({ spanId }) => Number(spanId)) };
}

const refused = (code?: number): Promise<never> =>
  Promise.reject(Object.assign(new Error('no'), code === undefined ? {} : { code }));

test('full batches are sent at once, the rest at the end, in order', async () => {
  const { exporter, add, sent, arrived } = start(async () => taken);
  add(9);
  await vi.waitUntil(() => exporter.counts.exported === 8);
  expect(sent.map(({ spans }) => spans)).toEqual([4, 4]);
  await exporter.stop();
  expect(arrived()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(exporter.counts).toEqual({ exported: 9, dropped: 0, failed: 0 });
});

test('a batch that is not full is sent after a while', async () => {
  const { exporter, add, arrived } = start(async () => taken, {
    batch: { maxQueueSize: 10, scheduledDelayMs: 1, maxExportBatchSize: 4 },
  });
  add(1);
  await vi.waitUntil(() => exporter.counts.exported === 1);
  expect(arrived()).toEqual([1]);
});

test('no more are kept than the queue may hold, those on their way included', async () => {
  const { promise, resolve } = Promise.withResolvers<Receipt>();
  const { exporter, add, arrived } = start(() => promise);
  add(25);
  expect(exporter.counts).toEqual({ exported: 0, dropped: 15, failed: 0 });
  resolve(taken);
  await vi.waitUntil(() => exporter.counts.exported === 8);
  add(2);
  await exporter.stop();
  expect(arrived()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 26, 27]);
});

test('what may succeed later is tried again, and nothing is sent twice', async () => {
  const { exporter, add, sent, arrived } = start((attempt) => (attempt < 3 ? refused(14) : Promise.resolve(taken)));
  add(8);
  await vi.waitUntil(() => exporter.counts.exported === 8);
  expect(sent).toHaveLength(4);
  expect(arrived()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('what never succeeds is given up, and counted', async () => {
  const { exporter, add, sent } = start(() => refused());
  add(4);
  await vi.waitUntil(() => exporter.counts.failed === 4);
  expect(sent).toHaveLength(3);
});

test.each([3, 16, 400, 401, 404])('what is refused for good (code %i) is not tried again', async (code) => {
  const { exporter, add, sent } = start(() => refused(code));
  add(4);
  await vi.waitUntil(() => exporter.counts.failed === 4);
  expect(sent).toHaveLength(1);
});

test('spans that the collector rejects have failed', async () => {
  const { exporter, add } = start(async () => ({ rejectedSpans: 3, message: 'three of them' }));
  add(4);
  await vi.waitUntil(() => exporter.counts.exported === 1);
  expect(exporter.counts).toEqual({ exported: 1, dropped: 0, failed: 3 });
});

test('stopping waits for no collector, and counts what it leaves behind', async () => {
  const { exporter, add } = start(() => new Promise(() => undefined), { stopMs: 20 });
  add(6);
  await exporter.stop();
  expect(exporter.counts).toEqual({ exported: 0, dropped: 6, failed: 0 });
  add(1);
  expect(exporter.counts.dropped).toBe(7);
});

test('stopping does not wait until a batch may be tried again', async () => {
  const { exporter, add } = start((attempt) => (attempt === 1 ? refused(14) : Promise.resolve(taken)), {
    retryDelaysMs: [3_600_000],
  });
  add(4);
  await vi.waitUntil(() => exporter.counts.exported === 0);
  await exporter.stop();
  expect(exporter.counts.exported + exporter.counts.failed + exporter.counts.dropped).toBe(4);
});
