// The documents that answer successful requests.
// Source: Amazon S3 API Reference, response syntax of each operation.
import type { PartsPage } from '../../storage/storage.ts';
import { checksumAlgorithms } from '../body/verify.ts';
import { checksumElements } from './checksum-elements.ts';
import { element, escapeXml, optionalElement, xmlDeclaration } from './escape-xml.ts';

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** The object as the client names it: nothing here is the backend's. */
export interface ClientObject {
  readonly bucket: string;
  readonly key: string;
}

export interface ClientUpload extends ClientObject {
  readonly uploadId: string;
}

export function writeInitiateMultipartUploadResult({ bucket, key, uploadId }: ClientUpload): string {
  return document(
    'InitiateMultipartUploadResult',
    element('Bucket', bucket) + element('Key', key) + element('UploadId', uploadId),
  );
}

export interface CompletedObject extends ClientObject {
  /** The object's address at the proxy. */
  readonly location: string;
  readonly etag: string;
  /** What the backend said of the object, names in lower case: its checksums and their type stand in the document too. */
  readonly headers?: ReadonlyMap<string, string>;
}

export function writeCompleteMultipartUploadResult({ location, bucket, key, etag, headers }: CompletedObject): string {
  const checksums = checksumAlgorithms.map((algorithm) =>
    optionalElement(checksumElements[algorithm], headers?.get(`x-amz-checksum-${algorithm}`)),
  );
  return document(
    'CompleteMultipartUploadResult',
    element('Location', location) +
      element('Bucket', bucket) +
      element('Key', key) +
      element('ETag', etag) +
      checksums.join('') +
      optionalElement('ChecksumType', headers?.get('x-amz-checksum-type')),
  );
}

export interface PartsListing extends ClientUpload, PartsPage {
  /** As the client asked for it. */
  readonly maxParts: number;
  readonly partNumberMarker: number;
}

export function writeListPartsResult(listing: PartsListing): string {
  return document(
    'ListPartsResult',
    element('Bucket', listing.bucket) +
      element('Key', listing.key) +
      element('UploadId', listing.uploadId) +
      element('PartNumberMarker', listing.partNumberMarker) +
      optionalElement('NextPartNumberMarker', listing.nextPartNumberMarker) +
      element('MaxParts', listing.maxParts) +
      element('IsTruncated', listing.isTruncated) +
      listing.parts.map(partXml).join('') +
      optionalElement('StorageClass', listing.storageClass) +
      optionalElement('ChecksumAlgorithm', listing.checksumAlgorithm) +
      optionalElement('ChecksumType', listing.checksumType),
  );
}

/** @param region of the bucket; `us-east-1` is written as nothing (API reference of GetBucketLocation). */
export function writeLocationConstraint(region: string): string {
  return document('LocationConstraint', region === 'us-east-1' ? '' : escapeXml(region));
}

function partXml({ partNumber, etag, size, lastModified, checksums }: PartsPage['parts'][number]): string {
  const content =
    element('PartNumber', partNumber) +
    element('LastModified', lastModified.toISOString()) +
    element('ETag', etag) +
    element('Size', size) +
    checksums.map(([algorithm, base64]) => element(checksumElements[algorithm], base64)).join('');
  return `<Part>${content}</Part>`;
}

function document(root: string, content: string): string {
  return `${xmlDeclaration}<${root} xmlns="${namespace}">${content}</${root}>`;
}
