// Percent-encoding as SigV4 asks for: RFC 3986 unreserved characters stay, everything else is encoded once, in upper case.
import { S3Error } from '../errors.ts';

const plainPath = /^[A-Za-z0-9\-._~/]*$/;
// encodeURIComponent leaves these five (and only these) that RFC 3986, section 2.2 reserves.
const leftByEncodeUriComponent = /[!'()*]/g;

/**
 * One query value or path segment; a slash is encoded too.
 * @throws S3Error InvalidURI for a string that has no UTF-8 form (a lone surrogate).
 */
export function percentEncode(text: string): string {
  let encoded: string;
  try {
    encoded = encodeURIComponent(text);
  } catch (error) {
    throw new S3Error('InvalidURI', { cause: error });
  }
  return encoded.replace(
    leftByEncodeUriComponent,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** An object key as a path: slashes are kept, whatever they surround. @throws S3Error InvalidURI as above. */
export function encodeKey(key: string): string {
  return plainPath.test(key) ? key : percentEncode(key).replaceAll('%2F', '/');
}
