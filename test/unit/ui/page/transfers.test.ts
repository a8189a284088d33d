// How one file is sent: what a pause cuts, and what is said when the server's last word was lost.
import { describe, expect, test } from 'vitest';
import type { BucketCalls } from '../../../../src/ui/page/bucket-calls.ts';
import { explainRefusal } from '../../../../src/ui/page/explain-refusal.ts';
import { createOpenUploads } from '../../../../src/ui/page/open-uploads.ts';
import type { StoredPart } from '../../../../src/ui/page/read-xml.ts';
import { createSlots } from '../../../../src/ui/page/slots.ts';
import { Transfer, type TransferOptions } from '../../../../src/ui/page/transfer.ts';
import { UploadFault } from '../../../../src/ui/page/upload-fault.ts';

const mib = 1024 * 1024;
const refuse = (status: number, code: string) =>
  explainRefusal({ status, body: `<Error><Code>${code}</Code></Error>`, retryAfter: null });
const gone = refuse(404, 'NoSuchUpload');
const away = refuse(503, 'ServiceUnavailable');
const exists = refuse(412, 'PreconditionFailed');
const lost = new UploadFault('network', 'lost');

/** A server that makes objects, and answers its last calls as a test says: undefined is a success. */
function startServer(answers: (UploadFault | undefined)[]) {
  const sent = { uploads: 0, parts: 0, puts: 0, completions: 0 };
  let parts: StoredPart[] | undefined;
  let bytesTaken = Infinity;
  const answer = () => {
    const fault = answers.shift();
    if (fault !== undefined) throw fault;
  };
  const calls: BucketCalls = {
    async putObject(_path, body, _type, { signal, onProgress }) {
      sent.puts++;
      // Browsers tell nothing of a body of no bytes.
      if (bytesTaken > 0 && body.size > 0) onProgress(Math.min(body.size, bytesTaken));
      signal.throwIfAborted();
      answer();
    },
    async createMultipartUpload() {
      parts = [];
      return `upload-${++sent.uploads}`;
    },
    async uploadPart(_path, _id, number, body) {
      sent.parts++;
      parts?.push({ number, etag: `"${number}"`, sizeBytes: body.size });
      return `"${number}"`;
    },
    async listParts() {
      if (parts === undefined) throw gone;
      return parts;
    },
    async completeMultipartUpload(_path, _id, _etags, signal) {
      sent.completions++;
      onCompletion();
      signal.throwIfAborted();
      answer();
      parts = undefined;
    },
    async abortMultipartUpload() {
      answer();
      parts = undefined;
    },
  };
  let onCompletion = () => {};
  return {
    calls,
    sent,
    setOnCompletion(act: () => void) {
      onCompletion = act;
    },
    /** Of a body, from now on. */
    setBytesTaken(count: number) {
      bytesTaken = count;
    },
    /** It is done, or was aborted. */
    forget() {
      parts = undefined;
    },
  };
}

function createTransfer(
  { calls }: { calls: BucketCalls },
  sizeBytes: number,
  options: Partial<TransferOptions> = {},
): Transfer {
  return new Transfer({
    file: {
      data: new Blob([new Uint8Array(sizeBytes)]),
      path: '/uploads/a.bin',
      name: 'a.bin',
      contentType: 'application/octet-stream',
      lastModifiedMs: 1,
    },
    calls,
    openUploads: createOpenUploads(undefined, Date.now),
    slots: createSlots(5),
    retry: { isOnline: () => true, wait: async (_ms, signal) => signal.throwIfAborted(), random: () => 0 },
    onProgress() {},
    onWait() {},
    onFinishing() {},
    ...options,
  });
}

const { signal: never } = new AbortController();
const endOf = (transfer: Transfer, signal = never) =>
  transfer.run(signal).then(
    () => 'done',
    (error: unknown) => (error instanceof Error ? error.message : error),
  );

