// SIGTERM: no new work, what is under way may finish, what does not is taken back.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { bucketConfig, prefix, s3Config } from '../support/proxied-bucket.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { createToken, startProxy, type RunningProxy } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
let server: S3Server;
let stored: BucketView;
beforeAll(async () => {
  server = await startMinio();
  stored = await createBucket(server, 'backend-bucket');
});
afterAll(() => server.stop());

function startWith(drainSeconds: number): Promise<RunningProxy> {
  const upload = { multipart_threshold: 5 * MiB, part_size: 5 * MiB };
  return startProxy({
    config: {
      server: { shutdown: { drain_seconds: drainSeconds } },
      buckets: [bucketConfig({ s3: s3Config(server), upload })],
    },
  });
}

/** Sends a head for `lengthBytes` and the first `sentBytes` of the body. */
async function beginUpload(
  proxy: RunningProxy,
  { key, lengthBytes, sentBytes }: { key: string; lengthBytes: number; sentBytes: number },
): Promise<RawConnection> {
  const connection = await openRawConnection(proxy.url);
  const fields = ['Host: a', `Authorization: Bearer ${await createToken()}`, `Content-Length: ${lengthBytes}`];
  await connection.write(`PUT ${prefix}/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await connection.write(Buffer.alloc(sentBytes, 1));
  await waitFor(async () => (await proxy.health()).uploads > 0);
  return connection;
}

test('an upload under way is finished, then the process ends with 0', async () => {
  const proxy = await startWith(30);
  const connection = await beginUpload(proxy, { key: 'finished', lengthBytes: 12 * MiB, sentBytes: 7 * MiB });
  const watcher = await openRawConnection(proxy.url);
  proxy.terminate();
  await waitFor(() =>
    openRawConnection(proxy.url).then(
      (late) => (late.destroy(), false),
      () => true,
    ),
  );
  await watcher.write('GET /ready HTTP/1.1\r\nHost: a\r\n\r\n');
  // A connection that is already open is either told so or closed.
  const ready = await watcher.readAnswer().catch(() => undefined);
  expect(ready?.status ?? 503).toBe(503);
  watcher.destroy();
  await connection.write(Buffer.alloc(5 * MiB, 1));
  expect((await connection.readAnswer()).status).toBe(200);
  expect(await proxy.ended).toEqual({ code: 0, signal: null });
  expect((await stored.readBytes('finished')).equals(Buffer.alloc(12 * MiB, 1))).toBe(true);
  await proxy.stop();
});

test('an upload that does not end within drain_seconds is aborted and leaves nothing', async () => {
  const proxy = await startWith(1);
  const multipart = await beginUpload(proxy, { key: 'cut/multipart', lengthBytes: 20 * MiB, sentBytes: 11 * MiB });
  const single = await beginUpload(proxy, { key: 'cut/single', lengthBytes: 2 * MiB, sentBytes: MiB });
  await waitFor(async () => (await stored.listOpenUploads('cut/multipart')).length === 1);
  proxy.terminate();
  await Promise.all([proxy.ended, multipart.closed, single.closed]);
  for (const connection of [multipart, single]) {
    const answer = await connection.readAnswer();
    expect(answer.status).toBe(503);
    expect(answer.body).toContain('<Code>ServiceUnavailable</Code>');
  }
  expect(await stored.listKeys('cut/')).toEqual([]);
  expect(await stored.listOpenUploads()).toEqual([]);
  await proxy.stop();
});

test('while an upload is finished, connections that are open are told no, and closed', async () => {
  const proxy = await startWith(30);
  const [ready, late] = await Promise.all([openRawConnection(proxy.url), openRawConnection(proxy.url)]);
  const connection = await beginUpload(proxy, { key: 'last', lengthBytes: 10, sentBytes: 5 });
  proxy.terminate();
  await waitFor(async () => proxy.logs().includes('"stopping"'));
  await ready.write('GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  const notReady = await ready.readAnswer();
  expect([notReady.status, notReady.headers.get('connection')]).toEqual([503, 'close']);
  const fields = ['Host: a', `Authorization: Bearer ${await createToken()}`, 'Content-Length: 1'];
  await late.write(`PUT ${prefix}/late HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\nx`);
  const refused = await late.readAnswer();
  expect(refused.status).toBe(503);
  expect(refused.body).toContain('<Code>ServiceUnavailable</Code>');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  await Promise.all([ready.closed, late.closed]);
  await connection.write(Buffer.alloc(5));
  expect((await connection.readAnswer()).status).toBe(200);
  expect(await proxy.ended).toEqual({ code: 0, signal: null });
  expect(await stored.listKeys('la')).toEqual(['last']);
  await proxy.stop();
});

test('with nothing under way, idle connections do not hold it up', async () => {
  const proxy = await startWith(600);
  const idle = await openRawConnection(proxy.url);
  const ends = await Promise.all([proxy.stop(), idle.closed]);
  expect(ends[0]).toEqual({ code: 0, signal: null });
});
