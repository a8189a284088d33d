// README's table of metrics is the registry's.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { buildMetricsTable, replaceMetricsTable } from '../../../../src/telemetry/metrics/describe-metrics.ts';
import { createMetricSet } from '../../../../src/telemetry/metrics/metric-set.ts';

test('README has every metric, with its labels and what it says (`npm run schema` writes it)', () => {
  const readme = readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8');
  expect(/<!-- metrics:begin -->\n.*<!-- metrics:end -->/su.test(readme), 'README has the two markers').toBe(true);
  expect(replaceMetricsTable(readme, buildMetricsTable()) === readme, 'the table is as the metrics are').toBe(true);
});

test('names and labels follow Prometheus’ conventions', () => {
  for (const { head, type } of Object.values(createMetricSet())) {
    expect(head.name).toMatch(/^mizuchi_[a-z]+(?:_[a-z]+)*$/u);
    expect(head.name.endsWith('_total')).toBe(type === 'counter');
    if (type === 'histogram') expect(head.name).toMatch(/_seconds$/u);
    expect(head.help).toMatch(/^[A-Z].*\.$/u);
    // Nothing that a client chooses.
    const known = [
      'bucket',
      'operation',
      'status',
      'code',
      'reason',
      'method',
      'result',
      'engine',
      'decision',
      'cached',
    ];
    for (const label of head.labels) expect([...known, 'version', 'node']).toContain(label);
  }
});
