// The figures of one moment as plain values: what goes from a process to its supervisor, is added up there, and is written out.
import { AggregatorRegistry, Registry, type OpenMetricsContentType } from 'prom-client';

export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** How the values of several processes become one. */
  readonly aggregator: Aggregator;
  readonly values: readonly Sample[];
}

export type Aggregator = 'sum' | 'max' | 'average' | 'min' | 'first' | 'omit';

export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Of a histogram's parts: the name and its suffix. */
  readonly metricName?: string;
  /** Null: the library's own word for none. */
  readonly exemplar?: Exemplar | null | undefined;
}

/** One case of many, and the trace in which to look at it. */
export interface Exemplar {
  readonly labelSet: { readonly trace_id: string };
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

export type Format = 'prometheus' | 'openmetrics';

export const contentTypes = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const satisfies Record<Format, string>;

/** Exemplars are for OpenMetrics: the older format has no place for them. */
export function renderSnapshot(snapshot: readonly MetricSnapshot[], format: Format): Promise<string> {
  if (format === 'prometheus') return toRegistry(snapshot, new Registry()).metrics();
  // There the name of a counter is without `_total`, which its samples add.
  const renamed = snapshot.map((metric) =>
    metric.type === 'counter' ? { ...metric, name: metric.name.replace(/_total$/, '') } : metric,
  );
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(contentTypes.openmetrics);
  return toRegistry(renamed, registry).metrics();
}

/** What the library asks of a metric when it writes one. */
function toRegistry<R extends Pick<Registry, 'registerMetric'>>(snapshot: readonly MetricSnapshot[], registry: R): R {
  for (const metric of snapshot) {
    const written = { ...metric, get: () => ({ ...metric, values: metric.values.map(shareLabels) }) };
    // No instance of its classes, of which it asks no more than this.
    registry.registerMetric(written as unknown as Parameters<Registry['registerMetric']>[0]);
  }
  return registry;
}

const noLabels = {};

/** The library writes shared labels once and remembers them, as long as the object lives: ours live as long as the series. */
function shareLabels({ value, labels, metricName, exemplar }: Sample): object {
  return { value, metricName, exemplar, labels: noLabels, sharedLabels: labels };
}

/** Adds up what several processes say, each metric in its way. */
export function mergeSnapshots(snapshots: readonly (readonly MetricSnapshot[])[]): MetricSnapshot[] {
  const registry = AggregatorRegistry.aggregate(snapshots as MetricSnapshot[][]);
  // The typings leave out that what is added up has its values.
  const merged = registry.getMetricsAsArray() as unknown as MetricSnapshot[];
  const exemplars = latestExemplars(snapshots);
  return merged.map(({ name, help, type, aggregator, values }) => ({
    name,
    help,
    type,
    aggregator,
    values:
      exemplars.size === 0
        ? values
        : values.map((sample) => ({ ...sample, exemplar: exemplars.get(identify(sample)) })),
  }));
}

/** The library drops them when it adds up. */
function latestExemplars(snapshots: readonly (readonly MetricSnapshot[])[]): Map<string, Exemplar> {
  const latest = new Map<string, Exemplar>();
  for (const sample of snapshots.flat().flatMap(({ values }) => values)) {
    const { exemplar } = sample;
    if (exemplar === undefined || exemplar === null) continue;
    const key = identify(sample);
    if (exemplar.timestamp > (latest.get(key)?.timestamp ?? 0)) latest.set(key, exemplar);
  }
  return latest;
}

const identify = ({ metricName, labels }: Sample): string => `${metricName} ${JSON.stringify(labels)}`;

/** What may still be true of a process that does not answer: not that it serves, nor that it is the freshest in anything. */
export function keepOfSilent(snapshot: readonly MetricSnapshot[]): MetricSnapshot[] {
  return snapshot.filter(({ name, aggregator }) => name !== 'mizuchi_workers' && aggregator !== 'min');
}

const ageOfKeys = 'mizuchi_jwks_age_seconds';

/**
 * A worker that has fetched no keys says how long it has run: with the least age, one that was started while they cannot be had would
 * hide how old those of the others are. It counts only where no other has any.
 */
export function leaveOutWithoutKeys(snapshots: readonly (readonly MetricSnapshot[])[]): MetricSnapshot[][] {
  const known = snapshots.map(findBucketsWithKeys);
  const all = new Set(known.flatMap((buckets) => [...buckets]));
  return snapshots.map((snapshot, index) =>
    snapshot.map((metric) => {
      if (metric.name !== ageOfKeys) return metric;
      const values = metric.values.filter(
        ({ labels: { bucket } }) => known[index]?.has(bucket) === true || !all.has(bucket),
      );
      return { ...metric, values };
    }),
  );
}

/** Of a process that says their age. */
function findBucketsWithKeys(snapshot: readonly MetricSnapshot[]): Set<Sample['labels'][string] | undefined> {
  if (!snapshot.some(({ name }) => name === ageOfKeys)) return new Set();
  const fetches = snapshot.find(({ name }) => name === 'mizuchi_jwks_fetches_total')?.values ?? [];
  return new Set(
    fetches
      .filter(({ value, labels }) => value > 0 && labels['result'] === 'success')
      .map(({ labels }) => labels['bucket']),
  );
}

/** What stays true of a process when it is gone: what it has counted, and nothing of its last moment. */
export function keepCounts(snapshot: readonly MetricSnapshot[]): MetricSnapshot[] {
  return snapshot.filter(({ type }) => type !== 'gauge');
}
