// Clients that leave during CreateMultipartUpload, their own or that of a large PUT: nobody will ever have the id that the backend
// answers.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { FaultyBackend, SeenRequest } from '../support/faulty-backend.ts';
import { startFaultyBucket } from '../support/faulty-bucket.ts';
import { prefix, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { waitFor } from '../support/wait-for.ts';

let backend: FaultyBackend;
let bucket: ProxiedBucket;
beforeAll(async () => {
  ({ backend, bucket } = await startFaultyBucket({}));
});
afterAll(() => bucket.stop());
afterEach(async () => {
  backend.setFault(() => undefined);
  await bucket.stored.abortOpenUploads();
});

/** The client leaves when the upload is open at the backend, but the backend has not said so yet. */
async function leaveWhileCreating(key: string, { isPut = false } = {}): Promise<void> {
  const connection = await openRawConnection(bucket.proxy.url);
  const [method, query, lengthBytes] = isPut ? ['PUT', '', 100_000_000] : ['POST', '?uploads', 0];
  const fields = ['Host: a', `Authorization: Bearer ${bucket.token}`, `Content-Length: ${lengthBytes}`];
  await connection.write(`${method} ${prefix}/${key}${query} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  await waitFor(async () => (await bucket.stored.listOpenUploads(key)).length === 1);
  connection.destroy();
}

const waitUntilGone = (key: string): Promise<void> =>
  waitFor(async () => (await bucket.stored.listOpenUploads(key)).length === 0);

const isCreate = ({ operation }: SeenRequest): boolean => operation === 'CreateMultipartUpload';

test('an upload whose client has left before it was told the id is aborted', async () => {
  backend.setFault((seen) => (isCreate(seen) ? { kind: 'late-answer', ms: 500 } : undefined));
  await leaveWhileCreating('left');
  await waitUntilGone('left');
  expect(backend.seen.map(({ operation }) => operation)).toContain('AbortMultipartUpload');
});

test('so is that of a large PUT', async () => {
  backend.setFault((seen) => (isCreate(seen) ? { kind: 'late-answer', ms: 500 } : undefined));
  await leaveWhileCreating('left-put', { isPut: true });
  await waitUntilGone('left-put');
  await bucket.proxy.waitUntilIdle();
  expect(await bucket.stored.listKeys('left-put')).toEqual([]);
});

test('also when the backend refuses the abort at first', async () => {
  backend.setFault((seen) => {
    if (isCreate(seen)) return { kind: 'late-answer', ms: 500 };
    return seen.operation === 'AbortMultipartUpload' && seen.attempt === 1
      ? { kind: 'answer', status: 503, code: 'SlowDown' }
      : undefined;
  });
  await leaveWhileCreating('left-twice');
  await waitUntilGone('left-twice');
  expect(backend.seen.findLast(({ operation }) => operation === 'AbortMultipartUpload')?.attempt).toBeGreaterThan(1);
});

test('one whose client stays is told, and stays open', async () => {
  backend.setFault((seen) => (isCreate(seen) ? { kind: 'late-answer', ms: 500 } : undefined));
  const created = await bucket.send({ method: 'POST', path: `${prefix}/stays?uploads` });
  expect(created.status).toBe(200);
  expect(await bucket.stored.listOpenUploads('stays')).toEqual(['stays']);
});
