// Every PromQL expression of the example dashboard and of the example alerts, and what is named in them.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

export const observabilityFolder = path.resolve(import.meta.dirname, '../../examples/observability');

export interface Expression {
  /** The panel or the alert. */
  readonly of: string;
  /** With the dashboard's variables replaced by what they stand for at the least. */
  readonly text: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export function dashboardExpressions(): Expression[] {
  const dashboard = JSON.parse(
    readFileSync(path.join(observabilityFolder, 'grafana/dashboards/mizuchi.json'), 'utf8'),
  ) as { panels: readonly Panel[] };
  return dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      of: title,
      text: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:bucket|instance)/gu, '.*'),
    })),
  );
}

export function alertExpressions(): Expression[] {
  const { groups } = parse(readFileSync(path.join(observabilityFolder, 'alerts.yml'), 'utf8')) as {
    groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  };
  return groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ of: alert, text: expr })));
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly isEqual: boolean; readonly value: RegExp }[];
}

/** `up` is Prometheus's own. */
const metricName = /\b(?:mizuchi|nodejs|process)_\w+/gu;

export function selectorsOf(text: string): Selector[] {
  return [...text.matchAll(metricName)].map(({ 0: metric, index }) => {
    const braces = /^\{(?<matchers>[^}]*)\}/u.exec(text.slice(index + metric.length))?.groups?.['matchers'] ?? '';
    const matchers = [...braces.matchAll(/(?<label>\w+)(?<operator>=~|!~|!=|=)"(?<value>[^"]*)"/gu)].map(
      ({ groups }) => {
        const { label = '', operator = '', value = '' } = groups ?? {};
        const pattern = operator.endsWith('~') ? value : value.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`);
        return { label, isEqual: operator.startsWith('='), value: new RegExp(`^(?:${pattern})$`, 'u') };
      },
    );
    return { metric, matchers };
  });
}

/** In `by (…)` and `on (…)`. */
export function groupLabelsOf(text: string): string[] {
  return [...text.matchAll(/\b(?:by|on)\s*\((?<labels>[^)]*)\)/gu)].flatMap(({ groups }) =>
    (groups?.['labels'] ?? '').split(',').map((label) => label.trim()),
  );
}
