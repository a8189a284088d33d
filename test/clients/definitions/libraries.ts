// The S3 libraries of four languages, each used by a program in programs/ that takes the same JSON.
import path from 'node:path';
import { checksumAlgorithms, type Client, type Session, type Upload, type Way } from '../client.ts';
import { goModuleVersion, npmVersion, pythonVersion, type ClientProgram } from '../find-client.ts';
import type { Job } from '../programs/job.ts';

type Ask = (session: Session, upload: Upload, how: Pick<Job, 'way' | 'checksum'>) => Promise<string>;

/** @param script below programs/; none where the program needs no script. */
const asker =
  (program: ClientProgram, script?: string): Ask =>
  async (session, upload, how) => {
    const job: Job = { ...upload, bucket: session.target.bucket, ...how };
    const scriptArgs = script === undefined ? [] : [path.join(import.meta.dirname, '../programs', script)];
    return session.run(program, [...scriptArgs, JSON.stringify(job)]);
  };

/** The way of that name in the program. */
const waysOf =
  (ask: Ask) =>
  (name: string, properties: Partial<Way> = {}): Way => ({
    name,
    sends: { contentType: true, metadata: true },
    ...properties,
    upload: (session, upload) => ask(session, upload, { way: name }),
  });

const about = { contentType: true, metadata: true } as const;

const askBoto3 = asker('python', 'boto3-uploads.py');
const boto3Way = waysOf(askBoto3);
export const boto3: Client = {
  name: 'boto3',
  version: `${pythonVersion('boto3')}, awscrt ${pythonVersion('awscrt')}`,
  settings: '`signature_version="s3v4"` for presigned URLs',
  ways: [
    boto3Way('put_object, bytes', { label: '`put_object`', sends: { ...about, checksum: 'CRC32' } }),
    boto3Way('put_object, file', { label: '`put_object`', sends: { ...about, checksum: 'CRC32' } }),
    ...checksumAlgorithms.map((checksum): Way => ({
      name: `put_object, ChecksumAlgorithm ${checksum}`,
      label: '`put_object` with each `ChecksumAlgorithm`',
      bodies: ['empty', 'small'],
      sends: { ...about, checksum },
      upload: (session, upload) => askBoto3(session, upload, { way: 'put_object, checksum', checksum }),
    })),
    boto3Way('upload_file', { sends: { ...about, checksum: 'CRC32' }, sendsParts: true }),
    boto3Way('upload_fileobj', { sends: { ...about, checksum: 'CRC32' }, sendsParts: true }),
    // The CRT sends nothing over http to an endpoint of one's own.
    boto3Way('upload_file, CRT', {
      label: '`upload_file` through the CRT (https only)',
      schemes: ['https'],
      sends: { ...about, checksum: 'CRC32' },
      sendsParts: true,
    }),
    boto3Way('presigned put_object', { label: 'presigned `put_object`' }),
    boto3Way('presigned upload_part', { label: 'presigned `upload_part`', sendsParts: true }),
  ],
  refusals: [{ name: 'get_object', attempt: (session, upload) => askBoto3(session, upload, { way: 'get_object' }) }],
};

const askAwsSdk = asker('node', 'aws-sdk-uploads.ts');
const awsSdkWay = waysOf(askAwsSdk);
export const awsSdkForJavaScript: Client = {
  name: 'AWS SDK for JavaScript',
  version: npmVersion('@aws-sdk/client-s3'),
  settings: '',
  ways: [
    awsSdkWay('PutObject, Buffer', { label: '`PutObject`', sends: { ...about, checksum: 'CRC32' } }),
    awsSdkWay('PutObject, stream', { label: '`PutObject`', sends: { ...about, checksum: 'CRC32' } }),
    awsSdkWay('lib-storage Upload', {
      label: '`Upload` of lib-storage',
      sends: { ...about, checksum: 'CRC32' },
      sendsParts: true,
    }),
    awsSdkWay('presigned PutObject', { label: 'presigned `PutObject`' }),
  ],
  refusals: [{ name: 'GetObject', attempt: (session, upload) => askAwsSdk(session, upload, { way: 'GetObject' }) }],
};

const askGo = asker('go-uploads');
const goWay = waysOf(askGo);
export const awsSdkForGo: Client = {
  name: 'AWS SDK for Go v2',
  version: ['service/s3', 'feature/s3/manager', 'feature/s3/transfermanager']
    .map((name) => `${path.basename(name)} ${goModuleVersion(`github.com/aws/aws-sdk-go-v2/${name}`)}`)
    .join(', '),
  settings: '',
  ways: [
    goWay('PutObject', { sends: { ...about, checksum: 'CRC32' } }),
    goWay('manager.Uploader', {
      label: '`manager.Uploader`',
      sends: { ...about, checksum: 'CRC32' },
      sendsParts: true,
    }),
    goWay('transfermanager', { sends: { ...about, checksum: 'CRC32' }, sendsParts: true }),
    goWay('presigned PutObject', { label: 'presigned `PutObject`' }),
  ],
  refusals: [{ name: 'GetObject', attempt: (session, upload) => askGo(session, upload, { way: 'GetObject' }) }],
};

const minioPut = '`putObject` and `fPutObject` up to the part size of 64 MiB';
const askMinio = asker('node', 'minio-uploads.ts');
const minioWay = waysOf(askMinio);
export const minioJs: Client = {
  name: 'minio-js',
  version: npmVersion('minio'),
  settings: '',
  ways: [
    minioWay('putObject, Buffer', { label: minioPut }),
    minioWay('fPutObject', { label: minioPut }),
    minioWay('presignedPutObject', { sends: { contentType: true } }),
  ],
  refusals: [
    {
      // It lists the open uploads of the bucket, to go on with one.
      name: 'putObject of a stream of unknown length',
      label: '`putObject` of more or of unknown length',
      attempt: (session, upload) => askMinio(session, upload, { way: 'putObject, stream' }),
    },
    { name: 'getObject', attempt: (session, upload) => askMinio(session, upload, { way: 'getObject' }) },
  ],
};
