// What is counted of requests and of calls to the backend, and what several processes make of it.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createConfig } from '../../../../src/config/load-config.ts';
import type { Outcome } from '../../../../src/handle-request.ts';
import { Counters } from '../../../../src/telemetry/metrics/counters.ts';
import { keepOfSilent, mergeSnapshots, type MetricSnapshot } from '../../../../src/telemetry/metrics/snapshot.ts';
import type { RequestFigures } from '../../../../src/telemetry/observer.ts';
import type { StorageCallEnd } from '../../../../src/telemetry/watched-storage.ts';

const bucket = 'uploads';
const openfga = { url: 'http://127.0.0.1:8080', store_id: '01HVMMBCMGZNT3SED4Z17ECXCA' };
const config = createConfig({
  buckets: [
    {
      name: bucket,
      filesystem: { root: './data' },
      auth: { jwt: { algorithms: ['ES256'], jwks_url: 'https://idp.example.com/keys' } },
      authz: { fail_mode: 'open', opa: { url: 'http://127.0.0.1:8181' }, openfga },
    },
  ],
});

const createCounters = (isSupervised = false): Counters =>
  new Counters({ config, gauges: () => undefined, spans: () => undefined, isSupervised });

function valueOf(snapshot: readonly MetricSnapshot[], name: string, labels: object = {}): number {
  const values = snapshot.find((metric) => metric.name === name)?.values ?? [];
  const wanted = Object.entries(labels);
  const found = values.filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value));
  if (found.length === 0) throw new Error(`no ${name} with ${JSON.stringify(labels)}`);
  return found.reduce((sum, { value }) => sum + value, 0);
}

const end = {
  durationMs: 9000,
  error: undefined,
  answer: undefined,
  isGivenUp: false,
  isUnsettled: false,
  bytes: 100,
  firstBytesAtMs: 1,
  clientWaitMs: 5000,
  backendWaitMs: 2000,
  memoryWaitMs: 1000,
} satisfies StorageCallEnd;
const figures = {
  traceId: undefined,
  receivedBytes: 0,
  sentBytes: 0,
  firstByteMs: undefined,
  plan: undefined,
  parts: 0,
  retries: 0,
  clientWaitMs: 0,
  backendWaitMs: 0,
  memoryWaitMs: 0,
  idleMs: 0,
  storedBytes: 0,
  answer: undefined,
  uploadId: undefined,
  unsettled: undefined,
} satisfies RequestFigures;

function count(counters: Counters, outcome: Partial<Outcome>, measured: Partial<RequestFigures> = {}): void {
  const request = { bucket, receivedBytes: 0 };
  const answered = { bucket, operation: { name: 'PutObject' }, response: { status: 200, headers: [] }, durationMs: 1 };
  counters.requestEnded(counters.requestStarted(request), { ...answered, ...outcome } as Outcome, {
    ...figures,
    ...measured,
  });
}

test('waits are counted as each call ends, and those between calls with the request', () => {
  const counters = createCounters();
  const waited = (): number[] =>
    ['client', 'backend', 'memory', 'slot'].map((reason) =>
      valueOf(counters.read(), 'mizuchi_wait_seconds_total', { bucket, reason }),
    );
  for (const error of [undefined, new Error('given up')]) {
    const call = { name: 'UploadPart', object: { bucket, key: 'a' }, partNumber: 1, attempt: 1 } as const;
    const started = counters.storageCallStarted(bucket, call, { bytes: 100 });
    counters.storageCallEnded(started, bucket, call, { ...end, error, isGivenUp: error !== undefined });
  }
  expect(waited()).toEqual([8, 4, 2, 0]);
  // How long the backend took, which is not what it waited for; nor is it known of one that was given up.
  const calls = counters.read().find(({ name }) => name === 'mizuchi_backend_request_duration_seconds')?.values;
  const ofParts = calls?.filter(({ labels }) => labels['operation'] === 'UploadPart');
  expect(ofParts?.find(({ metricName }) => metricName?.endsWith('_sum'))?.value).toBe(4);
  expect(ofParts?.find(({ metricName }) => metricName?.endsWith('_count'))?.value).toBe(1);
  const sums = { clientWaitMs: 13_000, backendWaitMs: 4000, memoryWaitMs: 2500, idleMs: 3000 };
  count(counters, { queueMs: 250, reserveMs: 500 }, sums);
  expect(waited()).toEqual([10.5, 4, 2.5, 0.25]);
});

