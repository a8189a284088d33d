// Starts a MinIO server with an empty store.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { startS3Server, type S3Server } from './start-s3-server.ts';

/** @param env settings beside those that every test has. */
export function startMinio(env: Readonly<Record<string, string>> = {}): Promise<S3Server> {
  return startS3Server('minio', (folder, port, { accessKey, secretKey, region }) => {
    const data = path.join(folder, 'data');
    mkdirSync(data);
    return {
      args: ['server', data, '--address', `127.0.0.1:${port}`],
      env: {
        MINIO_ROOT_USER: accessKey,
        MINIO_ROOT_PASSWORD: secretKey,
        MINIO_REGION: region,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
        ...env,
      },
      healthPath: '/minio/health/live',
    };
  });
}
