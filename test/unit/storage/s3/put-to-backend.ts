// An S3 storage before a backend that answers as a test wants, and objects put to it.
import { createS3Storage, type S3StorageOptions } from '../../../../src/storage/s3/s3-storage.ts';
import type { Storage, Stored } from '../../../../src/storage/storage.ts';
import { readBody, startRawBackend, type BackendConnection, type RawBackend } from './raw-backend.ts';
import type { ScriptedBody, Step } from './scripted-body.ts';

export const never = new AbortController().signal;
export const mib = 1024 * 1024;
export const object = { bucket: 'bucket', key: 'folder/a b' };

export const cleanups: (() => unknown)[] = [];
/** For `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}

interface Setup {
  readonly backend: RawBackend;
  readonly storage: Storage;
  readonly put: (body: ScriptedBody, signal?: AbortSignal) => Promise<Stored>;
}

export async function setUp(
  serve: (connection: BackendConnection) => unknown,
  options: Partial<S3StorageOptions> = {},
): Promise<Setup> {
  const backend = await startRawBackend(serve);
  const storage = createS3Storage({
    region: 'us-east-1',
    endpoint: backend.endpoint,
    forcePathStyle: true,
    keepsEmptySegments: false,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    timeouts: { connectMs: 5000, idleMs: 5000, totalMs: 0 },
    ...options,
  });
  cleanups.push(
    () => backend.stop(),
    () => storage.close(),
  );
  return { backend, storage, put: (body, signal = never) => storage.putObject(object, new Map(), body, signal) };
}

/** Sends the text once the condition holds. */
export const answerWhen =
  (condition: (received: string) => boolean, text: string) =>
  async ({ until, socket }: BackendConnection): Promise<void> => {
    await until(condition);
    socket.write(text);
  };

export const hasBody = (bytes: number) => (received: string) => (readBody(received)?.bodyBytes ?? -1) >= bytes;

export function endless(chunkBytes: number): Iterable<Step> {
  const chunk = Buffer.alloc(chunkBytes);
  return (function* () {
    for (;;) yield chunk;
  })();
}

export const failureOf = (putting: Promise<Stored>): Promise<unknown> =>
  putting.then(
    () => {
      throw new Error('it was stored');
    },
    (failure: unknown) => failure,
  );

export async function allReleased(body: ScriptedBody): Promise<void> {
  while (body.released < body.handedOut) await new Promise(setImmediate);
}
