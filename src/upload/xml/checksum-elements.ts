// The names that checksums have in S3's documents.
import type { ChecksumAlgorithm } from '../../storage/storage.ts';

export const checksumElements: Readonly<Record<ChecksumAlgorithm, string>> = {
  crc32: 'ChecksumCRC32',
  crc32c: 'ChecksumCRC32C',
  crc64nvme: 'ChecksumCRC64NVME',
  sha1: 'ChecksumSHA1',
  sha256: 'ChecksumSHA256',
};
