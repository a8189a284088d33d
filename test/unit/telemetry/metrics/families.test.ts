// Counters and histograms as they are read.
import { describe, expect, test } from 'vitest';
import { DistributionFamily, FigureFamily } from '../../../../src/telemetry/metrics/families.ts';
import { mergeSnapshots, keepCounts, renderSnapshot } from '../../../../src/telemetry/metrics/snapshot.ts';

const traceId = 'a'.repeat(32);
const newSeconds = () => {
  const family = new DistributionFamily({ name: 'wait_seconds', help: 'Waits.', labels: ['bucket'] }, [0.01, 0.1, 1]);
  return { family, distribution: family.add({ bucket: 'uploads' }) };
};

test('a figure is what was counted and what is under way', () => {
  const family = new FigureFamily('counter', { name: 'bytes_total', help: 'Bytes.', labels: ['bucket'] });
  let underWay = 7;
  const figure = family.add({ bucket: 'uploads' }, () => underWay);
  figure.value += 100;
  expect(family.read().values).toEqual([{ value: 107, labels: { bucket: 'uploads' } }]);
  underWay = 0;
  figure.value += 7;
  expect(family.read().values).toEqual([{ value: 107, labels: { bucket: 'uploads' } }]);
});

test('a distribution counts up to and with each bound', async () => {
  const { family, distribution } = newSeconds();
  for (const ms of [0, 10, 10.001, 99, 100, 1000, 1001, 86_400_000]) distribution.observe(ms);
  const text = await renderSnapshot([family.read()], 'prometheus');
  expect(text.split('\n').filter((line) => !line.startsWith('#') && line !== '')).toEqual([
    'wait_seconds_bucket{bucket="uploads",le="0.01"} 2',
    'wait_seconds_bucket{bucket="uploads",le="0.1"} 5',
    'wait_seconds_bucket{bucket="uploads",le="1"} 6',
    'wait_seconds_bucket{bucket="uploads",le="+Inf"} 8',
    expect.stringMatching(/^wait_seconds_sum\{bucket="uploads"\} 86402\.22/u),
    'wait_seconds_count{bucket="uploads"} 8',
  ]);
});

describe('exemplars', () => {
  test('the last of each bucket, in OpenMetrics only', async () => {
    const { family, distribution } = newSeconds();
    distribution.observe(50, 'b'.repeat(32));
    distribution.observe(60, traceId);
    distribution.observe(70);
    const open = await renderSnapshot([family.read()], 'openmetrics');
    expect(open).toMatch(
      new RegExp(
        String.raw`^wait_seconds_bucket\{bucket="uploads",le="0\.1"\} 3 # \{trace_id="${traceId}"\} 0\.06 \d{10}\.\d+$`,
        'mu',
      ),
    );
    expect(open.match(/trace_id/gu)).toHaveLength(1);
    expect(await renderSnapshot([family.read()], 'prometheus')).not.toContain('trace_id');
  });

  test('of several processes, the newest', async () => {
    const [one, other] = [newSeconds(), newSeconds()];
    one.distribution.observe(50, 'b'.repeat(32));
    await new Promise((resolve) => setTimeout(resolve, 5));
    other.distribution.observe(60, traceId);
    const snapshots = [[other.family.read()], [one.family.read()]];
    // As they come from another process.
    const merged = mergeSnapshots(JSON.parse(JSON.stringify(snapshots)) as typeof snapshots);
    const open = await renderSnapshot(merged, 'openmetrics');
    expect(open).toContain(`le="0.1"} 2 # {trace_id="${traceId}"} 0.06 `);
    expect(open.match(/trace_id/gu)).toHaveLength(1);
  });
});

test('of several processes counters and gauges are added, and what is one for all is not', () => {
  const read = (value: number) => {
    const counted = new FigureFamily('counter', { name: 'a_total', help: 'A.', labels: ['bucket'] });
    const held = new FigureFamily('gauge', { name: 'held', help: 'Held.', labels: [] });
    const shared = new FigureFamily('gauge', { name: 'shared', help: 'Shared.', labels: [] }, 'max');
    counted.add({ bucket: 'uploads' }).value = value;
    counted.add({ bucket: `only-${value}` }).value = 1;
    held.add({}).value = value;
    shared.add({}).value = value;
    return [counted.read(), held.read(), shared.read()];
  };
  const merged = mergeSnapshots([read(3), read(4)]);
  expect(merged.map(({ name, values }) => [name, values.map(({ value, labels }) => [value, labels])])).toEqual([
    [
      'a_total',
      [
        [7, { bucket: 'uploads' }],
        [1, { bucket: 'only-3' }],
        [1, { bucket: 'only-4' }],
      ],
    ],
    ['held', [[7, {}]]],
    ['shared', [[4, {}]]],
  ]);
  expect(keepCounts(merged).map(({ name }) => name)).toEqual(['a_total']);
  expect(mergeSnapshots([merged, read(1)])[0]?.values[0]?.value).toBe(8);
});
