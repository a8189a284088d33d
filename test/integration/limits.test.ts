// Limits of the server: connections, uploads at once, silence, whole time.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startFaultyBackend } from '../support/faulty-backend.ts';
import {
  prefix,
  startProxiedBucket,
  type ProxiedBucket,
  type ProxiedBucketOptions,
} from '../support/proxied-bucket.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { waitFor } from '../support/wait-for.ts';

let bucket: ProxiedBucket;
const limited = (limits: object, options: Partial<ProxiedBucketOptions> = {}): void => {
  beforeAll(async () => {
    bucket = await startProxiedBucket({ start: startMinio, server: { limits }, ...options });
  });
  afterAll(() => bucket.stop());
};

async function beginUpload(key: string, lengthBytes: number): Promise<RawConnection> {
  const connection = await openRawConnection(bucket.proxy.url);
  const fields = ['Host: a', `Authorization: Bearer ${bucket.token}`, `Content-Length: ${lengthBytes}`];
  await connection.write(`PUT ${prefix}/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  return connection;
}

describe('max_connections', () => {
  limited({ max_connections: 5 });

  test('one more is turned away, and taken when another has gone', async () => {
    const isServed = async (connection: RawConnection): Promise<boolean> => {
      await connection.write('GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
      const answer = await connection.readAnswer().catch(() => undefined);
      return answer?.status === 200;
    };
    const held = await Promise.all(Array.from({ length: 5 }, () => openRawConnection(bucket.proxy.url)));
    await waitFor(async () => (await Promise.all(held.map(isServed))).every(Boolean));
    const sixth = await openRawConnection(bucket.proxy.url);
    expect(await isServed(sixth)).toBe(false);
    await sixth.closed;
    held[0]?.destroy();
    await waitFor(async () => {
      const next = await openRawConnection(bucket.proxy.url);
      const served = await isServed(next);
      next.destroy();
      return served;
    });
    for (const connection of held) connection.destroy();
  });
});

describe('max_concurrent_uploads', () => {
  limited({ max_concurrent_uploads: 2, queue_timeout_seconds: 1 });

  test('one more waits, then is told to slow down; it gets a place that falls free while it waits', async () => {
    const first = await beginUpload('first', 10);
    const second = await beginUpload('second', 10);
    await waitFor(async () => (await bucket.proxy.health()).uploads === 2);
    const refused = await bucket.put('refused', 'hello');
    expect(refused.status).toBe(503);
    expect(refused.body).toContain('<Code>SlowDown</Code>');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    const waiting = bucket.put('waiting', 'hello');
    await first.write('0123456789');
    expect((await first.readAnswer()).status).toBe(200);
    expect((await waiting).status).toBe(200);
    second.destroy();
    first.destroy();
    await bucket.proxy.waitUntilIdle();
    expect((await bucket.stored.listKeys()).toSorted()).toEqual(['first', 'waiting']);
  });
});

describe('idle_timeout_seconds', () => {
  limited({ idle_timeout_seconds: 2 });

  test.each([
    ['one PUT', 1000, 10],
    ['several parts', 60 * 1024 * 1024, 20 * 1024 * 1024],
  ])(
    'a body that falls silent (%s) is answered RequestTimeout and leaves nothing',
    async (_, lengthBytes, sentBytes) => {
      const connection = await beginUpload('silent', lengthBytes);
      await connection.write(Buffer.alloc(sentBytes));
      const answer = await connection.readAnswer();
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('<Code>RequestTimeout</Code>');
      await connection.closed;
      await bucket.proxy.waitUntilIdle();
      expect(await bucket.stored.listKeys()).toEqual([]);
      expect(await bucket.stored.listOpenUploads()).toEqual([]);
    },
  );

  test('a body that is slow but never silent so long goes through', async () => {
    const connection = await beginUpload('slow', 5);
    for (let index = 0; index < 5; index++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await connection.write('x');
    }
    expect((await connection.readAnswer()).status).toBe(200);
    connection.destroy();
    expect((await bucket.stored.readBytes('slow')).toString()).toBe('xxxxx');
  });
});

describe('upload_timeout_seconds', () => {
  limited({ upload_timeout_seconds: 2 });

  test('an upload that takes longer is answered RequestTimeout, though it is never silent', async () => {
    const connection = await beginUpload('long', 1000);
    const timer = setInterval(() => void connection.write('x'), 200);
    const answer = await connection.readAnswer();
    clearInterval(timer);
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('<Code>RequestTimeout</Code>');
    await bucket.proxy.waitUntilIdle();
    expect(await bucket.stored.listKeys('long')).toEqual([]);
  });
});

describe('upload_timeout_seconds with a backend that answers nothing', () => {
  limited(
    { upload_timeout_seconds: 2 },
    {
      upload: { multipart_threshold: 6 * 1024 * 1024, part_size: 5 * 1024 * 1024 },
      between: async (server) => {
        const backend = await startFaultyBackend(server);
        backend.setFault(({ operation }) =>
          operation === 'PutObject' || operation === 'CompleteMultipartUpload'
            ? { kind: 'stall', afterBodyBytes: 0 }
            : undefined,
        );
        return backend;
      },
    },
  );

  test.each([
    ['one PUT', 1000],
    ['several parts', 12 * 1024 * 1024],
  ])(
    'an upload that was received in time (%s) is answered RequestTimeout and leaves nothing',
    async (_, lengthBytes) => {
      const startedAtMs = Date.now();
      const answer = await bucket.put('unanswered', Buffer.alloc(lengthBytes));
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('<Code>RequestTimeout</Code>');
      // Sooner than the backend's silence is a fault of its own.
      expect(Date.now() - startedAtMs).toBeLessThan(10_000);
      await bucket.proxy.waitUntilIdle();
      expect(await bucket.stored.listKeys('unanswered')).toEqual([]);
      expect(await bucket.stored.listOpenUploads()).toEqual([]);
    },
  );

  test('an upload whose client leaves once it has sent all of it is given up', async () => {
    const connection = await beginUpload('left', 1000);
    await connection.write(Buffer.alloc(1000));
    await waitFor(async () => (await bucket.proxy.health()).lentBytes > 0);
    connection.destroy();
    await bucket.proxy.waitUntilIdle(10_000);
    expect(await bucket.stored.listKeys('left')).toEqual([]);
  });
});
