// How old the keys of several workers are together.
import { expect, test } from 'vitest';
import {
  keepOfSilent,
  leaveOutWithoutKeys,
  mergeSnapshots,
  type MetricSnapshot,
} from '../../../../src/telemetry/metrics/snapshot.ts';

interface Keys {
  readonly ageSeconds: number;
  readonly fetched: number;
}

/** What a worker says of its buckets. */
function say(buckets: Readonly<Record<string, Keys>>): MetricSnapshot[] {
  const all = Object.entries(buckets);
  return [
    {
      name: 'mizuchi_jwks_fetches_total',
      help: 'Fetches.',
      type: 'counter',
      aggregator: 'sum',
      values: all.flatMap(([bucket, { fetched }]) => [
        { value: fetched, labels: { bucket, result: 'success' } },
        { value: 3, labels: { bucket, result: 'failure' } },
      ]),
    },
    {
      name: 'mizuchi_jwks_age_seconds',
      help: 'Age.',
      type: 'gauge',
      aggregator: 'min',
      values: all.map(([bucket, { ageSeconds }]) => ({ value: ageSeconds, labels: { bucket } })),
    },
  ];
}

function agesOf(snapshots: readonly MetricSnapshot[][]): Record<string, number> {
  const merged = mergeSnapshots(leaveOutWithoutKeys(snapshots));
  const { values = [] } = merged.find(({ name }) => name === 'mizuchi_jwks_age_seconds') ?? {};
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels['bucket']), value]));
}

test('a worker that was started while they cannot be fetched does not make them younger', () => {
  const old = say({ a: { ageSeconds: 2000, fetched: 4 }, b: { ageSeconds: 30, fetched: 1 } });
  const fresh = say({ a: { ageSeconds: 100, fetched: 0 }, b: { ageSeconds: 100, fetched: 0 } });
  expect(agesOf([old, fresh])).toEqual({ a: 2000, b: 30 });
  expect(agesOf([fresh, old])).toEqual({ a: 2000, b: 30 });
});

test('of those that have fetched some, the youngest', () => {
  const worker = (ageSeconds: number) => say({ a: { ageSeconds, fetched: 1 } });
  expect(agesOf([worker(70), worker(20), worker(500)])).toEqual({ a: 20 });
});

test('where none has, since a start; likewise where the one that has is silent', () => {
  const fresh = say({ a: { ageSeconds: 100, fetched: 0 } });
  expect(agesOf([fresh, say({ a: { ageSeconds: 300, fetched: 0 } })])).toEqual({ a: 100 });
  expect(agesOf([fresh, keepOfSilent(say({ a: { ageSeconds: 2000, fetched: 4 } }))])).toEqual({ a: 100 });
});
