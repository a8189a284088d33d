// What happens again and again is said once a second, and nothing of it is left unsaid.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Log } from '../../../../src/log.ts';
import { logFailedOpen } from '../../../../src/telemetry/log-events.ts';
import { saySeldom } from '../../../../src/telemetry/say-seldom.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the first time is said at once, the rest a second later, and then no more', () => {
  const said: [number, string][] = [];
  const seldom = saySeldom<string>((times, latest) => said.push([times, latest]));
  for (const detail of ['a', 'b', 'c']) seldom.note(detail);
  expect(said).toEqual([[1, 'a']]);
  vi.advanceTimersByTime(1000);
  expect(said).toEqual([
    [1, 'a'],
    [2, 'c'],
  ]);
  seldom.note('d');
  expect(said).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  expect(said.slice(2)).toEqual([[1, 'd']]);
  seldom.note('e');
  expect(said.slice(3)).toEqual([[1, 'e']]);
});

test('at the end, what is left is said at once', () => {
  const said: number[] = [];
  const seldom = saySeldom<undefined>((times) => said.push(times));
  for (let i = 0; i < 5; i++) seldom.note(undefined);
  seldom.flush();
  seldom.flush();
  expect(said).toEqual([1, 4]);
});

test('a log that throws harms nobody, and is told on', () => {
  const said: number[] = [];
  const seldom = saySeldom<undefined>((times) => {
    said.push(times);
    throw new Error('the log');
  });
  for (let i = 0; i < 3; i++) seldom.note(undefined);
  vi.advanceTimersByTime(1000);
  seldom.note(undefined);
  seldom.flush();
  expect(said).toEqual([1, 2, 1]);
});

test('of requests let through, each engine’s are all said', () => {
  const warn = vi.fn<(fields: object, message: string) => void>();
  const failedOpen = logFailedOpen({ warn } as unknown as Log, 'uploads');
  const error = new Error('away');
  for (let i = 0; i < 3; i++) failedOpen.onFailedOpen('opa', error);
  for (let i = 0; i < 2; i++) failedOpen.onFailedOpen('openfga', error);
  vi.advanceTimersByTime(1000);
  failedOpen.onFailedOpen('opa', error);
  failedOpen.flush();
  expect(warn.mock.calls.map(([fields]) => fields)).toEqual([
    { bucket: 'uploads', engine: 'opa', requests: 1, err: error },
    { bucket: 'uploads', engine: 'openfga', requests: 1, err: error },
    { bucket: 'uploads', engine: 'opa', requests: 2, err: error },
    { bucket: 'uploads', engine: 'openfga', requests: 1, err: error },
    { bucket: 'uploads', engine: 'opa', requests: 1, err: error },
  ]);
});
