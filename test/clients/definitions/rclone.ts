// rclone, configured by its environment alone.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { folderOf, metadataWords, type Client, type Session, type Upload } from '../client.ts';
import { goProgramVersion } from '../find-client.ts';

const at = ({ target }: Session, { key }: Upload): string => `target:${target.bucket}/${key}`;
const flags = ['--s3-no-check-bucket', '--s3-no-head'];
const about = (upload: Upload): string[] => [
  '--header-upload',
  `Content-Type: ${upload.contentType}`,
  ...metadataWords(upload, (name, value) => ['--header-upload', `x-amz-meta-${name}: ${value}`]),
];

function rclone(session: Session, args: readonly string[], stdin?: string): Promise<string> {
  const { endpoint, accessKey, secretKey, region } = session.target;
  const settings = {
    TYPE: 's3',
    PROVIDER: 'Other',
    ENDPOINT: endpoint,
    ACCESS_KEY_ID: accessKey,
    SECRET_ACCESS_KEY: secretKey,
    REGION: region,
  };
  const env = Object.entries(settings).map(([name, value]) => [`RCLONE_CONFIG_TARGET_${name}`, value]);
  return session.run('rclone', [...args, ...flags, '--retries', '1'], {
    env: { RCLONE_CONFIG: path.join(session.home, 'rclone.conf'), ...Object.fromEntries(env) },
    ...(stdin === undefined ? {} : { stdin }),
  });
}

export const rcloneClient: Client = {
  name: 'rclone',
  version: goProgramVersion('rclone'),
  settings: `${flags.map((flag) => `\`${flag}\``).join(', ')}; \`copy\` also \`--no-check-dest\``,
  ways: [
    {
      name: 'rclone copyto',
      sends: { contentType: true, metadata: true },
      upload: (session, upload) => rclone(session, ['copyto', ...about(upload), upload.file, at(session, upload)]),
    },
    {
      name: 'rclone copyto --s3-upload-cutoff 10M',
      bodies: ['large'],
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: (session, upload) =>
        rclone(session, ['copyto', '--s3-upload-cutoff', '10M', ...about(upload), upload.file, at(session, upload)]),
    },
    {
      name: 'rclone copy',
      bodies: ['small'],
      sends: { contentType: true, metadata: true },
      async upload(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        const destination = at(session, { ...upload, key: prefix });
        await rclone(session, ['copy', '--no-check-dest', ...about(upload), folder, destination]);
      },
    },
    {
      name: 'rclone rcat --size',
      sends: { contentType: true, metadata: true },
      async upload(session, upload) {
        const { size } = await stat(upload.file);
        await rclone(session, ['rcat', '--size', String(size), ...about(upload), at(session, upload)], upload.file);
      },
    },
  ],
  refusals: [
    {
      name: 'rclone sync',
      async attempt(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        return rclone(session, ['sync', folder, at(session, { ...upload, key: prefix })]);
      },
    },
    { name: 'rclone ls', attempt: (session, upload) => rclone(session, ['ls', at(session, upload)]) },
    { name: 'rclone cat', attempt: (session, upload) => rclone(session, ['cat', at(session, upload)]) },
  ],
};
