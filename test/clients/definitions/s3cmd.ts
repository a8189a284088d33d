// s3cmd, without a configuration file.
import { folderOf, metadataWords, type Client, type Session, type Upload } from '../client.ts';
import { pythonVersion } from '../find-client.ts';

const at = ({ target }: Session, { key }: Upload): string => `s3://${target.bucket}/${key}`;
const about = (upload: Upload): string[] => [
  `--mime-type=${upload.contentType}`,
  ...metadataWords(upload, (name, value) => [`--add-header=x-amz-meta-${name}:${value}`]),
];

function s3cmd(session: Session, args: readonly string[], stdin?: string): Promise<string> {
  const { endpoint, accessKey, secretKey, region, caFile } = session.target;
  const { host } = new URL(endpoint);
  return session.run(
    's3cmd',
    [
      `--access_key=${accessKey}`,
      `--secret_key=${secretKey}`,
      `--host=${host}`,
      // Without %(bucket)s in it, addresses are path-style.
      `--host-bucket=${host}`,
      `--region=${region}`,
      ...(caFile === undefined ? ['--no-ssl'] : ['--ssl', `--ca-certs=${caFile}`]),
      '--no-progress',
      ...args,
    ],
    stdin === undefined ? {} : { stdin },
  );
}

export const s3cmdClient: Client = {
  name: 's3cmd',
  version: pythonVersion('s3cmd'),
  settings: '`--host-bucket` the same as `--host`',
  ways: [
    {
      name: 's3cmd put',
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: (session, upload) => s3cmd(session, ['put', ...about(upload), upload.file, at(session, upload)]),
    },
    {
      name: 's3cmd put --recursive',
      bodies: ['small'],
      sends: { contentType: true, metadata: true },
      async upload(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        const destination = at(session, { ...upload, key: `${prefix}/` });
        await s3cmd(session, ['put', '--recursive', ...about(upload), `${folder}/`, destination]);
      },
    },
    {
      name: 's3cmd put -',
      // Of nothing it makes a multipart upload without parts, which no S3 completes.
      bodies: ['small', 'large'],
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: (session, upload) => s3cmd(session, ['put', ...about(upload), '-', at(session, upload)], upload.file),
    },
  ],
  refusals: [
    {
      name: 's3cmd sync',
      async attempt(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        return s3cmd(session, ['sync', `${folder}/`, at(session, { ...upload, key: `${prefix}/` })]);
      },
    },
    { name: 's3cmd ls', attempt: (session, upload) => s3cmd(session, ['ls', at(session, upload)]) },
    { name: 's3cmd get', attempt: (session, upload) => s3cmd(session, ['get', at(session, upload), 'copy']) },
  ],
};
