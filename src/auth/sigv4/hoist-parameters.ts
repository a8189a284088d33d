// A presigned URL carries header fields in its query: puts them back among the header fields.
// Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters"; SDKs move every `x-amz-` field there.
import { S3Error } from '../../errors.ts';
import { RequestHeaders } from '../../http.ts';
import type { QueryParameter } from '../../uri/parse-query.ts';
import { isAuthParameter } from './read-signature.ts';

const isHoisted = /^x-amz-/i;
// RFC 9110, sections 5.6.2 and 5.5, without obs-text.
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const asciiText = /^[\t -~]*$/;

const announcement = 'x-amz-sdk-checksum-algorithm';
/** Of the empty body. */
const emptyChecksums: ReadonlyMap<string, string> = new Map([
  ['x-amz-checksum-crc32', 'AAAAAA=='],
  ['x-amz-checksum-crc32c', 'AAAAAA=='],
  ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA='],
  ['x-amz-checksum-sha1', '2jmj7l5rSw0yVb/vlWAYkK/YBwk='],
  ['x-amz-checksum-sha256', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
]);

/**
 * @returns the request's own fields, and the parameters that begin with `x-amz-`, their names in lower case; those of the
 * signature itself left out.
 * @throws S3Error InvalidArgument for a field that is given twice, or whose name or value cannot stand in a header.
 */
export function hoistParameters(headers: RequestHeaders, parameters: readonly QueryParameter[]): RequestHeaders {
  const hoisted = new Map<string, string>();
  for (const [givenName, value] of parameters) {
    if (!isHoisted.test(givenName)) continue;
    const name = givenName.toLowerCase();
    const field = headers.get(name);
    // The SDK for JavaScript 2 signs metadata in both places, and has them sent in both.
    if (field === value.trim() && !isAuthParameter(name)) continue;
    if (hoisted.has(name) || field !== undefined) throw invalidArgument(`${name} is given more than once.`);
    if (isAuthParameter(name)) continue;
    if (!token.test(name) || !asciiText.test(value)) {
      throw invalidArgument('A query parameter that stands for a header must be printable US-ASCII.');
    }
    hoisted.set(name, value.trim());
  }
  dropEmptyChecksums(hoisted);
  return dropBareAnnouncement(hoisted.size === 0 ? headers : new RequestHeaders([...headers, ...hoisted].flat()));
}

/**
 * Beside a signature in the header such a parameter would be dropped, and the client believe that it counts.
 * @throws S3Error InvalidArgument.
 */
export function refuseParameters(parameters: readonly QueryParameter[]): void {
  if (parameters.some(([name]) => isHoisted.test(name))) {
    throw invalidArgument('Query parameters that begin with x-amz- belong to presigned URLs; send them as headers.');
  }
}

/**
 * Since 2025 SDKs put a checksum into every presigned PUT. When the URL is made there is no body yet, so it is that of the
 * empty one, and whoever uploads by the URL has never promised it.
 */
function dropEmptyChecksums(hoisted: Map<string, string>): void {
  for (const [name, checksum] of emptyChecksums) if (hoisted.get(name) === checksum) hoisted.delete(name);
}

/** By an algorithm's name alone nothing was promised either: SDKs sign it where the URL's maker gives no checksum. */
function dropBareAnnouncement(headers: RequestHeaders): RequestHeaders {
  if (!headers.has(announcement)) return headers;
  for (const name of emptyChecksums.keys()) if (headers.has(name)) return headers;
  return new RequestHeaders([...headers].filter(([name]) => name !== announcement).flat());
}

function invalidArgument(detail: string): S3Error {
  return new S3Error('InvalidArgument', { detail });
}
