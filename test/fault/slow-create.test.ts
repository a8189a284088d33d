// A backend that takes longer to open an upload than uWebSockets.js waits for a silent client: bodies are paused meanwhile.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultyBackend } from '../support/faulty-backend.ts';
import { startFaultyBucket } from '../support/faulty-bucket.ts';
import { prefix, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';

const MiB = 1024 * 1024;
/** The server's timer ends a connection after 8 to 12 s. */
const slowMs = 13_000;
let backend: FaultyBackend;
let bucket: ProxiedBucket;
beforeAll(async () => {
  const upload = { multipart_threshold: 6 * MiB, part_size: 5 * MiB };
  ({ backend, bucket } = await startFaultyBucket({ upload }));
});
afterAll(() => bucket.stop());

test('clients that are paused meanwhile stay connected, in whatever pieces they send', async () => {
  backend.setFault(({ operation }) =>
    operation === 'CreateMultipartUpload' ? { kind: 'late-answer', ms: slowMs } : undefined,
  );
  const body = createRandomBody('slow', 8 * MiB).bytes();
  const pieces = [undefined, 1000, 8192, 16_384, 65_536, 65_536, 65_536, 300_000];
  const statuses = await Promise.all(pieces.map((bytes, index) => put(`slow/${index}`, body, bytes)));
  expect(statuses).toEqual(pieces.map(() => 200));
  for (const index of pieces.keys()) expect(body.equals(await bucket.stored.readBytes(`slow/${index}`))).toBe(true);
});

/** @param pieceBytes of each chunk; undefined: with a Content-Length. @returns the status. */
async function put(key: string, body: Buffer, pieceBytes: number | undefined): Promise<number> {
  const connection = await openRawConnection(bucket.proxy.url);
  const framing = pieceBytes === undefined ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
  const fields = ['Host: a', `Authorization: Bearer ${bucket.token}`, framing];
  await connection.write(`PUT ${prefix}/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await connection.write(pieceBytes === undefined ? body : toChunks(body, pieceBytes));
  const { status } = await connection.readAnswer();
  connection.destroy();
  return status;
}

function toChunks(body: Buffer, pieceBytes: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += pieceBytes) {
    const piece = body.subarray(at, at + pieceBytes);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}
