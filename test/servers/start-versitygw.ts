// Starts a Versity S3 gateway on its POSIX backend with an empty store.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { startS3Server, type S3Server } from './start-s3-server.ts';

export function startVersitygw(): Promise<S3Server> {
  return startS3Server('versitygw', (folder, port, { accessKey, secretKey, region }) => {
    const data = path.join(folder, 'data');
    mkdirSync(data);
    return {
      // Without --keep-alive it closes the connection after each answer, which would hide faults of the pool.
      args: ['--port', `127.0.0.1:${port}`, '--health', '/health', '--keep-alive', '--quiet', 'posix', data],
      env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey, VGW_REGION: region },
      healthPath: '/health',
    };
  });
}
