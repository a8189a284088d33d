// The AWS command line.
import { readFile, copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  checksumAlgorithms,
  folderOf,
  metadataWords,
  type Client,
  type Session,
  type Upload,
  type Way,
} from '../client.ts';
import { pythonVersion } from '../find-client.ts';

const MiB = 1024 * 1024;
const urlOf = ({ target }: Session, { key }: Upload): string => `s3://${target.bucket}/${key}`;
const about = (upload: Upload): string[] => [
  '--content-type',
  upload.contentType,
  '--metadata',
  metadataWords(upload, (name, value) => [`${name}=${value}`]).join(','),
];
const at = ({ target }: Session, { key }: Upload): string[] => ['--bucket', target.bucket, '--key', key];

async function sendParts(session: Session, upload: Upload): Promise<void> {
  const s3api = (command: string, ...args: string[]): Promise<string> =>
    session.run('aws', ['s3api', command, ...at(session, upload), ...args, '--output', 'text']);
  const create = async (): Promise<string> =>
    (await s3api('create-multipart-upload', ...about(upload), '--query', 'UploadId')).trim();
  const body = await readFile(upload.file);
  const uploadId = await create();
  const parts: { PartNumber: number; ETag: string }[] = [];
  for (let start = 0; start < body.length; start += 24 * MiB) {
    const piece = path.join(session.home, `part-${start}`);
    await writeFile(piece, body.subarray(start, start + 24 * MiB));
    const PartNumber = parts.length + 1;
    const part = ['--part-number', String(PartNumber), '--upload-id', uploadId, '--body', piece];
    parts.push({ PartNumber, ETag: (await s3api('upload-part', ...part, '--query', 'ETag')).trim() });
  }
  const listed = await s3api('list-parts', '--upload-id', uploadId, '--query', 'Parts[].ETag');
  if (listed.trim().split(/\s+/u).join() !== parts.map(({ ETag }) => ETag).join())
    throw new Error(`list-parts says ${listed}`);
  await s3api(
    'complete-multipart-upload',
    '--upload-id',
    uploadId,
    '--multipart-upload',
    JSON.stringify({ Parts: parts }),
  );
  await s3api('abort-multipart-upload', '--upload-id', await create());
}

const aboutAll = { contentType: true, metadata: true, checksum: 'CRC32' } as const;
const s3 = (session: Session, command: string, ...args: string[]): Promise<string> =>
  session.run('aws', ['s3', command, '--no-progress', ...args]);

export const awsCli: Client = {
  name: 'aws-cli',
  version: pythonVersion('awscli'),
  settings: '',
  ways: [
    {
      name: 's3 cp',
      sends: aboutAll,
      sendsParts: true,
      upload: (session, upload) => s3(session, 'cp', ...about(upload), upload.file, urlOf(session, upload)),
    },
    {
      name: 's3 cp -',
      sends: aboutAll,
      sendsParts: true,
      upload: (session, upload) =>
        session.run('aws', ['s3', 'cp', ...about(upload), '-', urlOf(session, upload)], { stdin: upload.file }),
    },
    {
      name: 's3 cp --recursive',
      bodies: ['small'],
      sends: aboutAll,
      async upload(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        await s3(session, 'cp', '--recursive', ...about(upload), folder, `s3://${session.target.bucket}/${prefix}`);
      },
    },
    {
      name: 's3 mv',
      bodies: ['small'],
      sends: aboutAll,
      async upload(session, upload) {
        const copy = path.join(session.home, 'copy');
        await copyFile(upload.file, copy);
        await s3(session, 'mv', ...about(upload), copy, urlOf(session, upload));
      },
    },
    {
      name: 's3api put-object',
      sends: aboutAll,
      upload: (session, upload) =>
        session.run('aws', ['s3api', 'put-object', ...at(session, upload), ...about(upload), '--body', upload.file]),
    },
    ...checksumAlgorithms.map((checksum): Way => ({
      name: `s3api put-object --checksum-algorithm ${checksum}`,
      label: '`s3api put-object` with each `--checksum-algorithm`',
      bodies: ['small'],
      sends: { checksum },
      upload(session, upload) {
        const args = [...at(session, upload), '--checksum-algorithm', checksum, '--body', upload.file];
        return session.run('aws', ['s3api', 'put-object', ...args]);
      },
    })),
    {
      name: 's3api create-multipart-upload, upload-part, list-parts, complete- and abort-multipart-upload',
      label: 'the multipart calls of `s3api`',
      bodies: ['large'],
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: sendParts,
    },
  ],
  refusals: [
    {
      name: 's3 sync',
      async attempt(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        return s3(session, 'sync', folder, `s3://${session.target.bucket}/${prefix}`);
      },
    },
    { name: 's3 ls', attempt: (session, upload) => session.run('aws', ['s3', 'ls', urlOf(session, upload)]) },
    {
      name: 's3 cp from S3',
      label: 'downloads',
      attempt: (session, upload) => s3(session, 'cp', urlOf(session, upload), '-'),
    },
  ],
};
