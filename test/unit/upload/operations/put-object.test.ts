// A PutObject of unknown length that fails on its way: what it holds and what was set aside for it come back.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { RequestHeaders } from '../../../../src/http.ts';
import { plainPayload } from '../../../../src/payload.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import type { OperationContext } from '../../../../src/upload/operation-context.ts';
import { putObject } from '../../../../src/upload/operations/put-object.ts';
import { failureOf } from '../../../contract/storage/counted-body.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';
import { bytesOf, settleMemory, tick } from '../../../support/sent-body.ts';

const kib = 1024;
const partBytes = 1024 * kib;
const refusal = new S3Error('AccessDenied');
const refuse = () => Promise.reject(refusal);

function setUp(storage: Partial<Storage>) {
  const pushed = createPushedBody();
  const { budget, reader: body } = pushed;
  const limits = {
    minPartBytes: 1,
    maxPartBytes: 1e9,
    maxParts: 100,
    maxPutBytes: 1e9,
    maxObjectBytes: 1e9,
    streamsAnyLength: false,
    wantsChecksum: false,
  };
  const context = {
    request: { body, signal: new AbortController().signal },
    headers: new RequestHeaders([]),
    payload: plainPayload,
    object: { bucket: 'b', key: 'k' },
    storage: { limits, ...storage },
    settings: {
      multipartThresholdBytes: partBytes,
      partBytes,
      concurrentParts: 2,
      maxObjectBytes: 1e9,
      minObjectBytes: 0,
      retry: { maxAttempts: 1, baseDelayMs: 1, maxDelayMs: 1 },
      queueTimeoutMs: 20,
    },
    refusedChecksums: new Set(),
    budget,
    progress: {},
  } as unknown as OperationContext;
  return { ...pushed, failure: failureOf(putObject(context, new Map())) };
}

/** Cut so that a window and a part end within what has arrived. */
async function push({ push: pushNext }: Pick<ReturnType<typeof setUp>, 'push'>, lengthBytes: number, isAll = false) {
  const pieceBytes = 250 * kib;
  for (let at = 0; at < lengthBytes; at += pieceBytes) {
    const end = Math.min(at + pieceBytes, lengthBytes);
    pushNext(bytesOf(end - at), isAll && end === lengthBytes);
    await tick();
  }
}

describe('everything is given back', () => {
  test('when memory for a part is not to be had in time', async () => {
    const { budget, failure, ...body } = setUp({});
    const othersBytes = budget.reservableBytes;
    expect(budget.tryReserve(othersBytes)).toBe(true);
    await push(body, 400 * kib);
    expect(await failure).toMatchObject({ code: 'SlowDown' });
    expect([await settleMemory(budget), budget.reservedBytes]).toEqual([0, othersBytes]);
  });

  test('when the backend opens no upload', async () => {
    const { budget, failure, ...body } = setUp({ createMultipartUpload: refuse });
    await push(body, partBytes + 100 * kib);
    expect(await failure).toBe(refusal);
    expect([await settleMemory(budget), budget.reservedBytes]).toEqual([0, 0]);
  });

  test('when a body of less than a part is refused', async () => {
    const { budget, failure, ...body } = setUp({ putObject: refuse });
    await push(body, 600 * kib, true);
    expect(await failure).toBe(refusal);
    expect([await settleMemory(budget), budget.reservedBytes]).toEqual([0, 0]);
  });
});
