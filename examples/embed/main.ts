// A program of one's own with the upload proxy inside: a small service on one port, uploads on another.
// node main.ts (Node.js 22); the variables are those of the proxy of the examples.
import { createConfig, createLog, startProxy } from 'mizuchi-uploadr';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { env } from 'node:process';

// The settings of the configuration file, with secrets from wherever the program has its own. Every fault is told at once.
const config = createConfig({
  server: { address: `127.0.0.1:${env['UPLOADS_PORT'] ?? '8080'}`, shutdown: { drain_seconds: 10 } },
  buckets: [
    {
      name: 'uploads',
      s3: {
        region: 'us-east-1',
        endpoint: env['S3_ENDPOINT'] ?? 'http://127.0.0.1:9000',
        access_key: env['S3_ACCESS_KEY'] ?? '',
        secret_key: env['S3_SECRET_KEY'] ?? '',
      },
      auth: { jwt: { secret: env['JWT_SECRET'] ?? '' } },
    },
  ],
  metrics: { enabled: false },
});

const log = createLog(config.logging);
const proxy = await startProxy(config, { log });
const service = createServer((_, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ uploads: `http://127.0.0.1:${proxy.port}/uploads/` }));
});
service.listen(Number(env['PORT'] ?? '3000'), '127.0.0.1');
await once(service, 'listening');
log.info({ uploadsPort: proxy.port }, 'ready');

async function stop(): Promise<void> {
  service.close();
  // Uploads under way may end within drain_seconds; the rest is aborted, and nothing stays behind.
  await proxy.stop();
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
