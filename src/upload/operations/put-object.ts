// PutObject: one PUT to the backend, or several parts when the body is large or its length is not known.
import { S3Error } from '../../errors.ts';
import type { Chunk, HttpResponse } from '../../http.ts';
import type { CompletedPart, ObjectHeaders, Stored, UploadAddress } from '../../storage/storage.ts';
import { windowBytes } from '../body/byte-budget.ts';
import { choosePlan } from '../body/choose-plan.ts';
import type { PartedCrc } from '../body/crc.ts';
import { HeldPart } from '../body/held-part.ts';
import type { IncomingBody } from '../body/incoming-body.ts';
import { openBody } from '../body/open-body.ts';
import { withRetries } from '../body/retry.ts';
import { fillPart, sendPartsWhileReceiving, sendWholeParts, type PartSenderOptions } from '../body/send-parts.ts';
import { sendWhole } from '../body/send-whole.ts';
import { UploadMemory } from '../body/upload-memory.ts';
import type { OperationContext } from '../operation-context.ts';
import {
  announceChecksum,
  askForChecksum,
  askForPartChecksums,
  checksumOfParts,
  demandsChecksum,
  keptChecksum,
  mayRefuseChecksum,
  splitHeaders,
  stateChecksum,
  wholeHeaders,
} from '../split-headers.ts';
import { storedResponse } from '../stored-response.ts';
import { createGraceMs, outlive } from './outlive.ts';
import { reserveMemory } from './with-reserved-memory.ts';

/** @throws as `openBody`. */
export function openObjectBody(context: OperationContext): IncomingBody {
  const { storage, settings, inspector } = context;
  return openBody(context, {
    maxBytes: Math.min(settings.maxObjectBytes, storage.limits.maxObjectBytes),
    minBytes: settings.minObjectBytes,
    inspector,
  });
}

export async function putObject(context: OperationContext, headers: ObjectHeaders): Promise<HttpResponse> {
  const { storage, settings } = context;
  const body = openObjectBody(context);
  const plan = choosePlan({ ...settings, length: body.length, limits: storage.limits });
  switch (plan.kind) {
    case 'put':
      return storedResponse(await putWhole(context, headers, body));
    case 'multipart':
      return storedResponse(await putInParts(context, headers, body, plan));
    case 'unknown-length':
      return storedResponse(await putUnknownLength(context, headers, body, plan.partBytes));
  }
}

function putWhole(context: OperationContext, headers: ObjectHeaders, body: IncomingBody): Promise<Stored> {
  const { object, storage, budget, settings, request } = context;
  const { onPut, ownChecksum } = wholeHeaders(
    headers,
    demandsChecksum(headers, storage.limits),
    body.checksum?.algorithm,
  );
  return sendWhole((outgoing, signal) => storage.putObject(object, onPut, outgoing, signal), {
    body,
    budget,
    retry: settings.retry,
    signal: request.signal,
    checksum: ownChecksum === undefined ? undefined : body.makeCrc(ownChecksum).ofPart(1),
  });
}

async function putInParts(
  context: OperationContext,
  headers: ObjectHeaders,
  body: IncomingBody,
  plan: { length: number; partBytes: number },
): Promise<Stored> {
  const memory = new UploadMemory(context.budget);
  try {
    const crc = makeCrc(context, headers, body, plan.partBytes);
    return await inMultipartUpload(context, headers, crc, (upload) =>
      sendPartsWhileReceiving(body, { ...senderOptions(context, upload, memory), ...plan }),
    );
  } finally {
    memory.close();
  }
}

/**
 * A body of unknown length: up to one part is received first. If it ends there, it is one PutObject; else it goes in
 * parts, each received whole. A window is free; memory for a whole part is set aside before more than that is taken.
 */
async function putUnknownLength(
  context: OperationContext,
  headers: ObjectHeaders,
  body: IncomingBody,
  partBytes: number,
): Promise<Stored> {
  const { budget, storage } = context;
  const shareBytes = Math.min(partBytes, budget.reservableBytes);
  const memory = new UploadMemory(budget);
  const first = new HeldPart(memory, undefined, true);
  const crc = makeCrc(context, headers, body, shareBytes);
  let rest: Chunk | undefined;
  let isReserved = false;
  try {
    rest = await fillPart(first, body, windowBytes);
    if (!body.isVerified || rest !== undefined) {
      await reserveMemory(context, shareBytes);
      isReserved = true;
      first.setReserved();
      body.setReserved();
      const carried = rest;
      rest = undefined;
      rest = await fillPart(first, body, shareBytes, carried);
    }
    if (body.isVerified && rest === undefined) {
      first.end();
      return await putHeld(context, headers, first, crc);
    }
    return await inMultipartUpload(context, headers, crc, (upload) => {
      const carried = rest;
      rest = undefined;
      return sendWholeParts(body, {
        ...senderOptions(context, upload, memory),
        partBytes: shareBytes,
        maxParts: storage.limits.maxParts,
        first,
        rest: carried,
        tryReserve: () => budget.tryReserve(shareBytes),
        unreserve: () => budget.unreserve(shareBytes),
      });
    });
  } finally {
    rest?.release();
    first.close();
    memory.close();
    if (isReserved) budget.unreserve(shareBytes);
  }
}

