// A request's header fields as they go to the backend.
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../http.ts';
import { goesToBackend, isCommand, isUnknownChecksum, metadataPrefix } from '../object-fields.ts';
import type { ObjectHeaders } from '../storage/storage.ts';

export type ScreenedOperation =
  'PutObject' | 'CreateMultipartUpload' | 'UploadPart' | 'CompleteMultipartUpload' | 'ListParts';

/** Fields that are lists (RFC 9110, section 5.3), and metadata, of which S3 says that duplicates are joined with commas. */
const mayBeJoined: ReadonlySet<string> = new Set(['cache-control', 'content-encoding', 'content-language']);
/** Names without their prefix, and values: Amazon S3 User Guide, "Working with object metadata". */
const maxMetadataBytes = 2048;
/** The server has put U+FFFD where a value was not UTF-8, so that it could not be passed on as it was. */
const asciiText = /^[\t -~]*$/;
// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/**
 * @returns names in lower case, in the order received.
 * @throws S3Error InvalidRequest for a value that is not printable US-ASCII (other text is sent as an encoded word of RFC 2047
 * and passed on as such), for a field given twice that is no list, and for an unknown checksum; MetadataTooLarge past 2 KiB;
 * NotImplemented for an If-None-Match other than `*`, and for metadata by which a backend does more than store.
 */
export function screenObjectHeaders(operation: ScreenedOperation, headers: RequestHeaders): ObjectHeaders {
  const screened = new Map<string, string>();
  let metadataBytes = 0;
  for (const [name, received] of headers) {
    // No digest that a client asks to be checked is let go unchecked.
    if (isUnknownChecksum(operation, name))
      throw invalidRequest('The algorithm in an x-amz-checksum- header is not known.');
    if (!goesToBackend(operation, name)) continue;
    checkField(name, received);
    const isMetadata = name.startsWith(metadataPrefix);
    const value = name === 'content-encoding' ? withoutAwsChunked(received) : received;
    // Of an empty type MinIO makes what the key ends in, and of none what S3 does.
    if (value === '' && (received !== '' || name === 'content-type')) continue;
    if (isMetadata) metadataBytes += name.length - metadataPrefix.length + value.length;
    const earlier = screened.get(name);
    if (earlier === undefined) screened.set(name, value);
    else if (isMetadata || mayBeJoined.has(name)) screened.set(name, `${earlier}, ${value}`);
    else throw invalidRequest(`The header ${name} is given more than once.`);
  }
  if (metadataBytes > maxMetadataBytes) throw new S3Error('MetadataTooLarge');
  return screened;
}

/** That coding is of the request and not of the object, which is stored without it. */
function withoutAwsChunked(codings: string): string {
  if (!/aws-chunked/i.test(codings)) return codings;
  const kept = codings.split(',').map((coding) => coding.trim());
  return kept.filter((coding) => coding !== '' && coding.toLowerCase() !== 'aws-chunked').join(', ');
}

function checkField(name: string, value: string): void {
  if (!asciiText.test(value) || !token.test(name)) {
    throw invalidRequest(
      'Header values must be printable US-ASCII; other text may be sent as encoded words (RFC 2047).',
    );
  }
  if (isCommand(name)) {
    throw new S3Error('NotImplemented', {
      detail: `The header ${name} that you provided implies functionality that is not implemented.`,
    });
  }
  // API reference of PutObject and CompleteMultipartUpload, If-None-Match: "Expects the '*' character."
  if (name === 'if-none-match' && value !== '*') {
    throw new S3Error('NotImplemented', { detail: 'If-None-Match takes * only.' });
  }
}

function invalidRequest(detail: string): S3Error {
  return new S3Error('InvalidRequest', { detail });
}
