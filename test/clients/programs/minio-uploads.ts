// Uploads one file with minio-js, in the way that is asked for. The argument is JSON: see ../definitions/libraries.ts.
import { Client } from 'minio';
import { createReadStream, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { readJob, runWay } from './job.ts';

const job = readJob();
const { hostname, port, protocol } = new URL(process.env['AWS_ENDPOINT_URL'] ?? '');
const client = new Client({
  endPoint: hostname,
  port: Number(port),
  useSSL: protocol === 'https:',
  accessKey: process.env['AWS_ACCESS_KEY_ID'] ?? '',
  secretKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
});
const about = { 'content-type': job.contentType, ...job.metadata };

await runWay(job, {
  async 'putObject, Buffer'() {
    const bytes = readFileSync(job.file);
    await client.putObject(job.bucket, job.key, bytes, bytes.length, about);
  },
  async 'putObject, stream'() {
    const stream = Readable.from(createReadStream(job.file), { objectMode: false });
    await client.putObject(job.bucket, job.key, stream, undefined, about);
  },
  async fPutObject() {
    await client.fPutObject(job.bucket, job.key, job.file, about);
  },
  async presignedPutObject() {
    const url = await client.presignedPutObject(job.bucket, job.key, 300);
    const headers = { 'content-type': job.contentType };
    const answer = await fetch(url, { method: 'PUT', headers, body: readFileSync(job.file) });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  },
  async getObject() {
    await client.getObject(job.bucket, job.key);
  },
});
