// One line for every change of the backend that a client was granted, or that may have been made for it: who, what, where.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import type { Outcome } from '../handle-request.ts';
import { standardOutput } from '../line-writer.ts';
import type { Log } from '../log.ts';
import { toPrintableJson } from '../printable.ts';
import type { RequestFigures } from './observer.ts';
import type { PrivacyRules } from './privacy.ts';
import { saySeldom } from './say-seldom.ts';

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
  /** Told of each line that could not be written to the file. */
  readonly onLost: () => void;
}

const audited = new Set<string | undefined>([
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
]);

/** @throws Error when the file cannot be opened. */
export function createAuditLog({ destination, privacy, log, onLost }: AuditLogOptions): AuditLog {
  const sink = destination === 'stdout' ? toStandardOutput() : openFile(destination, log, onLost);
  return {
    ...sink,
    write(outcome, figures) {
      if (!audited.has(outcome.operation?.name)) return;
      if (outcome.code !== undefined && !mayBeDone(outcome, figures)) return;
      sink.writeLine(`${toPrintableJson(describeChange(outcome, figures, privacy))}\n`);
    },
  };
}

/** Of a request that failed. An upload that the proxy cuts itself and does not complete is given up, and leaves nothing. */
function mayBeDone({ operation }: Outcome, { unsettled }: RequestFigures): boolean {
  if (operation === undefined || unsettled === undefined) return false;
  return unsettled.has(operation.name) || (operation.name === 'PutObject' && unsettled.has('CompleteMultipartUpload'));
}

function describeChange(
  { request, operation, bucket, object, principal, code }: Outcome,
  { traceId, storedBytes, answer: lastAnswer, uploadId }: RequestFigures,
  { tellKey, tellPerson, hash }: PrivacyRules,
): object {
  const isKnown = code === undefined;
  // The last answer of a request that failed is of another call.
  const answer = isKnown ? lastAnswer : undefined;
  const isMeasured = isKnown && (operation?.name === 'PutObject' || operation?.name === 'UploadPart');
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
    result: isKnown ? undefined : 'unknown',
    bucket,
    backendBucket: object?.bucket,
    key: object && tellKey(object.key),
    // Whoever knows the id could go on with the upload.
    upload: uploadId === undefined ? undefined : hash(uploadId),
    partNumber: operation?.name === 'UploadPart' ? operation.partNumber : undefined,
    // Of a completed upload the parts' lines say it.
    size: isMeasured ? storedBytes : undefined,
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
 * lines of several processes do not mix. What a full disk took of a line is taken away again, unless another process has written
 * behind it: its line stands on the torn one then. Where the process ended before it could, the next one that opens the file
 * begins a line of its own, but those that have it open do not see it.
 */
function openFile(path: string, log: Log, onLost: () => void): Sink {
  const open = () => openSync(path, 'a', 0o600);
  let file: number;
  try {
    file = open();
  } catch (error) {
    throw new Error(`logging.audit.destination: ${path} cannot be opened (${codeOf(error)})`, { cause: error });
  }
  const losses = saySeldom((lines, err) => log.error({ file: path, lines, err }, 'audit lines could not be written'));
  /** Nothing was written to the file so far, or not all of it. */
  let isEndUnknown = true;

  return {
    writeLine(line) {
      try {
        const bytes = Buffer.from(isEndUnknown && endsWithinLine(path) ? `\n${line}` : line);
        isEndUnknown = true;
        const written = writeSync(file, bytes);
        if (written < bytes.length) {
          takeBack(path, file, bytes.subarray(0, written));
          throw new Error('only a part of the line was written');
        }
        isEndUnknown = false;
      } catch (error) {
        onLost();
        losses.note(error);
      }
    },
    reopen() {
      try {
        const next = open();
        closeSync(file);
        file = next;
        isEndUnknown = true;
        log.info({ file: path }, 'audit log reopened');
      } catch (error) {
        log.error({ file: path, err: error }, 'the audit log could not be opened anew; the old file is used on');
      }
    },
    close() {
      losses.flush();
      closeSync(file);
    },
  };
}

/** Other processes do not look at what they write behind. Where it cannot be taken back, this one's next line is its own. */
function takeBack(path: string, file: number, torn: Uint8Array): void {
  let reading: number | undefined;
  try {
    // What was opened to be appended to cannot be read; by its name it may be another file by now.
    reading = openSync(path, 'r');
    const stats = fstatSync(reading);
    const own = fstatSync(file);
    if (!stats.isFile() || stats.dev !== own.dev || stats.ino !== own.ino) return;
    const { size } = stats;
    const last = Buffer.alloc(torn.length);
    readSync(reading, last, 0, last.length, size - last.length);
    if (last.equals(torn) && fstatSync(file).size === size) ftruncateSync(file, size - torn.length);
  } catch {
    // It stays.
  } finally {
    if (reading !== undefined) closeSync(reading);
  }
}

/** Where it cannot be told, an empty line does less harm than one that is glued to another. */
function endsWithinLine(path: string): boolean {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size === 0) return false;
    const file = openSync(path, 'r');
    try {
      const last = Buffer.alloc(1);
      readSync(file, last, 0, 1, stats.size - 1);
      return last[0] !== lineFeed;
    } finally {
      closeSync(file);
    }
  } catch {
    return true;
  }
}

const lineFeed = 0x0a;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
