// The log: a request's line, by level and by what it says of keys and persons; and the line of an audit log.
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoggingConfig } from '../../src/config/config.ts';
import { RequestHeaders, type HttpRequest } from '../../src/http.ts';
import type { Outcome } from '../../src/handle-request.ts';
import { LineWriter } from '../../src/line-writer.ts';
import { createLog } from '../../src/log.ts';
import { createAuditLog } from '../../src/telemetry/audit-log.ts';
import { createRequestLog } from '../../src/telemetry/log-requests.ts';
import type { RequestFigures } from '../../src/telemetry/observer.ts';
import { createPrivacyRules } from '../../src/telemetry/privacy.ts';
import type { MicroBenchmark } from '../micro.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizuchi-bench-log-'));
const nowhere = openSync('/dev/null', 'w');
process.on('exit', () => {
  closeSync(nowhere);
  rmSync(folder, { recursive: true, force: true });
});

const request: HttpRequest = {
  id: '8F506FD4BC000000',
  method: 'PUT',
  rawPath: '/uploads/some/folder/with/a/file-of-a-usual-name.bin',
  rawQuery: '',
  headers: new RequestHeaders(['host', 'localhost', 'content-length', '4096']),
  host: 'localhost',
  clientIp: '192.0.2.1',
  isTls: false,
  body: {
    length: 4096,
    receivedBytes: 4096,
    read: () => Promise.resolve(null),
    setDecoder: () => undefined,
    setReserved: () => undefined,
    cancel: () => undefined,
  },
  signal: new AbortController().signal,
};
const outcome: Outcome = {
  request,
  bucket: 'uploads',
  bucketName: 'uploads',
  operation: { name: 'PutObject' },
  object: { bucket: 'my-bucket', key: 'some/folder/with/a/file-of-a-usual-name.bin' },
  principal: { kind: 'jwt', subject: 'alice@example.com', claims: {}, expiresAtMs: Infinity },
  decision: undefined,
  authenticateMs: 0.0412,
  authorizeMs: undefined,
  queueMs: 0.0012,
  reserveMs: undefined,
  response: { status: 200, headers: [] },
  code: undefined,
  error: undefined,
  durationMs: 2.4567,
};
const figures: RequestFigures = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  receivedBytes: 4096,
  sentBytes: 4096,
  firstByteMs: 0.3123,
  plan: 'put',
  parts: 0,
  retries: 0,
  clientWaitMs: 0.1321,
  backendWaitMs: 0.1123,
  memoryWaitMs: 0,
  idleMs: 0,
  storedBytes: 4096,
  answer: { etag: '"0cc175b9c0f1b6a831c399e269772661"', headers: new Map([['x-amz-checksum-crc32', 'AAAAAA==']]) },
  uploadId: undefined,
  unsettled: undefined,
};

const logging: LoggingConfig = {
  level: 'info',
  format: 'json',
  keys: 'plain',
  subjects: 'hashed',
  slowUploadMs: 60_000,
  auditDestination: undefined,
};
const rulesOf = (changed: Partial<LoggingConfig>) =>
  createPrivacyRules({ logging: { ...logging, ...changed }, server: { stateDir: folder } as never });

function logWith(changed: Partial<LoggingConfig>, isImmediate = false): () => void {
  const log = createLog({ ...logging, ...changed }, new LineWriter({ fd: nowhere, isImmediate }));
  const write = createRequestLog({ log, privacy: rulesOf(changed), slowUploadMs: 60_000 });
  return () => write(outcome, figures);
}

const audit = createAuditLog({
  destination: join(folder, 'audit.log'),
  privacy: rulesOf({}),
  log: createLog({ ...logging, level: 'silent' }),
  onLost: () => undefined,
});

/** Gives the writer its turn, as a server does between requests. */
const yielding = (write: () => void): (() => unknown) => {
  let calls = 0;
  return () => {
    write();
    return ++calls % 16 === 0 ? new Promise((resolve) => setImmediate(resolve)) : undefined;
  };
};

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'a request, level warn: no line', call: yielding(logWith({ level: 'warn' })) },
  { name: 'a request, level info, gathered', call: yielding(logWith({})) },
  { name: 'the same, keys hashed', call: yielding(logWith({ keys: 'hashed' })) },
  { name: 'the same, pretty', call: yielding(logWith({ format: 'pretty' })) },
  { name: 'the same, each line written by itself', call: yielding(logWith({}, true)) },
  { name: 'an audit line to a file', call: yielding(() => audit.write(outcome, figures)) },
];
