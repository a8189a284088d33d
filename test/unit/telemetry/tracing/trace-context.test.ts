// traceparent and tracestate, as W3C Trace Context has them.
import { describe, expect, test } from 'vitest';
import { RequestHeaders } from '../../../../src/http.ts';
import {
  formatTraceparent,
  readRemoteParent,
  readTraceState,
} from '../../../../src/telemetry/tracing/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const read = (...fields: string[]) => readRemoteParent(new RequestHeaders(fields));

test('what is written is read again', () => {
  for (const isSampled of [true, false]) {
    const field = formatTraceparent(traceId, spanId, isSampled);
    expect(read('traceparent', field)).toEqual({ traceId, spanId, isSampled, state: undefined });
  }
});

test.each([
  ['01', true],
  ['00', false],
  ['02', false],
  ['03', true],
  ['ff', true],
])('of the flags %s, the lowest bit says whether it is sampled', (flags, isSampled) => {
  expect(read('traceparent', `00-${traceId}-${spanId}-${flags}`)?.isSampled).toBe(isSampled);
});

test('ids of zeros are none', () => {
  expect(read('traceparent', `00-${'0'.repeat(32)}-${spanId}-01`)).toBeUndefined();
  expect(read('traceparent', `00-${traceId}-${'0'.repeat(16)}-01`)).toBeUndefined();
});

test('a later version may say more', () => {
  expect(read('traceparent', `01-${traceId}-${spanId}-01-more`)?.traceId).toBe(traceId);
  expect(read('traceparent', `01-${traceId}-${spanId}-01more`)).toBeUndefined();
  expect(read('traceparent', `01-${traceId}-${spanId}-01-a, 01-${traceId}-${spanId}-01-a`)).toBeUndefined();
});

test('several fields of tracestate are one', () => {
  const traceparent = ['traceparent', `00-${traceId}-${spanId}-01`];
  expect(read(...traceparent, 'tracestate', 'a=1', 'tracestate', 'b=2')?.state).toBe('a=1,b=2');
});

test('a tracestate without a traceparent is nothing', () => {
  expect(read('tracestate', 'a=1')).toBeUndefined();
});

describe('tracestate', () => {
  const many = (count: number): string => Array.from({ length: count }, (_, index) => `k${index}=v`).join(',');
  test.each([
    ['one member', 'rojo=00f067aa0ba902b7', 'rojo=00f067aa0ba902b7'],
    ['several tenants', 'fw529a3039@dt=FfAAAAA, a/b*c-d_e=x', 'fw529a3039@dt=FfAAAAA,a/b*c-d_e=x'],
    ['empty members', 'a=1, ,\t,b=2,', 'a=1,b=2'],
    ['spaces within a value', 'a=b c', 'a=b c'],
    ['32 members', many(32), many(32)],
    ['33 members', many(33), undefined],
    ['the same key twice', 'a=1,b=2,a=3', undefined],
    ['a key in capitals', 'A=1', undefined],
    ['no key', '=1', undefined],
    ['no value', 'a=', undefined],
    ['no equals sign', 'a', undefined],
    ['an equals sign in the value', 'a=b=c', undefined],
    ['what is not ASCII', 'a=é', undefined],
    ['nothing', '', undefined],
    ['a value of 256 characters', `a=${'b'.repeat(256)}`, `a=${'b'.repeat(256)}`],
    ['a value of 257 characters', `a=${'b'.repeat(257)}`, undefined],
  ])('%s', (_, field, state) => {
    expect(readTraceState(field)).toBe(state);
  });

  test('spaces without end cost no more than other characters', () => {
    // By the square of their number it would be a minute.
    for (let i = 0; i < 500; i++) expect(readTraceState(`a=${' '.repeat(16_000)}b`)).toBeUndefined();
  });

  test('beyond 512 characters, the oldest members are left out', () => {
    const member = (key: string): string => `${key}=${'v'.repeat(200)}`;
    expect(readTraceState(['a', 'b', 'c', 'd'].map(member).join(','))).toBe(['a', 'b'].map(member).join(','));
  });
});
