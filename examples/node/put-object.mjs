// Uploads a file with one PutObject of the AWS SDK v3: up to 5 GiB.
// node put-object.mjs FILE KEY; the keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as the SDK does it.
import { PutObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { argv, env, exit, stderr, stdout } from 'node:process';

const [, , file, key] = argv;
if (file === undefined || key === undefined) {
  stderr.write('usage: node put-object.mjs FILE KEY\n');
  exit(2);
}

const client = new S3Client({
  endpoint: env.MIZUCHI_URL ?? 'http://127.0.0.1:8080',
  region: env.AWS_REGION ?? 'us-east-1',
  forcePathStyle: true,
});

try {
  // S3 needs the length of a stream beforehand.
  const { size } = await stat(file);
  const { ETag } = await client.send(
    new PutObjectCommand({ Bucket: 'uploads', Key: key, Body: createReadStream(file), ContentLength: size }),
  );
  stdout.write(`uploaded ${file}, ETag ${ETag}\n`);
} catch (error) {
  const reason = error instanceof S3ServiceException ? `${error.name}: ${error.message}` : String(error);
  stderr.write(`not uploaded: ${reason}\n`);
  process.exitCode = 1;
}
