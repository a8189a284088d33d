// The official SDK as the tests' own eyes on a backend: buckets, objects, open multipart uploads.
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
  type HeadObjectCommandOutput,
  type MultipartUpload,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { S3Server } from '../servers/start-s3-server.ts';

export function createS3Client(server: S3Server): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    forcePathStyle: true,
    maxAttempts: 3,
  });
}

export interface BucketView {
  readonly bucket: string;
  readonly client: S3Client;
  /** Reads the object once, holding one chunk at a time. @returns its hex SHA-256 and its size in bytes. */
  readHash(key: string): Promise<{ sha256: string; size: number }>;
  readBytes(key: string): Promise<Buffer>;
  head(key: string): Promise<HeadObjectCommandOutput>;
  /** Keys of all objects, at most 1,000. */
  listKeys(prefix?: string): Promise<string[]>;
  /** Keys of all open multipart uploads, or of those of one key. */
  listOpenUploads(key?: string): Promise<string[]>;
  abortOpenUploads(): Promise<void>;
  deleteObjects(keys: readonly string[]): Promise<void>;
}

/** Makes the bucket and looks into it. */
export async function createBucket(server: S3Server, bucket: string): Promise<BucketView> {
  const client = createS3Client(server);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return viewBucket(client, bucket);
}

function viewBucket(client: S3Client, bucket: string): BucketView {
  return {
    bucket,
    client,
    async readHash(key) {
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of await readObject(client, bucket, key)) {
        hash.update(chunk);
        size += chunk.length;
      }
      return { sha256: hash.digest('hex'), size };
    },
    async readBytes(key) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await readObject(client, bucket, key)) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    head: (key) => client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' })),
    async listKeys(prefix = '') {
      const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
      return (page.Contents ?? []).map((entry) => entry.Key ?? '');
    },
    listOpenUploads: async (key = '') => (await listUploads(client, bucket, key)).map((upload) => upload.Key ?? ''),
    async deleteObjects(keys) {
      await Promise.all(keys.map((key) => client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))));
    },
    async abortOpenUploads() {
      const uploads = await listUploads(client, bucket, '');
      await Promise.all(
        uploads.map(({ Key, UploadId }) =>
          client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })),
        ),
      );
    },
  };
}

async function readObject(client: S3Client, bucket: string, key: string): Promise<AsyncIterable<Uint8Array>> {
  const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  if (answer.Body === undefined) throw new Error(`no body for ${key}`);
  return answer.Body.transformToWebStream();
}

async function listUploads(client: S3Client, bucket: string, prefix: string): Promise<MultipartUpload[]> {
  return (await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }))).Uploads ?? [];
}
