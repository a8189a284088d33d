// A PUT of which the backend was sent nothing cannot be done, though its body was read to the end before there was a connection.
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { ClientGone } from '../../../src/http.ts';
import { createS3Storage } from '../../../src/storage/s3/s3-storage.ts';
import type { ObjectHeaders, Storage } from '../../../src/storage/storage.ts';
import { WatchedStorage, type StorageCallEnd } from '../../../src/telemetry/watched-storage.ts';
import { answerWith, startRawBackend, type BackendConnection, type RawBackend } from '../storage/s3/raw-backend.ts';
import { createTextBody } from '../storage/s3/scripted-body.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const ends: StorageCallEnd[] = [];
const object = { bucket: 'bucket', key: 'a' };
const never = new AbortController().signal;
const nothing = () => undefined;
const condition = new Map([['if-none-match', '*']]);

async function watchBackend(
  serve: (connection: BackendConnection) => unknown,
  { scheme = 'http', connectMs = 300, maxConnections = 1 } = {},
): Promise<{ backend: RawBackend; storage: Storage }> {
  ends.length = 0;
  const backend = await startRawBackend(serve);
  const storage = createS3Storage({
    region: 'us-east-1',
    endpoint: `${scheme}://127.0.0.1:${backend.port}`,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs, idleMs: 5000, totalMs: 0 },
    maxConnections,
  });
  cleanups.push(
    () => backend.stop(),
    () => storage.close(),
  );
  const watcher = { begin: () => ({ end: (end: StorageCallEnd) => void ends.push(end) }), failed: nothing };
  return { backend, storage: new WatchedStorage(storage, watcher) };
}

const put = (storage: Storage, signal = never, headers: ObjectHeaders = new Map()): Promise<unknown> =>
  storage.putObject(object, headers, createTextBody('body'), signal).catch(nothing);

test('a connection that is never made', async () => {
  const { storage } = await watchBackend(nothing, { scheme: 'https' });
  await put(storage);
  expect(ends).toMatchObject([{ bytes: 0, error: { code: 'ServiceUnavailable' }, isUnsettled: false }]);
});

test.each<[string, ObjectHeaders]>([
  ['its first attempt', new Map()],
  ['one that is made again after a failure', condition],
])('a client that leaves while there is no connection: %s', async (_, headers) => {
  const { storage } = await watchBackend(nothing, { scheme: 'https' });
  if (headers === condition) await put(storage, never, headers);
  const leaving = new AbortController();
  const putting = put(storage, leaving.signal, headers);
  await delay(50);
  leaving.abort(new ClientGone());
  await putting;
  expect(ends.at(-1)).toMatchObject({ bytes: 0, error: expect.any(ClientGone), isUnsettled: false });
});

test('a client that leaves while others have all connections, and not one that leaves when it was sent', async () => {
  const { storage, backend } = await watchBackend(nothing);
  const leaving = new AbortController();
  const first = put(storage, leaving.signal);
  while (!backend.connections[0]?.received().endsWith('body')) await delay(5);
  const second = new AbortController();
  const putting = put(storage, second.signal);
  await delay(20);
  second.abort(new ClientGone());
  await putting;
  leaving.abort(new ClientGone());
  await first;
  expect(ends).toMatchObject([
    { bytes: 0, error: expect.any(ClientGone), isUnsettled: false },
    { bytes: 4, error: expect.any(ClientGone), isUnsettled: true },
  ]);
});

test('a bucket of another region, by whose host it was to be asked for', async () => {
  const { storage } = await watchBackend(answerWith('HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n'));
  await put(storage);
  expect(ends).toMatchObject([{ error: { code: 'InternalError' }, isUnsettled: false }]);
});
