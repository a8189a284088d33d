// HMAC-SHA-256 with one key for many short messages, without an object of the crypto library for each.
import { hash } from 'node:crypto';

const blockBytes = 64;
const digestBytes = 32;

/**
 * RFC 2104, section 2: H(K xor opad, H(K xor ipad, message)), both padded keys prepared once. Half the cost of `createHmac`
 * for a message of a few lines, as measured on Node 22.
 * @param key at most one block of 64 bytes.
 * @param maxMessageBytes longest message that will be given.
 * @returns from an ASCII message to its digest in lower-case hex.
 */
export function createHmacSha256(key: Buffer, maxMessageBytes: number): (message: string) => string {
  if (key.length > blockBytes) throw new RangeError('the key is longer than a block');
  const inner = Buffer.alloc(blockBytes + maxMessageBytes, 0);
  const outer = Buffer.alloc(blockBytes + digestBytes, 0);
  for (let i = 0; i < blockBytes; i++) {
    inner[i] = (key[i] ?? 0) ^ 0x36;
    outer[i] = (key[i] ?? 0) ^ 0x5c;
  }
  return (message) => {
    if (message.length > maxMessageBytes) throw new RangeError('the message is longer than was said');
    const end = blockBytes + inner.write(message, blockBytes, 'latin1');
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), blockBytes, 'latin1');
    return hash('sha256', outer, 'hex');
  };
}
