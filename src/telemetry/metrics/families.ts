// Counters, gauges and histograms with nothing to look up or to make when something is counted: whoever counts holds the very
// place where the number stands. What the library asks for is made when somebody reads.
import type { Aggregator, Exemplar, MetricSnapshot, Sample } from './snapshot.ts';

type Labels = Readonly<Record<string, string>>;

export interface FamilyHead<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
}

/** One number. */
export class Figure {
  value = 0;
  /** Added when it is read: what is under way and will be counted when it ends. */
  live: (() => number) | undefined;
  readonly labels: Labels;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  read(): Sample {
    return { value: this.value + (this.live?.() ?? 0), labels: this.labels };
  }
}

export class FigureFamily<Label extends string = string> {
  readonly head: FamilyHead<Label>;
  readonly type: 'counter' | 'gauge';
  readonly #aggregator: Aggregator;
  readonly #figures: Figure[] = [];

  /** @param aggregator how the values of several processes become one. */
  constructor(type: 'counter' | 'gauge', head: FamilyHead<Label>, aggregator: Aggregator = 'sum') {
    this.type = type;
    this.head = head;
    this.#aggregator = aggregator;
  }

  /** A new series, at zero. To be called once for each set of labels. */
  add(labels: Readonly<Record<Label, string>>, live?: () => number): Figure {
    const figure = new Figure(labels);
    figure.live = live;
    this.#figures.push(figure);
    return figure;
  }

  read(): MetricSnapshot {
    const { name, help } = this.head;
    return {
      name,
      help,
      type: this.type,
      aggregator: this.#aggregator,
      values: this.#figures.map((figure) => figure.read()),
    };
  }
}

/** How often something took how long. */
export class Distribution {
  readonly #name: string;
  readonly #boundsSeconds: readonly number[];
  readonly #labels: Labels;
  /** The same objects at every reading, so that they are written out once. */
  readonly #bucketLabels: readonly Labels[];
  readonly #counts: number[];
  readonly #exemplars: (Exemplar | undefined)[] = [];
  #sum = 0;

  constructor(name: string, boundsSeconds: readonly number[], labels: Labels) {
    this.#name = name;
    this.#boundsSeconds = boundsSeconds;
    this.#labels = labels;
    this.#bucketLabels = [...boundsSeconds, '+Inf'].map((le) => ({ ...labels, le: String(le) }));
    this.#counts = Array.from({ length: boundsSeconds.length + 1 }, () => 0);
  }

  /** @param traceId of a trace that shows this very case. */
  observe(ms: number, traceId?: string): void {
    const seconds = ms / 1000;
    const bounds = this.#boundsSeconds;
    let index = 0;
    while (index < bounds.length && seconds > (bounds[index] as number)) index++;
    (this.#counts[index] as number)++;
    this.#sum += seconds;
    if (traceId !== undefined)
      this.#exemplars[index] = { labelSet: { trace_id: traceId }, value: seconds, timestamp: Date.now() / 1000 };
  }

  read(): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((counted, index): Sample => {
      count += counted;
      const exemplar = this.#exemplars[index];
      const labels = this.#bucketLabels[index] as Labels;
      const sample = { value: count, labels, metricName: `${this.#name}_bucket` };
      return exemplar === undefined ? sample : { ...sample, exemplar };
    });
    return [
      ...buckets,
      { value: this.#sum, labels: this.#labels, metricName: `${this.#name}_sum` },
      { value: count, labels: this.#labels, metricName: `${this.#name}_count` },
    ];
  }
}

export class DistributionFamily<Label extends string = string> {
  readonly head: FamilyHead<Label>;
  readonly type = 'histogram';
  readonly #boundsSeconds: readonly number[];
  readonly #distributions: Distribution[] = [];

  constructor(head: FamilyHead<Label>, boundsSeconds: readonly number[]) {
    this.head = head;
    this.#boundsSeconds = boundsSeconds;
  }

  add(labels: Readonly<Record<Label, string>>): Distribution {
    const distribution = new Distribution(this.head.name, this.#boundsSeconds, labels);
    this.#distributions.push(distribution);
    return distribution;
  }

  read(): MetricSnapshot {
    const { name, help } = this.head;
    const values = this.#distributions.flatMap((distribution) => distribution.read());
    return { name, help, type: this.type, aggregator: 'sum', values };
  }
}
