// Metrics: what a small upload pays for being counted, and what a scrape costs the process.
import { createConfig } from '../../src/config/load-config.ts';
import type { Outcome } from '../../src/handle-request.ts';
import { Counters } from '../../src/telemetry/metrics/counters.ts';
import { renderSnapshot } from '../../src/telemetry/metrics/snapshot.ts';
import type { RequestFigures } from '../../src/telemetry/observer.ts';
import type { StorageCallEnd } from '../../src/telemetry/watched-storage.ts';
import type { MicroBenchmark } from '../micro.ts';

const secret = 'a secret of this benchmark, of more than 32 bytes';
const newCounters = (buckets: number): Counters =>
  new Counters({
    config: createConfig({
      buckets: Array.from({ length: buckets }, (_, index) => ({
        name: `bucket-${index}`,
        filesystem: { root: './data' },
        auth: { jwt: { algorithm: 'HS256' as const, secret } },
        authz: { opa: { url: 'http://127.0.0.1:8181' } },
      })),
    }),
    gauges: () => undefined,
    spans: () => undefined,
    isSupervised: false,
  });

const counters = newCounters(3);
const fifty = newCounters(50);
const bucket = 'bucket-1';
const call = { name: 'PutObject', object: { bucket, key: 'a' }, attempt: 1 } as const;
const end: StorageCallEnd = {
  durationMs: 2.5,
  error: undefined,
  answer: undefined,
  isGivenUp: false,
  isUnsettled: false,
  bytes: 4096,
  firstBytesAtMs: 1,
  clientWaitMs: 0.1,
  backendWaitMs: 0.2,
  memoryWaitMs: 0,
};
const decision = { engine: 'opa', allow: true, cached: true, failedOpen: [], durationMs: 0.01, reason: undefined };
// What is counted of an outcome, and nothing else of it.
const outcome = {
  bucket,
  operation: { name: 'PutObject' },
  principal: { kind: 'jwt' },
  decision,
  authenticateMs: 0.02,
  queueMs: 0,
  response: { status: 200, headers: [] },
  code: undefined,
  durationMs: 3,
} as unknown as Outcome;
const figures: RequestFigures = {
  traceId: undefined,
  receivedBytes: 4096,
  sentBytes: 4096,
  storedBytes: 4096,
  answer: undefined,
  uploadId: undefined,
  unsettled: undefined,
  firstByteMs: 0.1,
  plan: 'put',
  parts: 0,
  retries: 0,
  clientWaitMs: 0.1,
  backendWaitMs: 0.2,
  memoryWaitMs: 0,
  idleMs: 0,
};
const traced: RequestFigures = { ...figures, traceId: '0af7651916cd43dd8448eb211c80319c' };

function countPut(said: RequestFigures): number {
  const request = { bucket, receivedBytes: 4096 };
  const body = { bytes: 4096 };
  const started = counters.requestStarted(request);
  const calling = counters.storageCallStarted(bucket, call, body);
  counters.storageCallEnded(calling, bucket, call, end);
  counters.requestEnded(started, outcome, said);
  return body.bytes;
}

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'metrics: a PUT, from its start to its end', call: () => countPut(figures) },
  { name: 'metrics: a PUT that is traced (an exemplar)', call: () => countPut(traced) },
  { name: 'metrics: a scrape, 3 buckets', call: () => renderSnapshot(counters.read(), 'prometheus') },
  { name: 'metrics: a scrape, 50 buckets', call: () => renderSnapshot(fifty.read(), 'prometheus') },
];
