// The backend of native/sink.c, in Node: same options, same answers, for machines without a C compiler.
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { Socket } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { 'connection-rate': { type: 'string' }, 'total-rate': { type: 'string' } },
});

interface Pace {
  readonly bytesPerSecond: number;
  allowance: number;
  refilledAt: number;
}

const etag = '"7215ee9c7d9dc229d2921a40e899ec5f"';
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';
const stats = { bytes: 0, requests: 0, puts: 0, parts: 0, creates: 0, completes: 0, aborts: 0, accepted: 0 };
const createPace = (rate: string | undefined): Pace => ({
  bytesPerSecond: Number(rate ?? Number.POSITIVE_INFINITY),
  allowance: 0,
  refilledAt: performance.now(),
});
const total = createPace(values['total-rate']);
const paces = new WeakMap<Socket, Pace>();

/** Milliseconds until so many bytes more may be taken. */
function take(pace: Pace, bytes: number): number {
  if (!Number.isFinite(pace.bytesPerSecond)) return 0;
  const now = performance.now();
  const refilled = pace.allowance + ((now - pace.refilledAt) * pace.bytesPerSecond) / 1000;
  // No more than 20 ms is saved up, so that a pause is not made good by a burst.
  pace.allowance = Math.min(refilled, pace.bytesPerSecond * 0.02) - bytes;
  pace.refilledAt = now;
  return pace.allowance < 0 ? (-pace.allowance / pace.bytesPerSecond) * 1000 : 0;
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  stats.requests++;
  const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '');
  const send = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): void =>
    void response.writeHead(status, { 'x-amz-request-id': '4442587FB7D0A2F9', ...headers }).end(body);
  if (request.url === '/-/stats') return send(200, JSON.stringify(stats));
  if (request.method === 'PUT') {
    stats[query.has('uploadId') ? 'parts' : 'puts']++;
    return send(200, '', { ETag: etag, 'Content-Length': '0' });
  }
  if (request.method === 'POST' && query.has('uploads')) {
    stats.creates++;
    const result = '<Bucket>bench</Bucket><Key>k</Key><UploadId>sink-upload-1</UploadId>';
    return send(200, `<InitiateMultipartUploadResult xmlns="${namespace}">${result}</InitiateMultipartUploadResult>`);
  }
  if (request.method === 'POST') {
    stats.completes++;
    const result = `<Bucket>bench</Bucket><Key>k</Key><ETag>${etag}</ETag>`;
    return send(200, `<CompleteMultipartUploadResult xmlns="${namespace}">${result}</CompleteMultipartUploadResult>`);
  }
  if (request.method === 'DELETE') {
    stats.aborts++;
    return send(204, '');
  }
  if (request.method === 'HEAD') return send(200, '', { 'x-amz-bucket-region': 'us-east-1' });
  if (query.size === 0) return send(200, '<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>');
  return send(404, '<Error><Code>NoSuchKey</Code><Message>Nothing is kept here.</Message></Error>');
}

const server = createServer({ requestTimeout: 0, highWaterMark: 262_144 }, (request, response) => {
  const pace = paces.get(request.socket) ?? createPace(values['connection-rate']);
  paces.set(request.socket, pace);
  request.on('data', (chunk: Buffer) => {
    stats.bytes += chunk.length;
    const waitMs = Math.max(take(pace, chunk.length), take(total, chunk.length));
    if (waitMs < 1) return;
    request.pause();
    setTimeout(() => request.resume(), waitMs);
  });
  request.on('end', () => answer(request, response));
});
server.on('connection', () => stats.accepted++);
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`);
});
