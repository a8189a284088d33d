// An exporter that counts what becomes of spans, tells of a collector that goes away and comes back, and tries again what that may
// take later: the exporter for gRPC tries once, and that for HTTP within the time that one export may take.
import { setTimeout as wait } from 'node:timers/promises';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { Fault } from '../../fault.ts';
import type { Log } from '../../log.ts';
import type { OnRejected } from './otlp-exporter.ts';

/** The collector's own words. */
const maxReasonLength = 256;

export interface CountingExporterOptions {
  readonly createExporter: (onRejected: OnRejected) => SpanExporter;
  /** Between the attempts to send one batch; when they are used up, it is given up. */
  readonly retryDelaysMs: readonly number[];
  readonly log: Log;
}

export class CountingExporter implements SpanExporter {
  readonly #options: CountingExporterOptions;
  readonly #stopping = new AbortController();
  readonly #sending = new Set<Promise<void>>();
  #exporter: SpanExporter | undefined;
  #taken = 0;
  #exported = 0;
  #failed = 0;
  /** Of the batch whose result comes next. */
  #rejected = 0;
  #isRejecting = false;
  #isAway = false;
  #lostWhileAway = 0;
  #isClosed = false;

  constructor(options: CountingExporterOptions) {
    this.#options = options;
    // A setting that no exporter takes is to show at the start.
    this.#exporter = options.createExporter(this.#onRejected);
  }

  /** Spans that have come out of the queue. */
  get taken(): number {
    return this.#taken;
  }

  /** Spans that the collector took. */
  get exported(): number {
    return this.#exported;
  }

  /** Spans that were sent and not taken. */
  get failed(): number {
    return this.#failed;
  }

  /** A span was lost before it came here. @returns whether that needs no word, as the collector's absence has been told of. */
  lose(): boolean {
    if (this.#isAway) this.#lostWhileAway++;
    return this.#isAway;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#taken += spans.length;
    const sending = this.#sendAndTell(spans, done);
    this.#sending.add(sending);
    void sending.finally(() => this.#sending.delete(sending));
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#sending);
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    await this.#exporter?.shutdown();
  }

  /** What waits for its next attempt has that now, and nothing is tried again afterwards. */
  stopRetrying(): void {
    this.#stopping.abort();
  }

  /** What has not been answered by now is counted no more. */
  close(): void {
    this.#isClosed = true;
    void this.#exporter?.shutdown().catch(() => undefined);
  }

  async #sendAndTell(spans: ReadableSpan[], done: (result: ExportResult) => void): Promise<void> {
    done(await this.#send(spans));
  }

  async #send(spans: ReadableSpan[]): Promise<ExportResult> {
    const { createExporter, retryDelaysMs } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const exporter = (this.#exporter ??= createExporter(this.#onRejected));
      const { result, rejected } = await this.#attempt(exporter, spans);
      if (this.#isClosed) return result;
      if (result.code === ExportResultCode.SUCCESS) {
        this.#isRejecting = rejected > 0;
        this.#failed += rejected;
        this.#exported += spans.length - rejected;
        this.#cameBack();
        return result;
      }
      this.#leave(exporter);
      this.#wentAway(result.error);
      const delayMs = retryDelaysMs[attempt];
      const { signal } = this.#stopping;
      if (delayMs === undefined || signal.aborted || !isPassing(result.error)) {
        this.#failed += spans.length;
        this.#lostWhileAway += spans.length;
        return result;
      }
      await wait(delayMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  readonly #onRejected: OnRejected = (spans, reason) => {
    this.#rejected += spans;
    if (this.#isRejecting) return;
    this.#isRejecting = true;
    this.#options.log.warn(
      { spans, err: new Fault('spans were rejected', { detail: reason.slice(0, maxReasonLength) }) },
      'the collector takes batches of spans, and does not keep all that is in them',
    );
  };

  #attempt(exporter: SpanExporter, spans: ReadableSpan[]): Promise<{ result: ExportResult; rejected: number }> {
    return new Promise((resolve) => {
      exporter.export(spans, (result) => {
        const rejected = Math.min(this.#rejected, spans.length);
        this.#rejected = 0;
        resolve({ result, rejected });
      });
    });
  }

  /** A new one connects at once, where gRPC would wait for up to two minutes before it tries again. */
  #leave(exporter: SpanExporter): void {
    if (this.#exporter === exporter) this.#exporter = undefined;
    void exporter.shutdown().catch(() => undefined);
  }

  #wentAway(error: Error | undefined): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.#options.log.warn(
      { err: error ?? new Fault('the collector did not take the spans') },
      'spans cannot be exported; uploads go on without them until the collector takes them again',
    );
  }

  #cameBack(): void {
    if (!this.#isAway) return;
    this.#options.log.info({ lostSpans: this.#lostWhileAway }, 'spans are exported again');
    this.#isAway = false;
    this.#lostWhileAway = 0;
  }
}

/** Source: OTLP specification, "OTLP/gRPC Response", "OTLP/HTTP Response": codes that say that the same may succeed later. */
const passingGrpcCodes: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);
const passingStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);

function isPassing(error: Error | undefined): boolean {
  const code = error !== undefined && 'code' in error ? error.code : undefined;
  return typeof code !== 'number' || passingGrpcCodes.has(code) || passingStatuses.has(code);
}
