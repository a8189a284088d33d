// Uploads a stream whose length nobody knows, here standard input, in parts: lib-storage of the AWS SDK v3.
// tar c folder | node lib-storage.mjs KEY; the keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { argv, env, exit, stderr, stdin, stdout } from 'node:process';

const [, , key] = argv;
if (key === undefined) {
  stderr.write('usage: node lib-storage.mjs KEY < FILE\n');
  exit(2);
}

const client = new S3Client({
  endpoint: env.MIZUCHI_URL ?? 'http://127.0.0.1:8080',
  region: env.AWS_REGION ?? 'us-east-1',
  forcePathStyle: true,
});

const upload = new Upload({
  client,
  params: { Bucket: 'uploads', Key: key, Body: stdin },
  partSize: 8 * 1024 * 1024,
  queueSize: 4,
});
upload.on('httpUploadProgress', ({ loaded }) => stderr.write(`${loaded} bytes sent\n`));

try {
  const { ETag } = await upload.done();
  stdout.write(`uploaded ${key}, ETag ${ETag}\n`);
} catch (error) {
  // By now lib-storage has aborted the multipart upload: nothing stays behind.
  const reason = error instanceof S3ServiceException ? `${error.name}: ${error.message}` : String(error);
  stderr.write(`not uploaded: ${reason}\n`);
  process.exitCode = 1;
}
