// Bodies that hold all memory: who leaves or falls silent gives it back, the others go on, and the proxy lives.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FaultyBackend } from '../support/faulty-backend.ts';
import { startFaultyBucket } from '../support/faulty-bucket.ts';
import { prefix, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const budgetBytes = 16 * MiB;
/** Each holds a slab of 256 KiB, however little is in it. */
const uploadsThatFill = 64;

let backend: FaultyBackend;
let bucket: ProxiedBucket;
beforeAll(async () => {
  ({ backend, bucket } = await startFaultyBucket({
    server: { limits: { memory_budget: budgetBytes, idle_timeout_seconds: 6, queue_timeout_seconds: 60 } },
    upload: { retry: { max_attempts: 4, base_delay_ms: 20, max_delay_ms: 100 } },
  }));
});
afterAll(() => bucket.stop());
afterEach(async () => {
  backend.setFault(() => undefined);
  await bucket.proxy.waitUntilIdle();
  await bucket.stored.deleteObjects(await bucket.stored.listKeys());
});

async function begin(key: string, fields: readonly string[], firstBytes: string): Promise<RawConnection> {
  const connection = await openRawConnection(bucket.proxy.url);
  const head = [`PUT ${prefix}/${key} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${bucket.token}`, ...fields];
  await connection.write(`${head.join('\r\n')}\r\n\r\n${firstBytes}`);
  return connection;
}

/** Begins as many as it takes until nothing is left. */
async function exhaust(fields: readonly string[], firstBytes: string): Promise<RawConnection[]> {
  const uploads = Array.from({ length: uploadsThatFill }, (_, index) => begin(`waits/${index}`, fields, firstBytes));
  const connections = await Promise.all(uploads);
  await waitFor(async () => (await bucket.proxy.health()).lentBytes >= budgetBytes);
  return connections;
}

describe('clients that hold all memory with less than a window each', () => {
  test('of unknown length: some leave, some fall silent, and the others are stored', async () => {
    const connections = await exhaust(['Transfer-Encoding: chunked'], '5\r\nhello\r\n');
    const [leaving = [], silent = [], going = []] = [0, 1, 2].map((fate) =>
      connections.filter((_, index) => index % 3 === fate),
    );
    for (const connection of leaving) connection.destroy();
    const answers = await Promise.all(
      going.map(async (connection) => {
        await connection.write('7\r\n, world\r\n0\r\n\r\n');
        return (await connection.readAnswer()).status;
      }),
    );
    expect(answers).toEqual(going.map(() => 200));
    for (const connection of silent) {
      const answer = await connection.readAnswer();
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('<Code>RequestTimeout</Code>');
    }
    for (const connection of going) connection.destroy();
    await bucket.proxy.waitUntilIdle();
    const keys = await bucket.stored.listKeys('waits/');
    expect(keys).toHaveLength(going.length);
    for (const key of keys) expect((await bucket.stored.readBytes(key)).toString()).toBe('hello, world');
    expect((await bucket.put('afterwards', Buffer.alloc(2 * MiB))).status).toBe(200);
  });

  test('in aws-chunked framing, all there but their trailer: all are stored when it comes', async () => {
    const payload = 'a payload';
    const fields = [
      'x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'x-amz-trailer: x-amz-checksum-crc32',
      `x-amz-decoded-content-length: ${payload.length}`,
      'Transfer-Encoding: chunked',
    ];
    const inChunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    const connections = await exhaust(fields, inChunk(inChunk(payload)));
    const trailer = inChunk('0\r\nx-amz-checksum-crc32:iydWdA==\r\n\r\n');
    await Promise.all(connections.map((connection) => connection.write(`${trailer}0\r\n\r\n`)));
    const answers = await Promise.all(connections.map((connection) => connection.readAnswer()));
    expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(connections.map(() => '200 '));
    for (const connection of connections) connection.destroy();
    expect(await bucket.stored.listKeys('waits/')).toHaveLength(uploadsThatFill);
  });
});

test('many uploads that are tried again, in little memory: each is stored or told to come back', async () => {
  backend.setFault(({ operation, attempt }) =>
    operation === 'PutObject' && attempt <= 2
      ? { kind: 'answer', status: 503, code: 'SlowDown', afterBodyBytes: MiB }
      : undefined,
  );
  const bodies = Array.from({ length: 48 }, (_, index) => createRandomBody(`again ${index}`, 3 * MiB));
  const outcomes = await Promise.all(
    bodies.map(async (body, index) => {
      const key = `again/${index}`;
      const answer = await bucket.put(key, body.chunks(), { 'content-length': String(body.sizeBytes) });
      if (answer.status !== 200) return `${answer.status} ${/<Code>\w+/u.exec(answer.body)?.[0]}`;
      return (await bucket.stored.readHash(key)).sha256 === body.sha256() ? 'right' : 'wrong';
    }),
  );
  expect(outcomes.filter((outcome) => outcome !== 'right' && outcome !== '503 <Code>SlowDown')).toEqual([]);
  expect(outcomes).toContain('right');
});
