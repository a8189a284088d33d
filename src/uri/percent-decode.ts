// Decodes percent-encoding once and strictly: what has no one meaning is refused, never repaired.
import { S3Error } from '../errors.ts';

/** Printable ASCII save `#` and `%`: these stand for themselves. */
const plain = /^[!"$&-~]*$/;
/**
 * What may stand unencoded: no space or control character, no `#` (it would begin a fragment, which a request-target does
 * not have: RFC 9112, section 3.2), and not U+FFFD, which is what the server makes of bytes that are not UTF-8.
 */
const mayStandRaw = /^[!"$-~\u0080-\ufffc\ufffe\uffff]*$/;

/**
 * @param raw part of a request-target as received. `+` stays `+`.
 * @throws S3Error InvalidURI for an escape that is cut short or not hexadecimal, and for bytes that are not UTF-8.
 */
export function percentDecode(raw: string): string {
  if (plain.test(raw)) return raw;
  if (!mayStandRaw.test(raw) || !raw.isWellFormed()) throw new S3Error('InvalidURI');
  try {
    // ECMA-262, section 19.2.6.5 (Decode): refuses overlong forms, surrogates and what is past U+10FFFF.
    return decodeURIComponent(raw);
  } catch (error) {
    throw new S3Error('InvalidURI', { cause: error });
  }
}
