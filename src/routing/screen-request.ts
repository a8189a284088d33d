// Header fields that make a write something that is not done here, or that leave its length open.
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../http.ts';
import type { Operation } from './operation.ts';

/**
 * @throws S3Error NotImplemented (copies, appends, renames), AccessControlListNotSupported, InvalidRequest (Content-Length; what
 * belongs to aws-chunked framing where `x-amz-content-sha256` does not announce it), MissingContentLength.
 */
export function screenRequest(operation: Operation['name'], headers: RequestHeaders): void {
  let hasLength = false;
  let isChunked = false;
  let isAwsChunked = false;
  let ofAwsChunked: string | undefined;
  for (const [name, value] of headers) {
    switch (name) {
      case 'content-length':
        if (!/^\d{1,15}$/.test(value)) throw notANumberOfBytes();
        hasLength = true;
        break;
      case 'transfer-encoding':
        isChunked = true;
        break;
      case 'x-amz-copy-source':
      case 'x-amz-rename-source':
      case 'x-amz-write-offset-bytes':
        throw notImplemented(name);
      case 'x-amz-decoded-content-length':
      case 'x-amz-trailer':
        ofAwsChunked = name;
        break;
      case 'x-amz-content-sha256':
        isAwsChunked = value.startsWith('STREAMING-');
        break;
      case 'x-amz-acl':
        // What every object has where ACLs are off (Amazon S3 User Guide, "Controlling ownership of objects").
        if (value !== 'bucket-owner-full-control') throw new S3Error('AccessControlListNotSupported');
        break;
      default:
        if (name.startsWith('x-amz-grant-')) throw new S3Error('AccessControlListNotSupported');
    }
  }
  // Such a body is in framing, which would be stored as if it were content.
  if (ofAwsChunked !== undefined && !isAwsChunked) throw withoutFraming(ofAwsChunked);
  // x-amz-decoded-content-length is asked for where the framing is taken off.
  if (hasLength || isAwsChunked) return;
  // S3 needs a part's length before its first byte, and a part is not cut into smaller ones.
  if (operation === 'UploadPart' || (operation === 'PutObject' && !isChunked))
    throw new S3Error('MissingContentLength');
}

function notImplemented(header: string): S3Error {
  return new S3Error('NotImplemented', {
    detail: `The header ${header} that you provided implies functionality that is not implemented.`,
  });
}

function withoutFraming(header: string): S3Error {
  return new S3Error('InvalidRequest', {
    detail: `The header ${header} needs an x-amz-content-sha256 that begins with STREAMING-.`,
  });
}

function notANumberOfBytes(): S3Error {
  return new S3Error('InvalidRequest', { detail: 'Content-Length is not a number of bytes.' });
}
