// kill -9 in the middle of an upload; the next start takes away what was left, and only that.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { startToxiproxy, type Toxiproxy, type ToxicProxy } from '../servers/start-toxiproxy.ts';
import { bucketConfig, prefix, s3Config } from '../support/proxied-bucket.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { encodeKey, sendRequest, type Answer } from '../support/send-request.ts';
import { waitUntilOpened } from '../support/scrape.ts';
import { createToken, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
let server: S3Server;
let toxiproxy: Toxiproxy;
let network: ToxicProxy;
let stored: BucketView;
let folder: string;
beforeAll(async () => {
  server = await startMinio();
  stored = await createBucket(server, 'backend-bucket');
  toxiproxy = await startToxiproxy();
  network = await toxiproxy.createProxy(server.endpoint);
});
afterAll(async () => {
  await toxiproxy.stop();
  await server.stop();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-crash-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  // So that a test that fails does not make the next one fail.
  await stored.abortOpenUploads();
  await network.setEnabled(true);
});

function start(): Promise<RunningProxy> {
  const upload = {
    multipart_threshold: 5 * MiB,
    part_size: 5 * MiB,
    retry: { max_attempts: 2, base_delay_ms: 10, max_delay_ms: 20 },
  };
  return startProxy({
    folder,
    config: {
      server: { shutdown: { drain_seconds: 1 } },
      buckets: [bucketConfig({ s3: s3Config(server, network.endpoint), upload })],
    },
  });
}

async function beginUpload(proxy: RunningProxy, key: string): Promise<RawConnection> {
  const connection = await openRawConnection(proxy.url);
  const fields = ['Host: a', `Authorization: Bearer ${await createToken()}`, `Content-Length: ${30 * MiB}`];
  await connection.write(`PUT ${prefix}/${encodeKey(key)} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await connection.write(Buffer.alloc(12 * MiB, 1));
  return connection;
}

const send = async (proxy: RunningProxy, method: string, query: string, body?: string): Promise<Answer> =>
  sendRequest({
    url: proxy.url,
    method,
    path: `${prefix}/clients-own?${query}`,
    headers: { authorization: `Bearer ${await createToken()}` },
    ...(body === undefined ? {} : { body }),
  });

test('kill -9 in the middle of uploads: after a restart none dangles; a client that drives its own goes on', async () => {
  const first = await start();
  const created = await send(first, 'POST', 'uploads');
  const uploadId = encodeURIComponent(/<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '');
  const part = await send(first, 'PUT', `partNumber=1&uploadId=${uploadId}`, 'part of the client');
  expect(part.status).toBe(200);
  const connections = await Promise.all(['crash/a', 'crash/b', 'crash/c d'].map((key) => beginUpload(first, key)));
  await waitUntilOpened(first.metricsUrl, connections.length);
  await first.kill9();
  await Promise.all(connections.map((connection) => connection.closed));
  expect((await stored.listOpenUploads()).toSorted()).toEqual(['clients-own', 'crash/a', 'crash/b', 'crash/c d']);

  const second = await start();
  await waitFor(async () => (await stored.listOpenUploads()).length === 1);
  expect(await stored.listOpenUploads()).toEqual(['clients-own']);
  expect(await stored.listKeys()).toEqual([]);
  const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag ?? ''}</ETag></Part>`;
  const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
  expect((await send(second, 'POST', `uploadId=${uploadId}`, body)).status).toBe(200);
  expect((await stored.readBytes('clients-own')).toString()).toBe('part of the client');
  await second.stop();
});

test('an abort that could not be delivered before the end of the process is delivered by the next', async () => {
  const first = await start();
  const connection = await beginUpload(first, 'undelivered');
  await waitUntilOpened(first.metricsUrl, 1);
  await network.setEnabled(false);
  connection.destroy();
  await first.waitUntilIdle();
  await first.stop();
  expect(await stored.listOpenUploads()).toEqual(['undelivered']);
  await network.setEnabled(true);
  const second = await start();
  await waitFor(async () => (await stored.listOpenUploads()).length === 0);
  await second.stop();
});

test('a process that lives keeps its uploads when another starts beside it on the same state', async () => {
  const first = await start();
  const connection = await beginUpload(first, 'alive');
  await waitUntilOpened(first.metricsUrl, 1);
  const second = await start();
  await second.waitUntilIdle();
  await connection.write(Buffer.alloc(18 * MiB, 1));
  expect((await connection.readAnswer()).status).toBe(200);
  expect((await stored.head('alive')).ContentLength).toBe(30 * MiB);
  await Promise.all([first.stop(), second.stop()]);
});