test('what fail_mode: open lets through is a decision of nobody, or of the engine that was there', () => {
  const counters = createCounters();
  const decided = (engine: string, allow: boolean, ...failedOpen: string[]): void =>
    count(counters, { decision: { engine, allow, cached: false, reason: undefined, failedOpen } });
  const decisions = (): object =>
    Object.fromEntries(
      (counters.read().find(({ name }) => name === 'mizuchi_authz_decisions_total')?.values ?? [])
        .filter(({ value }) => value > 0)
        .map(({ labels, value }) => [`${labels['engine']} ${labels['decision']}`, value]),
    );
  decided('opa+openfga', true, 'opa', 'openfga');
  expect(decisions()).toEqual({});
  decided('opa+openfga', true, 'opa');
  decided('openfga', false, 'opa');
  decided('opa+openfga', true);
  expect(decisions()).toEqual({ 'openfga allow': 1, 'openfga deny': 1, 'opa+openfga allow': 1 });
});

test('a request that was refused at the edge is an upload that failed', () => {
  const counters = createCounters();
  count(counters, { code: 'SlowDown', response: { status: 503, headers: [] } });
  const ended = { bucket, operation: 'PutObject', status: 'failure' };
  expect(valueOf(counters.read(), 'mizuchi_uploads_total', ended)).toBe(1);
});

test('what is left behind in a bucket that is configured no more is counted too', () => {
  const counters = createCounters();
  for (const bucketName of [bucket, 'gone', 'gone']) counters.abortFailed({ bucketName });
  for (const bucketName of [bucket, bucket, 'gone']) counters.swept({ bucketName });
  const counted = (name: string, labels: object): number[] =>
    [bucket, '-'].map((of) => valueOf(counters.read(), name, { bucket: of, ...labels }));
  expect(counted('mizuchi_multipart_abort_failures_total', {})).toEqual([1, 2]);
  expect(counted('mizuchi_multipart_uploads_total', { status: 'swept' })).toEqual([2, 1]);
});

const object = { bucket, key: 'a' };

test('an upload ends once, however often its client completes and aborts it', () => {
  const counters = createCounters();
  const complete = (uploadId: string): void => {
    const call = { name: 'CompleteMultipartUpload', object: { ...object, uploadId }, attempt: 1 } as const;
    counters.storageCallEnded(counters.storageCallStarted(bucket, call, undefined), bucket, call, end);
  };
  const abort = (uploadId: string, ended: Partial<Outcome> = {}): void =>
    count(counters, { operation: { name: 'AbortMultipartUpload', uploadId }, ...ended }, { uploadId });
  const ended = (): number[] =>
    ['completed', 'aborted'].map((status) =>
      valueOf(counters.read(), 'mizuchi_multipart_uploads_total', { bucket, status }),
    );
  for (const _ of [1, 2]) complete('a');
  abort('a');
  expect(ended()).toEqual([1, 0]);
  // Refused, it has not ended.
  abort('b', { code: 'AccessDenied', response: { status: 403, headers: [] } });
  for (const _ of [1, 2]) abort('b');
  expect(ended()).toEqual([1, 1]);
  for (const uploadId of ['c', 'c', 'b']) counters.aborted({ bucketName: bucket, uploadId });
  complete('d');
  expect(ended()).toEqual([2, 2]);
  const requests = { bucket, operation: 'AbortMultipartUpload', status: 'success' };
  expect(valueOf(counters.read(), 'mizuchi_uploads_total', requests)).toBe(3);
});

test('keys are as old as those of the worker that had them last, unless that one is silent', async () => {
  const [idle, busy] = [createCounters(), createCounters()];
  await delay(50);
  busy.keysFetched(bucket, undefined);
  const ageOf = (...snapshots: MetricSnapshot[][]): number =>
    valueOf(mergeSnapshots(snapshots), 'mizuchi_jwks_age_seconds', { bucket });
  expect(ageOf(idle.read())).toBeGreaterThan(0.04);
  expect(ageOf(idle.read(), busy.read())).toBeLessThan(0.04);
  expect(ageOf(idle.read(), keepOfSilent(busy.read()))).toBeGreaterThan(0.04);
});

test('one process is all that should serve; of several, their supervisor says how many', () => {
  const alone = createCounters().read();
  const said = ['mizuchi_workers', 'mizuchi_workers_configured', 'mizuchi_worker_restarts_total'];
  expect(said.map((name) => valueOf(alone, name))).toEqual([1, 1, 0]);
  const worker = createCounters(true).read();
  expect(valueOf(worker, 'mizuchi_workers')).toBe(1);
  expect(() => valueOf(worker, 'mizuchi_workers_configured')).toThrow('no mizuchi_workers_configured');
});
