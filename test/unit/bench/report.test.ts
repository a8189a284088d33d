// The tables of the benchmark: what is not measured must be said, and ratios must be to the first arm that was.
import { describe, expect, it } from 'vitest';
import { renderTable } from '../../../bench/load/report.ts';
import type { ScenarioRun } from '../../../bench/load/run-scenario.ts';
import { median } from '../../../bench/load/statistics.ts';

const scenario: ScenarioRun['scenario'] = {
  name: 'large',
  title: 'A body',
  columns: [
    { key: 'cpu', title: 'CPU-s/GiB', digits: 2, ratio: true },
    { key: 'rate', title: 'MiB/s', digits: 0 },
  ],
  armNames: ['ours', 'theirs', 'broken', 'absent'],
  rounds: 3,
  measure: () => Promise.resolve({}),
};

const run: ScenarioRun = {
  scenario,
  rounds: 3,
  samples: new Map([
    ['ours', [0.5, 0.4, 0.9].map((cpu) => ({ cpu, rate: 1000 }))],
    ['theirs', [1, 1, 1].map((cpu) => ({ cpu, rate: 2000 }))],
    ['broken', []],
  ]),
  faults: new Map([['broken', 'answered 500\n| and more']]),
};

describe('renderTable', () => {
  const lines = renderTable(run, new Map([['absent', 'install it']])).split('\n');

  it('shows median, range and ratio', () => {
    expect(lines).toContain('| arm | CPU-s/GiB | to ours | MiB/s |');
    expect(lines).toContain('| ours | 0.50 (0.40–0.90) | 1.00 × | 1,000 (1,000–1,000) |');
    expect(lines).toContain('| theirs | 1.00 (1.00–1.00) | 2.00 × | 2,000 (2,000–2,000) |');
  });

  it('says which arms are missing and which failed, and why', () => {
    expect(lines).toContain('| absent | missing: install it |  |  |');
    expect(lines).toContain(String.raw`| broken | failed: answered 500 \| and more |  |  |`);
  });
});

describe('median', () => {
  it('is the middle value, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });
});
