// The text of a file that somebody has written: UTF-8, with or without a byte order mark.
import { isUtf8 } from 'node:buffer';
import { ConfigError } from './config-error.ts';

/** @param path names the file in the error. @throws ConfigError when the bytes are not UTF-8. */
export function decodeText(bytes: Buffer, path: string): string {
  // UTF-16 without a mark can be valid UTF-8; then every other byte is zero.
  if (!isUtf8(bytes) || bytes.includes(0))
    throw new ConfigError(path, [{ path: '', message: 'the file is not UTF-8 text; save it as UTF-8' }]);
  return new TextDecoder().decode(bytes);
}
