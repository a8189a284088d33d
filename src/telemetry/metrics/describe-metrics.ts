// Writes README.md's table of metrics from what they say of themselves. Run by `npm run schema`.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { createMetricSet } from './metric-set.ts';

/** A table in Markdown: every metric of the proxy's own, its labels, and what it says. */
export function buildMetricsTable(): string {
  const rows = Object.values(createMetricSet()).map(({ head, type }) => {
    const labels = head.labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${head.name}\` | ${type} | ${labels} | ${head.help} |`;
  });
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** What lies between the two markers, replaced. */
export function replaceMetricsTable(readme: string, table: string): string {
  return readme.replace(
    /(?<=<!-- metrics:begin -->\n).*?(?=<!-- metrics:end -->)/su,
    () => `\n<!-- prettier-ignore -->\n${table}\n\n`,
  );
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL('../../../README.md', import.meta.url);
  writeFileSync(file, replaceMetricsTable(readFileSync(file, 'utf8'), buildMetricsTable()));
}
