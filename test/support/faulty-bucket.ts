// A bucket of a real MinIO behind a proxy, and between the two a backend that fails as it is told.
import { startMinio } from '../servers/start-minio.ts';
import { startFaultyBackend, type FaultyBackend } from './faulty-backend.ts';
import { startProxiedBucket, type ProxiedBucket, type ProxiedBucketOptions } from './proxied-bucket.ts';

export interface FaultyBucket {
  readonly backend: FaultyBackend;
  /** Stops all of it. */
  readonly bucket: ProxiedBucket;
}

export async function startFaultyBucket(
  options: Omit<ProxiedBucketOptions, 'start' | 'between'>,
): Promise<FaultyBucket> {
  const { promise, resolve } = Promise.withResolvers<FaultyBackend>();
  const bucket = await startProxiedBucket({
    ...options,
    start: startMinio,
    async between(server) {
      const backend = await startFaultyBackend(server);
      resolve(backend);
      return backend;
    },
  });
  return { backend: await promise, bucket };
}
