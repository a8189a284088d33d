// Uploads one file with the AWS SDK for JavaScript v3, in the way that is asked for. The argument is JSON: see ../definitions/libraries.ts.
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { readJob, runWay } from './job.ts';

const job = readJob();
const client = new S3Client({ forcePathStyle: true });
const where = { Bucket: job.bucket, Key: job.key };
const about = { ...where, ContentType: job.contentType, Metadata: job.metadata };

await runWay(job, {
  async 'PutObject, Buffer'() {
    await client.send(new PutObjectCommand({ ...about, Body: readFileSync(job.file) }));
  },
  async 'PutObject, stream'() {
    const ContentLength = statSync(job.file).size;
    await client.send(new PutObjectCommand({ ...about, Body: createReadStream(job.file), ContentLength }));
  },
  async 'lib-storage Upload'() {
    // A stream of which the length is not known.
    const Body = Readable.from(createReadStream(job.file), { objectMode: false });
    await new Upload({ client, params: { ...about, Body } }).done();
  },
  async 'presigned PutObject'() {
    // The metadata goes into the query, and is signed there.
    const url = await getSignedUrl(client, new PutObjectCommand(about), { expiresIn: 300 });
    const headers = { 'content-type': job.contentType };
    const answer = await fetch(url, { method: 'PUT', headers, body: readFileSync(job.file) });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  },
  async GetObject() {
    await client.send(new GetObjectCommand(where));
  },
});
