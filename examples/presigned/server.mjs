// A small backend that lets a browser upload: it signs one URL for each file, with keys that the browser never sees.
// Keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; MIZUCHI_URL must be how browsers reach the proxy.
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { env, stderr, stdout } from 'node:process';

const maxBytes = 100 * 1024 * 1024;
const expiresSeconds = 300;
const extensions = new Map([
  ['application/pdf', '.pdf'],
  ['image/jpeg', '.jpg'],
  ['image/png', '.png'],
  ['video/mp4', '.mp4'],
]);

const client = new S3Client({
  endpoint: env.MIZUCHI_URL ?? 'http://127.0.0.1:8080',
  region: env.AWS_REGION ?? 'us-east-1',
  forcePathStyle: true,
  // There is no body yet to make a checksum of.
  requestChecksumCalculation: 'WHEN_REQUIRED',
});

/** Who may upload what is for this function to say: here everybody, four types, up to 100 MiB, under keys made here. */
async function sign(/** @type {{ type: string, size: number }} */ { type, size }) {
  const extension = extensions.get(type);
  if (extension === undefined) return { status: 415, answer: { error: `not a type that is taken: ${type}` } };
  if (!Number.isSafeInteger(size) || size < 0) return { status: 400, answer: { error: 'size is a number of bytes' } };
  if (size > maxBytes) return { status: 413, answer: { error: `larger than ${maxBytes} bytes` } };
  const key = `${randomUUID()}${extension}`;
  const command = new PutObjectCommand({ Bucket: 'uploads', Key: key, ContentType: type, ContentLength: size });
  // Type and length are signed: an upload with others is refused.
  const signableHeaders = new Set(['host', 'content-type', 'content-length']);
  const url = await getSignedUrl(client, command, { expiresIn: expiresSeconds, signableHeaders });
  return { status: 201, answer: { key, url, headers: { 'Content-Type': type } } };
}

async function handle(/** @type {import('node:http').IncomingMessage} */ request) {
  if (request.method !== 'POST' || request.url !== '/uploads') return { status: 404, answer: { error: 'not found' } };
  // A form of another site cannot send this type.
  if (request.headers['content-type'] !== 'application/json')
    return { status: 415, answer: { error: 'JSON is needed' } };
  if (!(Number(request.headers['content-length']) <= 1024)) return { status: 413, answer: { error: 'too long' } };
  try {
    const { type, size } = await json(request);
    return await sign({ type, size });
  } catch (error) {
    stderr.write(`${String(error)}\n`);
    return { status: 400, answer: { error: 'the request cannot be read' } };
  }
}

const page = await readFile(`${import.meta.dirname}/index.html`);
const port = env.PORT ?? '3000';
createServer(async (request, response) => {
  if (request.method === 'GET' && request.url === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    return;
  }
  const { status, answer } = await handle(request);
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(answer));
}).listen(Number(port), 'localhost', () => stdout.write(`http://localhost:${port}\n`));
