// The supervising process's side: one scrape gives the whole of all workers. A worker that is gone leaves what it had counted
// when it was last asked, so that no counter goes back; one that is too busy to answer, or hangs, stands with what it said last,
// but is not one of those that serve.
import cluster, { type Worker } from 'node:cluster';
import type { MetricsConfig } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import type { SnapshotAnswer, SnapshotQuestion } from './report-to-supervisor.ts';
import { supervisionMetrics } from './metric-set.ts';
import { serveMetrics, type MetricsServer } from './serve-metrics.ts';
import { keepCounts, keepOfSilent, leaveOutWithoutKeys, mergeSnapshots, type MetricSnapshot } from './snapshot.ts';

type Snapshot = readonly MetricSnapshot[];

const answerTimeoutMs = 2000;

/**
 * To be called before the first worker is started.
 * @param options.stopping aborted when no worker is wanted any more.
 * @throws Error in one sentence when the port cannot be had.
 */
export function superviseMetrics(
  config: MetricsConfig,
  { log, workers, stopping }: { readonly log: Log; readonly workers: number; readonly stopping: AbortSignal },
): Promise<MetricsServer> {
  const figures = new WorkerFigures(workers, stopping);
  cluster.on('message', (worker, message) => {
    if (isAnswer(message)) figures.answered(worker, message);
  });
  cluster.on('fork', () => figures.started());
  cluster.on('exit', (worker) => figures.ended(worker));
  return serveMetrics(config, { read: () => figures.read(), log });
}

class WorkerFigures {
  readonly #own = supervisionMetrics();
  #started = 0;
  /** What each worker said last, and to which question. */
  readonly #last = new Map<number, SnapshotAnswer>();
  /** Of those that are gone. */
  #past: Snapshot = [];
  #questions = 0;
  readonly #waiting = new Map<string, () => void>();

  constructor(configured: number, stopping: AbortSignal) {
    // Each that answers adds itself.
    this.#own.workers.add({});
    this.#own.workersConfigured.add({}, () => (stopping.aborted ? 0 : configured));
    this.#own.workerRestarts.add({}, () => Math.max(0, this.#started - configured));
  }

  async read(): Promise<Snapshot> {
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    const id = ++this.#questions;
    await Promise.all(workers.filter((worker) => worker.isConnected()).map((worker) => this.#ask(worker, id)));
    const last = Array.from(this.#last.values(), (said) =>
      said.id >= id ? said.snapshot : keepOfSilent(said.snapshot),
    );
    return mergeSnapshots([
      this.#past,
      ...leaveOutWithoutKeys(last),
      Object.values(this.#own).map((family) => family.read()),
    ]);
  }

  started(): void {
    this.#started++;
  }

  answered(worker: Worker, answer: SnapshotAnswer): void {
    // What was on its way when the worker ended has been counted as of the past; one that was long in coming may be older than
    // what is known.
    if (!worker.isDead() && answer.id > (this.#last.get(worker.id)?.id ?? 0)) this.#last.set(worker.id, answer);
    this.#waiting.get(`${worker.id} ${answer.id}`)?.();
  }

  ended(worker: Worker): void {
    const last = this.#last.get(worker.id);
    this.#last.delete(worker.id);
    for (const [key, settle] of this.#waiting) if (key.startsWith(`${worker.id} `)) settle();
    if (last !== undefined) this.#past = mergeSnapshots([this.#past, keepCounts(last.snapshot)]);
  }

  #ask(worker: Worker, id: number): Promise<void> {
    return new Promise((resolve) => {
      const key = `${worker.id} ${id}`;
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(key);
        resolve();
      };
      const timer = setTimeout(settle, answerTimeoutMs);
      this.#waiting.set(key, settle);
      const question: SnapshotQuestion = { type: 'mizuchi:read-metrics', id };
      worker.send(question, (error) => {
        if (error !== null) settle();
      });
    });
  }
}

function isAnswer(message: unknown): message is SnapshotAnswer {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'mizuchi:metrics';
}
