// Which keys an S3 service keeps exactly as they are; the others are refused rather than stored under another name.
import { S3Error } from '../../errors.ts';

// Amazon S3 User Guide, "Naming Amazon S3 objects": 1,024 bytes of UTF-8.
const maxKeyBytes = 1024;

/**
 * @param keepsEmptySegments false where the service may drop a slash at the start of a key or merge several within: the policy
 *   has then allowed one key, and another would be written.
 * @returns a check that throws S3Error KeyTooLongError or InvalidArgument.
 */
export function createKeyCheck(keepsEmptySegments: boolean): (key: string) => void {
  return (key) => {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    if (key.length * 3 > maxKeyBytes && Buffer.byteLength(key) > maxKeyBytes) throw new S3Error('KeyTooLongError');
    if (!keepsEmptySegments && (key.startsWith('/') || key.includes('//'))) {
      throw new S3Error('InvalidArgument', {
        detail: 'The storage takes no key that starts with a slash or holds two in a row.',
      });
    }
  };
}
