// Spans on their way to the collector: gathered into batches, sent one after another, and never more of them than
// `maxQueueSize`, whatever the collector does. What it cannot take now is tried again, then given up, and counted.
import type { SpanBatchConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import type { SpanTransport } from './otlp-transport.ts';
import { encodeAttribute, encodeKey, lengthDelimited, lengthPrefix, SpanWriter } from './span-writer.ts';

export interface ExportCounts {
  /** Taken by the collector. */
  readonly exported: number;
  /** Not sent: too many were waiting, or the process ended. */
  readonly dropped: number;
  /** Sent and not taken. */
  readonly failed: number;
}

export interface SpanExporterOptions {
  readonly transport: SpanTransport;
  readonly batch: SpanBatchConfig;
  readonly resource: Readonly<Record<string, string | number>>;
  readonly scope: { readonly name: string; readonly version: string };
  readonly log: Log;
  /** Between the attempts to send one batch; when they are used up, it is given up. */
  readonly retryDelaysMs?: readonly number[];
  /** What the last spans may take when the process stops. */
  readonly stopMs?: number;
}

/** A collector that cannot keep up is not told of again sooner. */
const slowLogEveryMs = 60_000;

export class SpanExporter {
  readonly #options: Required<SpanExporterOptions>;
  readonly #maxBatch: number;
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;
  #writer = new SpanWriter();
  /** One that has been sent: a large buffer is dear to come by. */
  #spare: SpanWriter | undefined;
  /** Full ones; the first may be on its way. */
  readonly #full: SpanWriter[] = [];
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  #pause: { readonly end: () => void } | undefined;
  #sending: Promise<void> | undefined;
  #isStopping = false;
  #isAway = false;
  #lostWhileAway = 0;
  #slowLoggedAtMs = -Infinity;
  #exported = 0;
  #dropped = 0;
  #failed = 0;

  constructor(options: SpanExporterOptions) {
    this.#options = { retryDelaysMs: [500, 1000, 2000, 4000], stopMs: 3000, ...options };
    this.#maxBatch = Math.min(options.batch.maxExportBatchSize, options.batch.maxQueueSize);
    const attributes = Object.entries(options.resource).map(([name, value]) => encodeAttribute(name, value, 1));
    this.#resource = lengthDelimited(1, Buffer.concat(attributes));
    const { name, version } = options.scope;
    this.#scope = lengthDelimited(1, Buffer.concat([encodeKey(name), lengthDelimited(2, Buffer.from(version))]));
  }

  get counts(): ExportCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed };
  }

  /** Where one span may be written now, between `begin` and `end`; undefined when there is no room for it. */
  open(): SpanWriter | undefined {
    if (this.#waiting < this.#options.batch.maxQueueSize && !this.#isStopping) return this.#writer;
    this.#drop(1);
    return undefined;
  }

  /** The span is written. */
  added(): void {
    this.#waiting++;
    if (this.#writer.spans >= this.#maxBatch) this.#seal();
    else this.#timer ??= setTimeout(() => this.#seal(), this.#options.batch.scheduledDelayMs).unref();
  }

  /** Sends what waits, for a limited time; what then still waits is dropped. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#seal();
    this.#pause?.end();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.stopMs);
    });
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    this.#full.length = 0;
    this.#dropped += this.#waiting;
    this.#waiting = 0;
    this.#pause?.end();
    this.#options.transport.close();
  }

  #seal(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writer.spans > 0) {
      this.#full.push(this.#writer);
      this.#writer = this.#spare ?? new SpanWriter();
      this.#spare = undefined;
    }
    if (this.#full.length > 0) this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#full[0]; batch !== undefined; batch = this.#full[0]) {
      await this.#sendWithRetries(batch);
      // Empty when the process has stopped meanwhile, and all is counted.
      if (this.#full.shift() === undefined) return;
      this.#waiting -= batch.spans;
      batch.clear();
      this.#spare = batch;
    }
  }

  async #sendWithRetries(batch: SpanWriter): Promise<void> {
    const { transport, retryDelaysMs } = this.#options;
    const message = { bytes: this.#toRequest(batch.bytes), spans: batch.spans };
    for (let attempt = 0; ; attempt++) {
      try {
        const { rejectedSpans, message: said } = await transport.send(message);
        if (this.#full.length === 0) return;
        this.#exported += batch.spans - rejectedSpans;
        this.#failed += rejectedSpans;
        this.#cameBack(rejectedSpans, said);
        return;
      } catch (error) {
        if (this.#full.length === 0) return;
        transport.reconnect();
        this.#wentAway(error);
        const delayMs = retryDelaysMs[attempt];
        if (delayMs === undefined || this.#isStopping || !isPassing(error)) {
          this.#failed += batch.spans;
          this.#lostWhileAway += batch.spans;
          return;
        }
        await this.#wait(delayMs);
      }
    }
  }

  /** ExportTraceServiceRequest { ResourceSpans { resource, ScopeSpans { scope, spans } } } */
  #toRequest(spans: Uint8Array): Uint8Array {
    const scopeSpans = lengthPrefix(2, this.#scope.length + spans.length);
    const bytes = this.#resource.length + scopeSpans.length + this.#scope.length + spans.length;
    return Buffer.concat([lengthPrefix(1, bytes), this.#resource, scopeSpans, this.#scope, spans]);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#pause = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms).unref();
      this.#pause = { end };
    });
  }

  #drop(spans: number): void {
    this.#dropped += spans;
    if (this.#isAway) {
      this.#lostWhileAway += spans;
      return;
    }
    const nowMs = performance.now();
    if (this.#isStopping || nowMs - this.#slowLoggedAtMs < slowLogEveryMs) return;
    this.#slowLoggedAtMs = nowMs;
    this.#options.log.warn(
      { maxQueueSize: this.#options.batch.maxQueueSize },
      'the collector is slower than spans are made; those beyond tracing.batch.max_queue_size are dropped',
    );
  }

  #wentAway(error: unknown): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.#options.log.warn(
      { err: error instanceof Error ? `${error.name}: ${error.message}` : String(error) },
      'spans cannot be exported; uploads go on without them until the collector takes them again',
    );
  }

  #cameBack(rejectedSpans: number, said: string): void {
    if (rejectedSpans > 0 && !this.#isAway) this.#wentAway(new Error(`${rejectedSpans} spans rejected: ${said}`));
    if (rejectedSpans > 0 || !this.#isAway) return;
    this.#options.log.info({ lostSpans: this.#lostWhileAway }, 'spans are exported again');
    this.#isAway = false;
    this.#lostWhileAway = 0;
  }
}

/** Source: OTLP specification, "OTLP/gRPC Response", "OTLP/HTTP Response": codes that say that the same may succeed later. */
const passingGrpcCodes: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);
const passingStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);

function isPassing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code !== 'number' || passingGrpcCodes.has(code) || passingStatuses.has(code);
}
