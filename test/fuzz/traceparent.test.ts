// Whatever a client sends as its trace: no error, and what is passed on is valid by the letter.
import { TraceState } from '@opentelemetry/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RequestHeaders } from '../../src/http.ts';
import { formatTraceparent, readRemoteParent, readTraceState } from '../../src/telemetry/tracing/trace-context.ts';

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`, 'u'));
const nearlyValid = fc
  .tuple(hex(2), hex(32), hex(16), hex(2), fc.constantFrom('', '-', '-more', ',', 'x'))
  .map(([version, traceId, spanId, flags, more]) => `${version}-${traceId}-${spanId}-${flags}${more}`)
  .chain((field) =>
    fc
      .record({ at: fc.nat(field.length), cut: fc.nat(2), put: fc.constantFrom('', '0', '-', 'F', 'é', '\0') })
      .map(({ at, cut, put }) => field.slice(0, at) + put + field.slice(at + (put === '' ? 0 : cut))),
  );
const field = fc.oneof(nearlyValid, fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 70 }));

test('a traceparent is valid or absent', () => {
  const valid = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/su;
  let taken = 0;
  fc.assert(
    fc.property(fc.array(field, { minLength: 1, maxLength: 2 }), (fields) => {
      const headers = new RequestHeaders(fields.flatMap((value) => ['traceparent', value]));
      const parent = readRemoteParent(headers);
      if (parent === undefined) return;
      taken++;
      const { traceId, spanId, isSampled } = parent;
      const [only = ''] = fields;
      expect(fields).toHaveLength(1);
      expect(only).toMatch(valid);
      expect(only.startsWith('ff')).toBe(false);
      expect(formatTraceparent(traceId, spanId, isSampled).slice(2, 52)).toBe(only.slice(2, 52));
    }),
    { numRuns: 50_000 },
  );
  expect(taken).toBeGreaterThan(100);
});

test('a tracestate that is passed on is one that others read whole', () => {
  const member = fc
    .tuple(fc.stringMatching(/^[a-z0-9][a-z0-9_*/@-]{0,20}$/u), fc.stringMatching(/^[ -~]{0,40}$/u))
    .map(([key, value]) => `${key}=${value}`);
  const state = fc.oneof(
    fc.array(fc.oneof(member, fc.string({ maxLength: 5 })), { maxLength: 40 }).map((members) => members.join(',')),
    fc.array(member, { maxLength: 3 }).map((members) => members.join(' , ')),
    fc.string({ unit: 'binary', maxLength: 600 }),
  );
  let taken = 0;
  fc.assert(
    fc.property(state, (value) => {
      const passedOn = readTraceState(value);
      if (passedOn === undefined) return;
      taken++;
      expect(passedOn.length).toBeLessThanOrEqual(512);
      expect(readTraceState(passedOn)).toBe(passedOn);
      // OpenTelemetry's own reader leaves out what it does not take.
      expect(new TraceState(passedOn).serialize()).toBe(passedOn);
    }),
    { numRuns: 50_000 },
  );
  expect(taken).toBeGreaterThan(100);
});
