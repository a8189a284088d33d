// Counts the spans for which there is no room, which the SDK's batch processor drops without a word.
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Log } from '../../log.ts';
import type { CountingExporter } from './counting-exporter.ts';

export interface QueueWatchOptions {
  readonly exporter: Pick<CountingExporter, 'taken' | 'exported' | 'failed' | 'lose'>;
  /** Of the batch processor, which is told of every span after this one. */
  readonly maxQueueSize: number;
  readonly log: Log;
}

/** A collector that cannot keep up is not told of again sooner. */
const slowLogEveryMs = 60_000;

export class QueueWatch implements SpanProcessor {
  readonly #options: QueueWatchOptions;
  /** Spans that have gone into the queue: those that the exporter has not taken are in it still. */
  #queued = 0;
  #dropped = 0;
  #isStopped = false;
  #slowLoggedAtMs = -Infinity;

  constructor(options: QueueWatchOptions) {
    this.#options = options;
  }

  get dropped(): number {
    return this.#dropped;
  }

  onStart(): void {}

  onEnd(): void {
    const { exporter, maxQueueSize, log } = this.#options;
    if (!this.#isStopped && this.#queued - exporter.taken < maxQueueSize) {
      this.#queued++;
      return;
    }
    this.#dropped++;
    if (exporter.lose() || this.#isStopped) return;
    const nowMs = performance.now();
    if (nowMs - this.#slowLoggedAtMs < slowLogEveryMs) return;
    this.#slowLoggedAtMs = nowMs;
    log.warn(
      { maxQueueSize },
      'the collector is slower than spans are made; those beyond tracing.batch.max_queue_size are dropped',
    );
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  /** From now on the batch processor takes nothing. */
  shutdown(): Promise<void> {
    this.#isStopped = true;
    return Promise.resolve();
  }

  /** What has not been answered by now never will be. */
  giveUp(): void {
    const { exported, failed } = this.#options.exporter;
    this.#dropped += this.#queued - exported - failed;
    this.#queued = exported + failed;
  }
}
