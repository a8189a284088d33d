// A proxy on the AWS SDK's command pipeline: one PutObject for each request, the body handed over as a stream.
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Agent, type IncomingMessage, type ServerResponse, createServer } from 'node:http';

const [port, backendPort] = process.argv.slice(2).map(Number);
const client = new S3Client({
  endpoint: `http://127.0.0.1:${backendPort}`,
  region: 'us-east-1',
  forcePathStyle: true,
  // Otherwise every stream is sent in aws-chunked framing with a CRC32 that nobody asked for.
  requestChecksumCalculation: 'WHEN_REQUIRED',
  requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: 1024 }) },
});

async function put(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  const [, bucket, ...key] = decodeURIComponent(incoming.url ?? '').split('/');
  const stored = await client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key.join('/'),
      Body: incoming,
      ContentLength: Number(incoming.headers['content-length']),
      ContentType: incoming.headers['content-type'],
    }),
  );
  answer.writeHead(200, { ETag: stored.ETag ?? '', 'Content-Length': 0 }).end();
}

createServer((incoming, answer) => {
  put(incoming, answer).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    answer.destroy();
  });
}).listen(port, '127.0.0.1');
