// One reading of a proxy's metrics, and what has changed between two.
// Source: Prometheus, "Exposition formats", text format.
import { sendRequest } from './send-request.ts';
import { waitFor } from './wait-for.ts';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  readonly text: string;
  readonly samples: readonly Sample[];
  /** All that have these labels, added up. @throws Error when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

export async function scrape(metricsUrl: string): Promise<Scrape> {
  const { origin, pathname } = new URL(metricsUrl);
  const { status, body } = await sendRequest({ url: origin, method: 'GET', path: pathname });
  if (status !== 200) throw new Error(`${metricsUrl}: ${status} ${body}`);
  return readScrape(body);
}

export function readScrape(text: string): Scrape {
  const samples = text.split('\n').flatMap((line) => readSample(line) ?? []);
  return {
    text,
    samples,
    sum(name, labels = {}) {
      const wanted = Object.entries(labels);
      const found = samples.filter(
        (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
      );
      if (found.length === 0) throw new Error(`no ${name} with ${JSON.stringify(labels)}`);
      return found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

function readSample(line: string): Sample | undefined {
  if (line === '' || line.startsWith('#')) return undefined;
  const groups = /^(?<name>[a-z_:]\w*)(?:\{(?<labels>.*?)\})? (?<value>\S+)(?: # .*)?$/iu.exec(line)?.groups;
  if (groups === undefined) throw new Error(`not a sample: ${line}`);
  const pairs = [...(groups['labels'] ?? '').matchAll(/(?<name>\w+)="(?<value>(?:[^"\\]|\\.)*)"/gu)];
  const labels = Object.fromEntries(pairs.map(({ groups: pair }) => [pair?.['name'], pair?.['value']]));
  return { name: groups['name'] ?? '', labels, value: Number(groups['value']) };
}

/** By how much counters of events have grown: `name{bucket,other values}`, the name without its prefix and suffix. */
export function grownBetween(before: Scrape, after: Scrape): Record<string, number> {
  const isEvents = ({ name }: Sample) => /^mizuchi_.*_total$/u.test(name) && !/_(?:bytes|seconds)_total$/u.test(name);
  const keyOf = ({ name, labels }: Sample) =>
    `${name.replace(/^mizuchi_|_total$/gu, '')}{${Object.values(labels).join(',')}}`;
  const known = new Map(before.samples.filter(isEvents).map((sample) => [keyOf(sample), sample.value]));
  const grown = after.samples.filter(isEvents).map((sample): [string, number] => {
    const was = known.get(keyOf(sample));
    if (was === undefined) throw new Error(`${keyOf(sample)} was not there from the start`);
    return [keyOf(sample), sample.value - was];
  });
  return Object.fromEntries(grown.filter(([, growth]) => growth !== 0));
}

/**
 * Waits until the proxy knows of so many multipart uploads that it has opened: the backend knows of one before it has answered, and
 * one whose answer is lost is nobody's.
 */
export const waitUntilOpened = (metricsUrl: string, uploads: number): Promise<void> =>
  waitFor(async () => (await scrape(metricsUrl)).sum('mizuchi_multipart_uploads_open') >= uploads);
