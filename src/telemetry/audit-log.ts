// One line for every change of the backend that a client was granted, or that may have been made for it: who, what, where.
import type { Outcome } from '../handle-request.ts';
import type { Log } from '../log.ts';
import { toPrintableJson } from '../printable.ts';
import { openAuditFile, writeToStandardOutput } from './audit-sink.ts';
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
  const sink = destination === 'stdout' ? writeToStandardOutput() : openAuditFile(destination, log, onLost);
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
