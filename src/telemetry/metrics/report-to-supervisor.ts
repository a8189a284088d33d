// A worker's side: answers the supervising process when that asks for figures.
import type { Log } from '../../log.ts';
import type { MetricSnapshot } from './snapshot.ts';

export interface SnapshotQuestion {
  readonly type: 'mizuchi:read-metrics';
  readonly id: number;
}

export interface SnapshotAnswer {
  readonly type: 'mizuchi:metrics';
  readonly id: number;
  readonly snapshot: readonly MetricSnapshot[];
}

export interface ReportOptions {
  readonly read: () => Promise<readonly MetricSnapshot[]>;
  readonly log: Log;
}

export function reportToSupervisor({ read, log }: ReportOptions): { stop(): Promise<void> } {
  const listener = (message: unknown) => {
    if (!isQuestion(message)) return;
    // Uploads go on; to the supervisor this worker is one that does not answer.
    report(message.id).catch((error: unknown) => log.error({ err: error }, 'metrics could not be read'));
  };
  const report = async (id: number) => {
    const answer: SnapshotAnswer = { type: 'mizuchi:metrics', id, snapshot: await read() };
    // Gone when the supervisor is: nobody waits for it then.
    if (process.connected) process.send?.(answer, undefined, {}, () => undefined);
  };
  process.on('message', listener);
  return {
    async stop() {
      process.off('message', listener);
    },
  };
}

function isQuestion(message: unknown): message is SnapshotQuestion {
  return (
    typeof message === 'object' && message !== null && 'type' in message && message.type === 'mizuchi:read-metrics'
  );
}