/** A body that was received whole, as one PutObject. */
function putHeld(
  { storage, object, settings, request }: OperationContext,
  headers: ObjectHeaders,
  held: HeldPart,
  crc: PartedCrc | undefined,
): Promise<Stored> {
  const { onPut, ownChecksum } = wholeHeaders(headers, demandsChecksum(headers, storage.limits));
  const checksum = ownChecksum === undefined ? undefined : crc?.ofPart(1);
  return withRetries(() => storage.putObject(object, onPut, held.startAttempt(checksum), request.signal), {
    retry: settings.retry,
    signal: request.signal,
  });
}

function makeCrc(
  { storage }: OperationContext,
  headers: ObjectHeaders,
  body: IncomingBody,
  partBytes: number,
): PartedCrc | undefined {
  const algorithm = checksumOfParts(headers, demandsChecksum(headers, storage.limits), body.checksum?.algorithm);
  return algorithm === undefined ? undefined : body.makeCrc(algorithm, partBytes);
}

/** A multipart upload of our own, and what each of its parts is sent with. */
interface OpenedUpload {
  readonly address: UploadAddress;
  readonly onPart: ObjectHeaders;
  readonly crc: PartedCrc | undefined;
}

function senderOptions(
  { storage, settings, request }: OperationContext,
  { address, onPart, crc }: OpenedUpload,
  memory: UploadMemory,
): PartSenderOptions {
  return {
    send: (partNumber, body, signal) => storage.uploadPart(address, partNumber, onPart, body, signal),
    memory,
    concurrentParts: settings.concurrentParts,
    crc,
    retry: settings.retry,
    signal: request.signal,
  };
}

/** Opens a multipart upload, has its parts sent, and completes it; whatever fails, it does not stay open. */
async function inMultipartUpload(
  context: OperationContext,
  headers: ObjectHeaders,
  crc: PartedCrc | undefined,
  sendParts: (upload: OpenedUpload) => Promise<CompletedPart[]>,
): Promise<Stored> {
  const { object, storage, settings, request, openUploads, configuredBucket } = context;
  const { onCreate, onPart, onComplete } = splitHeaders(headers);
  const isDemanded = demandsChecksum(headers, storage.limits);
  const created = await openUpload(context, onCreate, crc, isDemanded);
  const address: UploadAddress = { ...object, uploadId: created.uploadId };
  const open = await openUploads.opened(configuredBucket, address, storage);
  let stored: Stored;
  try {
    request.signal.throwIfAborted();
    const kept = keptChecksum(created.headers, isDemanded);
    const crcOfParts = kept.ofParts ? crc : undefined;
    const parts = await sendParts({
      address,
      onPart: crcOfParts === undefined ? onPart : announceChecksum(onPart, crcOfParts.algorithm),
      crc: crcOfParts,
    });
    const stating =
      crc !== undefined && kept.ofObject ? stateChecksum(onComplete, crc.algorithm, crc.base64) : onComplete;
    stored = await withRetries(() => storage.completeMultipartUpload(address, parts, stating, request.signal), {
      retry: settings.retry,
      signal: request.signal,
    });
  } catch (error) {
    await open.abort();
    throw isOfParts(error) ? new S3Error('ServiceUnavailable', { cause: error.cause ?? error }) : error;
  }
  await open.completed();
  return stored;
}

/** What a backend says of an upload that the client knows nothing of: its request was right, and may be made again. */
function isOfParts(error: unknown): error is S3Error {
  if (!(error instanceof S3Error)) return false;
  // Without a cause it is said here, of the object.
  if (error.code === 'EntityTooSmall') return error.cause !== undefined;
  return error.code === 'NoSuchUpload' || error.code === 'InvalidPart' || error.code === 'InvalidPartOrder';
}

/** With the checksum that the object shall have; where the backend does not take that, with less. */
async function openUpload(
  { object, storage, settings, request, refusedChecksums }: OperationContext,
  onCreate: ObjectHeaders,
  crc: PartedCrc | undefined,
  isDemanded: boolean,
): Promise<{ readonly uploadId: string; readonly headers: ReadonlyMap<string, string> }> {
  // The answer holds the id by which the upload is aborted: to hang up on it would leave the upload open for ever.
  const create = (asked: ObjectHeaders) =>
    withRetries(
      () => outlive(request.signal, createGraceMs, (signal) => storage.createMultipartUpload(object, asked, signal)),
      { retry: settings.retry, signal: request.signal },
    );
  if (crc === undefined) return create(onCreate);
  const { algorithm } = crc;
  const less = isDemanded ? askForPartChecksums(onCreate, algorithm) : onCreate;
  if (refusedChecksums.has(algorithm)) return create(less);
  try {
    return await create(askForChecksum(onCreate, algorithm));
  } catch (error) {
    if (!mayRefuseChecksum(error)) throw error;
    const created = await create(less);
    // So it was that, and nothing else.
    refusedChecksums.add(algorithm);
    return created;
  }
}
