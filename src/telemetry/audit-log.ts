// One line for every change of the backend that a client was granted: who, what, where.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Outcome } from '../handle-request.ts';
import { standardOutput } from '../line-writer.ts';
import type { Log } from '../log.ts';
import { toPrintableJson } from '../printable.ts';
import type { RequestFigures } from './observer.ts';
import type { PrivacyRules } from './privacy.ts';

export interface AuditLog {
  write(outcome: Outcome, figures: RequestFigures): void;
  /** Goes on in a new file after the old one was renamed. */
  reopen(): void;
  close(): void;
}

export interface AuditLogOptions {
  /** `stdout` or a file. */
  readonly destination: string;
  readonly privacy: PrivacyRules;
  readonly log: Log;
}

const audited = new Set<string | undefined>([
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
]);

/** @throws Error when the file cannot be opened. */
export function createAuditLog({ destination, privacy, log }: AuditLogOptions): AuditLog {
  const sink = destination === 'stdout' ? toStandardOutput() : openFile(destination, log);
  return {
    ...sink,
    write(outcome, figures) {
      if (outcome.code !== undefined || !audited.has(outcome.operation?.name)) return;
      sink.writeLine(`${toPrintableJson(describeChange(outcome, figures, privacy))}\n`);
    },
  };
}

function describeChange(
  { request, operation, bucket, object, principal }: Outcome,
  { traceId, storedBytes, answer, uploadId }: RequestFigures,
  { tellKey, tellPerson, hash }: PrivacyRules,
): object {
  const isStored = operation?.name !== 'CreateMultipartUpload' && operation?.name !== 'AbortMultipartUpload';
  return {
    stream: 'audit',
    time: new Date().toISOString(),
    requestId: request.id,
    traceId,
    credential: principal?.kind,
    subject: principal === undefined || principal.kind === 'anonymous' ? undefined : tellPerson(principal.subject),
    accessKey: principal?.kind === 'sigv4' ? tellPerson(principal.accessKeyId) : undefined,
    clientIp: tellPerson(request.clientIp || undefined),
    operation: operation?.name,
    bucket,
    backendBucket: object?.bucket,
    key: object && tellKey(object.key),
    // Whoever knows the id could go on with the upload.
    upload: uploadId === undefined ? undefined : hash(uploadId),
    partNumber: operation?.name === 'UploadPart' ? operation.partNumber : undefined,
    // Of a completed upload the parts' lines say it.
    size: operation?.name === 'PutObject' || operation?.name === 'UploadPart' ? storedBytes : undefined,
    etag: isStored ? answer?.etag?.replaceAll('"', '') : undefined,
    version: answer?.headers.get('x-amz-version-id'),
    checksums: answer && findChecksums(answer.headers),
  };
}

function findChecksums(headers: ReadonlyMap<string, string>): object | undefined {
  const checksums = [...headers].flatMap(([name, value]) => {
    const algorithm = /^x-amz-checksum-(?<algorithm>crc32|crc32c|crc64nvme|sha1|sha256)$/.exec(name)?.groups?.[
      'algorithm'
    ];
    return algorithm === undefined ? [] : [[algorithm, value]];
  });
  return checksums.length === 0 ? undefined : Object.fromEntries(checksums);
}

interface Sink {
  writeLine(line: string): void;
  reopen(): void;
  close(): void;
}

/** Among the log's own lines, in their order. */
function toStandardOutput(): Sink {
  const output = standardOutput();
  return { writeLine: (line) => output.write(line, true), reopen: () => undefined, close: () => output.flushSync() };
}

/**
 * Each line is appended by one call of the system before its request is answered: a process that dies has lost none, and
 * lines of several processes do not mix.
 */
function openFile(path: string, log: Log): Sink {
  const open = () => openSync(path, 'a', 0o600);
  let file: number;
  try {
    file = open();
  } catch (error) {
    throw new Error(`logging.audit.destination: ${path} cannot be opened (${codeOf(error)})`, { cause: error });
  }
  let lost = 0;
  let saidAtMs = -Infinity;

  /** Once a second, with how many lines it was since the last time. */
  function sayLost(error: unknown): void {
    lost++;
    if (performance.now() - saidAtMs < 1000) return;
    log.error({ file: path, lines: lost, err: error }, 'audit lines could not be written');
    saidAtMs = performance.now();
    lost = 0;
  }

  return {
    writeLine(line) {
      try {
        const bytes = Buffer.from(line);
        if (writeSync(file, bytes) < bytes.length) throw new Error('only a part of the line was written');
      } catch (error) {
        sayLost(error);
      }
    },
    reopen() {
      try {
        const next = open();
        closeSync(file);
        file = next;
        log.info({ file: path }, 'audit log reopened');
      } catch (error) {
        log.error({ file: path, err: error }, 'the audit log could not be opened anew; the old file is used on');
      }
    },
    close: () => closeSync(file),
  };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
