// Spans are written so that a reader of protobuf finds in them what was meant.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SpanExporter } from '../../../../src/telemetry/tracing/span-exporter.ts';
import { encodeAttribute, encodeKey, spanKinds, SpanWriter } from '../../../../src/telemetry/tracing/span-writer.ts';
import { createLog } from '../../../../src/log.ts';
import { spansOf } from '../../../support/traces.ts';

const log = createLog({
  level: 'silent',
  format: 'json',
  keys: 'plain',
  subjects: 'hashed',
  slowUploadMs: 0,
  auditDestination: undefined,
});

const head = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentId: undefined,
  hasRemoteParent: false,
  state: undefined,
  name: 'PutObject',
  kind: spanKinds.server,
  startMs: 1_795_264_110_243.117,
  endMs: 1_795_264_110_251.838,
};

/** Through an exporter, as they would arrive. */
async function send(write: (writer: SpanWriter) => void) {
  const received: Buffer[] = [];
  const exporter = new SpanExporter({
    transport: {
      send: async ({ bytes }) => {
        received.push(Buffer.from(bytes));
        return { rejectedSpans: 0, message: '' };
      },
      reconnect: () => undefined,
      close: () => undefined,
    },
    batch: { maxQueueSize: 100, scheduledDelayMs: 60_000, maxExportBatchSize: 100 },
    resource: { 'service.name': 'tests', 'process.pid': 123_456_789 },
    scope: { name: 'tests', version: '1' },
    log,
  });
  const writer = exporter.open();
  if (writer === undefined) throw new Error('no room');
  write(writer);
  exporter.added();
  await exporter.stop();
  expect(exporter.counts).toEqual({ exported: 1, dropped: 0, failed: 0 });
  return spansOf({ received })[0];
}

test('everything that a span can say', async () => {
  const span = await send((writer) => {
    writer.begin({ ...head, parentId: '00f067aa0ba902b7', hasRemoteParent: true, state: 'a=1' });
    writer.encoded(encodeAttribute('encoded', 'text'));
    writer.encoded(encodeAttribute('encoded.number', 65_535));
    writer.encoded(encodeAttribute('encoded.flag', true));
    writer.text(encodeKey('text'), 'föö');
    writer.integer(encodeKey('integer'), 5 * 2 ** 40);
    writer.flag(encodeKey('flag'), false);
    writer.event('event', 1_795_264_110_250.5, encodeAttribute('exception.type', 'Error', 3));
    writer.failed('SlowDown');
    writer.end();
  });
  expect(span).toEqual({
    traceId: head.traceId,
    spanId: head.spanId,
    parentId: '00f067aa0ba902b7',
    state: 'a=1',
    name: 'PutObject',
    kind: 'server',
    startMs: head.startMs,
    endMs: head.endMs,
    attributes: {
      encoded: 'text',
      'encoded.number': 65_535,
      'encoded.flag': true,
      text: 'föö',
      integer: 5 * 2 ** 40,
      flag: false,
    },
    events: [{ name: 'event', timeMs: 1_795_264_110_250.5, attributes: { 'exception.type': 'Error' } }],
    isError: true,
    message: 'SlowDown',
    flags: 0x301,
    resource: { 'service.name': 'tests', 'process.pid': 123_456_789 },
  });
});

test('what was begun and never ended is not there', async () => {
  const span = await send((writer) => {
    writer.begin({ ...head, name: 'unfinished' });
    writer.text(encodeKey('a'), 'a');
    writer.begin(head);
    writer.end();
  });
  expect(span).toMatchObject({ name: 'PutObject', attributes: {} });
});

test('any attributes, of any length', async () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 500 }),
    fc.nat(),
    fc.maxSafeNat(),
    fc.boolean(),
    fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
  );
  // A lone half of a surrogate pair has no bytes in UTF-8.
  const attributes = fc.dictionary(fc.stringMatching(/^[a-z.]{1,200}$/), value, { maxKeys: 60, noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(attributes, async (wanted) => {
      const span = await send((writer) => {
        writer.begin(head);
        for (const [name, one] of Object.entries(wanted)) {
          if (typeof one === 'string') writer.text(encodeKey(name), one.toWellFormed());
          else if (typeof one === 'number') writer.integer(encodeKey(name), one);
          else writer.flag(encodeKey(name), one);
        }
        writer.end();
      });
      const expected = Object.entries(wanted).map(([name, one]) => [
        name,
        typeof one === 'string' ? one.toWellFormed() : one,
      ]);
      expect(span?.attributes).toEqual(Object.fromEntries(expected));
    }),
    { numRuns: 200 },
  );
});
