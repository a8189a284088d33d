// The tables, in Markdown: medians, their ranges, and ratios to the first arm that has numbers.
import type { ScenarioRun } from './run-scenario.ts';
import type { Column, Sample } from './scenario.ts';
import { column, median } from './statistics.ts';

const cell = (value: number, digits: number): string =>
  Number.isFinite(value)
    ? value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : '–';

function numberCell(values: readonly number[], { digits }: Column): string {
  const middle = cell(median(values), digits);
  if (values.length < 2) return middle;
  return `${middle} (${cell(Math.min(...values), digits)}–${cell(Math.max(...values), digits)})`;
}

function ratioCell(values: readonly number[], reference: readonly number[]): string {
  const ratio = median(values) / median(reference);
  return Number.isFinite(ratio) && ratio > 0 ? `${cell(ratio, 2)} ×` : '–';
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** @param missing why an arm that belongs in the table could not be run, by its name. */
export function renderTable(run: ScenarioRun, missing: ReadonlyMap<string, string>): string {
  const { columns } = run.scenario;
  const measured = [...run.samples].filter(([, samples]) => samples.length > 0);
  const [reference] = measured;
  const titles = columns.flatMap(({ title, ratio }) => (ratio ? [title, `to ${reference?.[0] ?? 'first'}`] : [title]));
  const cellsOf = (samples: readonly Sample[]): readonly string[] =>
    columns.flatMap((each) => {
      const values = column(samples, each.key);
      const ownCell = numberCell(values, each);
      return each.ratio ? [ownCell, ratioCell(values, column(reference?.[1] ?? [], each.key))] : [ownCell];
    });
  const absent = [...missing, ...run.faults].map(([name, why]) => {
    const reason = why.replaceAll(/\s+/gu, ' ').replaceAll('|', '\\|').slice(0, 300);
    return row([
      name,
      ...titles.map((_, index) => (index === 0 ? `${missing.has(name) ? 'missing' : 'failed'}: ${reason}` : '')),
    ]);
  });
  const rounds = `${run.rounds} ${run.rounds === 1 ? 'round' : 'rounds'}`;
  const lines = [
    `### ${run.scenario.title} (${rounds})`,
    '',
    row(['arm', ...titles]),
    row(['---', ...titles.map(() => '---:')]),
    ...measured.map(([name, samples]) => row([name, ...cellsOf(samples)])),
    ...absent,
  ];
  const remarks = run.scenario.remarks?.(new Map(measured)) ?? [];
  return [...lines, ...(remarks.length > 0 ? ['', ...remarks.map((remark) => `- ${remark}`)] : []), ''].join('\n');
}
