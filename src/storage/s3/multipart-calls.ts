// Opening, listing and giving up multipart uploads, and asking whether a bucket is there: the SDK's calls in the port's words.
import { S3Error } from '../../errors.ts';
import type { ChecksumAlgorithm, ListedPart, PartsPage, Storage } from '../storage.ts';
import type { ControlClient } from './control-client.ts';
import { pickShownHeaders } from './header-field.ts';
import { BackendRefusal } from './to-s3-error.ts';

type MultipartCalls = Pick<Storage, 'createMultipartUpload' | 'abortMultipartUpload' | 'listParts' | 'checkReady'>;

const noHeaders: ReadonlyMap<string, string> = new Map();

export function createMultipartCalls(client: ControlClient): MultipartCalls {
  return {
    async createMultipartUpload({ bucket, key }, headers, signal, trace) {
      const answer = await client.call({
        command: (sdk) => new sdk.CreateMultipartUploadCommand({ Bucket: bucket, Key: key }),
        headers,
        signal,
        trace,
      });
      const uploadId = answer.output.UploadId;
      if (uploadId === undefined || uploadId === '') throw unusable('an upload without an id');
      return { uploadId, headers: pickShownHeaders(answer.headers) };
    },

    async abortMultipartUpload({ bucket, key, uploadId }, signal, trace) {
      await client.call({
        command: (sdk) => new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }),
        headers: noHeaders,
        signal,
        trace,
      });
    },

    async listParts({ bucket, key, uploadId }, { maxParts, partNumberMarker }, headers, signal, trace) {
      const input = { Bucket: bucket, Key: key, UploadId: uploadId, MaxParts: maxParts };
      const { output } = await client.call({
        command: (sdk) => new sdk.ListPartsCommand({ ...input, PartNumberMarker: String(partNumberMarker) }),
        headers,
        signal,
        trace,
      });
      const isTruncated = output.IsTruncated ?? false;
      const nextPartNumberMarker = isTruncated ? Number(output.NextPartNumberMarker) : undefined;
      if (Number.isNaN(nextPartNumberMarker)) throw unusable('a list that does not say where it goes on');
      return {
        parts: (output.Parts ?? []).map(toListedPart),
        isTruncated,
        nextPartNumberMarker,
        storageClass: output.StorageClass,
        checksumAlgorithm: output.ChecksumAlgorithm,
        checksumType: output.ChecksumType,
      } satisfies PartsPage;
    },

    async checkReady(bucket, signal) {
      try {
        const command = (sdk: typeof import('@aws-sdk/client-s3')) => new sdk.HeadBucketCommand({ Bucket: bucket });
        await client.call({ command, headers: noHeaders, signal });
      } catch (error) {
        if (!(error instanceof S3Error) || error.code !== 'AccessDenied') throw error;
        await checkMayUpload(client, bucket, signal);
      }
    },
  };
}

/**
 * HeadBucket asks for s3:ListBucket, which credentials for uploads alone need not have, and says no more than 403. To give up
 * an upload that does not exist changes nothing, asks for a right that an uploader has, and is answered with a code.
 */
async function checkMayUpload(client: ControlClient, bucket: string, signal: AbortSignal): Promise<void> {
  const input = { Bucket: bucket, Key: 'mizuchi-readiness', UploadId: 'none' };
  try {
    const command = (sdk: typeof import('@aws-sdk/client-s3')) => new sdk.AbortMultipartUploadCommand(input);
    await client.call({ command, headers: noHeaders, signal });
  } catch (error) {
    if (!(error instanceof S3Error) || error.code !== 'NoSuchUpload') throw error;
  }
}

function toListedPart(part: import('@aws-sdk/client-s3').Part): ListedPart {
  const { PartNumber: partNumber, ETag: etag, Size: size, LastModified: lastModified } = part;
  if (partNumber === undefined || etag === undefined || size === undefined) throw unusable('a part without its number');
  const checksums: readonly (readonly [ChecksumAlgorithm, string | undefined])[] = [
    ['crc32', part.ChecksumCRC32],
    ['crc32c', part.ChecksumCRC32C],
    ['crc64nvme', part.ChecksumCRC64NVME],
    ['sha1', part.ChecksumSHA1],
    ['sha256', part.ChecksumSHA256],
  ];
  return {
    partNumber,
    etag,
    size,
    lastModified: lastModified ?? new Date(0),
    checksums: checksums.flatMap(([algorithm, value]) => (value === undefined ? [] : [[algorithm, value] as const])),
  };
}

function unusable(what: string): S3Error {
  const cause = new BackendRefusal({
    status: 200,
    code: undefined,
    message: `the backend answered ${what}`,
    header: () => undefined,
  });
  return new S3Error('ServiceUnavailable', { cause, retryable: true });
}
