// MinIO's command line.
import {
  checksumAlgorithms,
  folderOf,
  metadataWords,
  type Client,
  type Session,
  type Upload,
  type Way,
} from '../client.ts';
import { goProgramVersion } from '../find-client.ts';

const alias = 'target';
const at = ({ target }: Session, { key }: Upload): string => `${alias}/${target.bucket}/${key}`;
const attributes = (upload: Upload): string =>
  [`Content-Type=${upload.contentType}`, ...metadataWords(upload, (name, value) => [`${name}=${value}`])].join(';');

function mc(session: Session, args: readonly string[], stdin?: string): Promise<string> {
  const { endpoint, accessKey, secretKey } = session.target;
  const url = new URL(endpoint);
  [url.username, url.password] = [accessKey, secretKey];
  return session.run('mc', ['--quiet', ...args], {
    env: { [`MC_HOST_${alias}`]: url.href.replace(/\/$/u, '') },
    ...(stdin === undefined ? {} : { stdin }),
  });
}

export const minioClient: Client = {
  name: 'mc',
  version: goProgramVersion('mc').replace(
    /^.*-(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)\d{6}-/u,
    '$<year>-$<month>-$<day>, ',
  ),
  settings: '',
  ways: [
    {
      name: 'mc cp',
      sends: { contentType: true, metadata: true },
      sendsParts: true,
      upload: (session, upload) => mc(session, ['cp', '--attr', attributes(upload), upload.file, at(session, upload)]),
    },
    {
      name: 'mc cp --recursive',
      bodies: ['small'],
      sends: { contentType: true, metadata: true },
      async upload(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        const destination = at(session, { ...upload, key: prefix });
        await mc(session, ['cp', '--recursive', '--attr', attributes(upload), `${folder}/`, destination]);
      },
    },
    // By http in signed chunks with a signed trailer; by https with an unsigned trailer.
    ...checksumAlgorithms.map((checksum): Way => ({
      name: `mc cp --checksum ${checksum}`,
      label: '`mc cp` with each `--checksum`',
      bodies: ['small'],
      sends: { contentType: true, metadata: true, checksum },
      upload: (session, upload) =>
        mc(session, ['cp', '--checksum', checksum, '--attr', attributes(upload), upload.file, at(session, upload)]),
    })),
    {
      name: 'mc put --checksum CRC32C',
      label: '`mc put --checksum`',
      bodies: ['small', 'large'],
      sends: { checksum: 'CRC32C' },
      sendsParts: true,
      upload: (session, upload) => mc(session, ['put', '--checksum', 'CRC32C', upload.file, at(session, upload)]),
    },
    {
      name: 'mc put',
      sends: {},
      sendsParts: true,
      upload: (session, upload) => mc(session, ['put', upload.file, at(session, upload)]),
    },
    {
      name: 'mc pipe',
      // The content type among the attributes does not reach the wire.
      sends: { metadata: true, checksum: 'CRC32C' },
      sendsParts: true,
      upload: (session, upload) =>
        mc(session, ['pipe', '--attr', attributes(upload), at(session, upload)], upload.file),
    },
  ],
  refusals: [
    {
      name: 'mc mirror',
      async attempt(session, upload) {
        const { folder, prefix } = await folderOf(session, upload);
        return mc(session, ['mirror', folder, at(session, { ...upload, key: prefix })]);
      },
    },
    { name: 'mc ls', attempt: (session, upload) => mc(session, ['ls', at(session, upload)]) },
    { name: 'mc cat', attempt: (session, upload) => mc(session, ['cat', at(session, upload)]) },
  ],
};
