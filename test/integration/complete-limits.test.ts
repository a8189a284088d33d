// The lists of parts that CompleteMultipartUpload brings: they take their place and their memory like other bodies.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { openRawConnection, type RawConnection } from '../support/raw-connection.ts';
import type { Answer } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

let bucket: ProxiedBucket;
const limited = (limits: object): void => {
  beforeAll(async () => {
    bucket = await startProxiedBucket({ start: startMinio, server: { limits } });
  });
  afterAll(() => bucket.stop());
};

/** Sends the beginning of a list, and no more. */
async function beginComplete(framing: string): Promise<RawConnection> {
  const connection = await openRawConnection(bucket.proxy.url);
  const fields = ['Host: a', `Authorization: Bearer ${bucket.token}`, framing];
  await connection.write(`POST ${prefix}/begun?uploadId=u HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  const start = '<CompleteMultipartUpload>';
  await connection.write(framing.startsWith('Transfer') ? `${start.length.toString(16)}\r\n${start}\r\n` : start);
  return connection;
}

/** Uploads an object as one part. @param comment in the list, to make it long. */
async function upload(key: string, comment = ''): Promise<Answer> {
  const path = `${prefix}/${key}`;
  const created = await bucket.send({ method: 'POST', path: `${path}?uploads` });
  const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? '';
  const id = `uploadId=${encodeURIComponent(uploadId)}`;
  const part = await bucket.send({ method: 'PUT', path: `${path}?partNumber=1&${id}`, body: key });
  const list = `<!--${comment}--><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag ?? ''}</ETag></Part>`;
  const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
  return bucket.send({ method: 'POST', path: `${path}?${id}`, body });
}

describe('a place', () => {
  limited({ max_concurrent_uploads: 1, queue_timeout_seconds: 1 });

  test('is held while the list comes', async () => {
    const begun = await beginComplete('Content-Length: 1000');
    await waitFor(async () => (await bucket.proxy.health()).uploads === 1);
    const refused = await bucket.put('refused', 'hello');
    expect(refused.status).toBe(503);
    expect(refused.body).toContain('<Code>SlowDown</Code>');
    begun.destroy();
    await bucket.proxy.waitUntilIdle();
    expect((await upload('taken')).status).toBe(200);
    expect((await bucket.stored.readBytes('taken')).toString()).toBe('taken');
  });
});

describe('memory', () => {
  limited({ memory_budget: '16MiB', queue_timeout_seconds: 1 });

  test.each(['Content-Length: 4000000', 'Transfer-Encoding: chunked'])(
    'is set aside for a long list (%s)',
    async (framing) => {
      const begun = await beginComplete(framing);
      await waitFor(async () => (await bucket.proxy.health()).uploads === 1);
      const long = 'x'.repeat(40_000);
      const refused = await upload('long', long);
      expect(refused.status).toBe(503);
      expect(refused.body).toContain('<Code>SlowDown</Code>');
      expect((await upload('short')).status).toBe(200);
      begun.destroy();
      await bucket.proxy.waitUntilIdle();
      expect((await upload('long', long)).status).toBe(200);
      expect((await bucket.stored.readBytes('long')).toString()).toBe('long');
      await bucket.stored.abortOpenUploads();
    },
  );
});
