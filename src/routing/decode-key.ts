// From the path's last part, as received, to the object's key: decoded once, and kept exactly so or refused.
import { S3Error } from '../errors.ts';
import { percentDecode } from '../uri/percent-decode.ts';

/** In bytes of UTF-8: Amazon S3 User Guide, "Naming Amazon S3 objects". */
const maxKeyBytes = 1024;
/** One UTF-16 code unit has at most three bytes of UTF-8. */
const surelyFits = Math.floor(maxKeyBytes / 3);

/** @throws S3Error InvalidURI (bad encoding, NUL, a `.` or `..` segment), KeyTooLongError. */
export function decodeKey(raw: string): string {
  const key = percentDecode(raw);
  checkKey(key);
  return key;
}

/** @throws S3Error as decodeKey. */
export function checkKey(key: string): void {
  if (key.length > surelyFits && Buffer.byteLength(key) > maxKeyBytes) throw new S3Error('KeyTooLongError');
  if (key.includes('\0')) throw new S3Error('InvalidURI', { detail: 'An object key must not hold a NUL character.' });
  if (hasDotSegment(key)) {
    throw new S3Error('InvalidURI', { detail: 'An object key must not hold . or .. as a path segment.' });
  }
}

/** Something on the way to the backend, or a reader of it, could take such a segment for a step in a tree. */
function hasDotSegment(key: string): boolean {
  if (!key.startsWith('.') && !key.includes('/.')) return false;
  return key.split('/').some((segment) => segment === '.' || segment === '..');
}
