// curl, which signs with --aws-sigv4.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { encodeKey } from '../../support/send-request.ts';
import { metadataWords, type Client, type Session, type Upload, type Way } from '../client.ts';
import { oldestCurl } from '../find-client.ts';

function curl(session: Session, upload: Upload, args: readonly string[]): Promise<string> {
  const { endpoint, accessKey, secretKey, region, bucket, caFile } = session.target;
  return session.run('curl', [
    '--silent',
    '--show-error',
    '--fail-with-body',
    ...(caFile === undefined ? [] : ['--cacert', caFile]),
    '--aws-sigv4',
    `aws:amz:${region}:s3`,
    '--user',
    `${accessKey}:${secretKey}`,
    ...args,
    `${endpoint}/${bucket}/${encodeKey(upload.key)}`,
  ]);
}

const put = (name: string, label: string, payloadHash: (upload: Upload) => string): Way => ({
  name,
  label,
  sends: { contentType: true, metadata: true },
  upload: (session, upload) =>
    curl(session, upload, [
      '--upload-file',
      upload.file,
      '--header',
      `x-amz-content-sha256: ${payloadHash(upload)}`,
      '--header',
      `Content-Type: ${upload.contentType}`,
      ...metadataWords(upload, (header, value) => ['--header', `x-amz-meta-${header}: ${value}`]),
    ]),
});

export const curlClient: Client = {
  name: 'curl',
  version: `${oldestCurl.join('.')} or newer`,
  settings: '`--aws-sigv4 aws:amz:REGION:s3`; a path that is percent-encoded as S3 does it',
  ways: [
    put('-T, unsigned payload', '`-T` with `x-amz-content-sha256: UNSIGNED-PAYLOAD`', () => 'UNSIGNED-PAYLOAD'),
    put('-T, signed payload', '`-T` with `x-amz-content-sha256:` and the hash of the body', ({ file }) =>
      createHash('sha256').update(readFileSync(file)).digest('hex'),
    ),
  ],
  refusals: [{ name: 'GET', attempt: (session, upload) => curl(session, upload, []) }],
};