describe('the end of an upload in parts', () => {
  test.each([
    ['lost', lost],
    ['503', away],
  ])('answered by %s, and then by NoSuchUpload, it has most likely arrived', async (_, fault) => {
    const server = startServer([fault, gone]);
    const transfer = createTransfer(server, 40 * mib);
    expect(await endOf(transfer)).toContain('most likely arrived');
    // Whoever wants it sent once more has read that.
    expect(await endOf(transfer)).toBe('done');
    expect(server.sent).toMatchObject({ uploads: 2, parts: 10 });
  });

  test('NoSuchUpload at once is what it says', async () => {
    expect(await endOf(createTransfer(startServer([gone]), 40 * mib))).toBe(gone.message);
  });

  test('given up without an answer and tried again by hand, it is not sent anew unasked', async () => {
    const server = startServer(Array.from({ length: 9 }, () => lost));
    const transfer = createTransfer(server, 40 * mib);
    expect(await endOf(transfer)).toBe('lost');
    expect(transfer.mayHaveArrived).toBe(true);
    server.forget();
    expect(await endOf(transfer)).toContain('most likely arrived');
    expect(server.sent).toMatchObject({ uploads: 1, parts: 5 });
  });

  test('a pause does not cut it', async () => {
    const server = startServer([]);
    const stop = new AbortController();
    server.setOnCompletion(() => stop.abort(new Error('paused')));
    const transfer = createTransfer(server, 40 * mib);
    expect(await endOf(transfer, stop.signal)).toBe('done');
    expect([server.sent, transfer.mayHaveArrived]).toEqual([{ uploads: 1, parts: 5, puts: 0, completions: 1 }, false]);
  });

  test('what failed during a pause is tried again after it', async () => {
    const server = startServer([away]);
    const stop = new AbortController();
    server.setOnCompletion(() => stop.abort(new Error('paused')));
    const transfer = createTransfer(server, 40 * mib);
    expect(await endOf(transfer, stop.signal)).toBe('paused');
    expect(await endOf(transfer)).toBe('done');
    expect(server.sent).toEqual({ uploads: 1, parts: 5, puts: 0, completions: 2 });
  });
});

test('while it is discarded it says nothing of waiting: its row can be that of another by then', async () => {
  const server = startServer([lost, away]);
  let waits = 0;
  const transfer = createTransfer(server, 40 * mib, { onWait: () => waits++ });
  server.setOnCompletion(() => {
    throw new UploadFault('final', 'refused');
  });
  expect(await endOf(transfer)).toBe('refused');
  await transfer.discard();
  await expect(server.calls.listParts('', '', never)).rejects.toBe(gone);
  expect(waits).toBe(0);
});

describe('a file in a single request that may not replace another', () => {
  test.each([
    ['lost', 1000, lost],
    ['503', 1000, away],
    ['lost', 0, lost],
    ['503', 0, away],
  ])(
    'answered by %s when all of it was sent, %i bytes, and then refused: it may be this very one',
    async (_, size, fault) => {
      const transfer = createTransfer(startServer([fault, exists]), size);
      expect(await endOf(transfer)).toContain('It may be this one');
    },
  );

  test.each([
    ['lost', 0, lost],
    ['503', 0, away],
    ['lost', 999, lost],
    ['503', 999, away],
  ])('answered by %s when %i of 1000 bytes were sent, and then refused: it is another', async (_, count, fault) => {
    const server = startServer([fault, exists]);
    server.setBytesTaken(count);
    const transfer = createTransfer(server, 1000);
    expect(await endOf(transfer)).toContain('Rename yours');
    expect(transfer.mayHaveArrived).toBe(false);
  });

  test('an empty one that is stopped while it waits in line has not arrived', async () => {
    const stop = new AbortController();
    const transfer = createTransfer(startServer([exists]), 0, { slots: createSlots(0) });
    const stopped = endOf(transfer, stop.signal);
    stop.abort(new Error('paused'));
    expect([await stopped, transfer.mayHaveArrived]).toEqual(['paused', false]);
  });

  test.each([1000, 0])('stopped when all of its %i bytes were sent, and then refused: the same', async (size) => {
    const server = startServer([exists]);
    const stop = new AbortController();
    const transfer = createTransfer(server, size);
    const stopped = endOf(transfer, stop.signal);
    stop.abort(new Error('paused'));
    expect(await stopped).toBe('paused');
    expect(transfer.mayHaveArrived).toBe(true);
    expect(await endOf(transfer)).toContain('It may be this one');
  });

  test('refused at once, it is another', async () => {
    const transfer = createTransfer(startServer([exists]), 1000);
    expect(await endOf(transfer)).toContain('Rename yours');
    expect(transfer.mayHaveArrived).toBe(false);
  });
});
