// Our own arms that verify the body: against a checksum in the header, a signed hash, signed chunks, or a trailer.
import type { Arm } from '../arm.ts';
import { bodyDigest, type DigestName } from '../body-digest.ts';
import { accessKey, bearerToken, region, secretKey } from '../credentials.ts';
import { signUpload, type SignedForm } from '../sign-upload.ts';
import { createMizuchi, withToken } from './create-mizuchi.ts';

const kib = 2 ** 10;

const withChecksum = (algorithm: DigestName): Arm =>
  createMizuchi({
    name: `mizuchi+${algorithm}`,
    note: `mizuchi, with \`x-amz-checksum-${algorithm}\` sent by the client and verified`,
    digests: [algorithm],
    request: (_place, body) => {
      const digest = bodyDigest(body, algorithm).toString('base64');
      return withToken(bearerToken(), `x-amz-checksum-${algorithm}: ${digest}`);
    },
  });

export const checksumArms = (['crc32', 'crc32c', 'crc64nvme', 'sha256'] as const).map(withChecksum);

function digestsOf(form: SignedForm): readonly DigestName[] {
  if (form.kind !== 'chunks') return form.kind === 'hash' ? ['sha256'] : [];
  return [...(form.isSigned ? ['sha256' as const] : []), ...(form.trailer ? [form.trailer] : [])];
}

const signed = (name: string, note: string, form: SignedForm): Arm =>
  createMizuchi({
    name,
    note,
    digests: digestsOf(form),
    auth: { sigv4: { access_key: accessKey, secret_key: secretKey, region } },
    request: ({ port }, body) => signUpload(`127.0.0.1:${port}`, body, form),
  });

const inChunks = (isSigned: boolean, chunkBytes: number, trailer?: 'crc32' | 'crc32c' | 'crc64nvme'): Arm => {
  const size = chunkBytes < kib * kib ? `${chunkBytes / kib}k` : `${chunkBytes / kib / kib}m`;
  const name = isSigned ? `sigv4-chunks-${size}${trailer ? `+${trailer}` : ''}` : `trailer-${trailer}-${size}`;
  const hash = `STREAMING-${isSigned ? 'AWS4-HMAC-SHA256' : 'UNSIGNED'}-PAYLOAD${trailer ? '-TRAILER' : ''}`;
  const note = `signed by the client with SigV4, \`${hash}\` in chunks of ${chunkBytes / kib} KiB${trailer ? ` and a trailing ${trailer}` : ''}`;
  return signed(name, note, { kind: 'chunks', chunkBytes, isSigned, ...(trailer && { trailer }) });
};

export const signedArms = [
  signed('sigv4-unsigned', 'signed by the client with SigV4, `UNSIGNED-PAYLOAD`', { kind: 'unsigned' }),
  signed('sigv4-hash', 'signed by the client with SigV4, the payload by its SHA-256 in `x-amz-content-sha256`', {
    kind: 'hash',
  }),
  inChunks(true, 64 * kib),
  inChunks(true, kib * kib),
  inChunks(true, 64 * kib, 'crc32'),
  inChunks(false, 64 * kib, 'crc32'),
  inChunks(false, kib * kib, 'crc32'),
  inChunks(false, 64 * kib, 'crc32c'),
  inChunks(false, 64 * kib, 'crc64nvme'),
];
