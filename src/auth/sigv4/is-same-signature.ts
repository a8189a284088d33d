// Compares signatures in a time that says nothing about where they differ.
import { timingSafeEqual } from 'node:crypto';

const hexBytes = 64;
/** Used again and again: a body in chunks has thousands of signatures. */
const expectedBytes = Buffer.alloc(hexBytes);
const presentedBytes = Buffer.alloc(hexBytes);

/** @param expected 64 digits in lower-case hex. @param presented anything. */
export function isSameSignature(expected: string, presented: string): boolean {
  expectedBytes.write(expected, 'latin1');
  // Not whole: what is shorter, and what ends in a letter whose bytes do not all fit in.
  const isWhole = presented.length === hexBytes && presentedBytes.write(presented, 'utf8') === hexBytes;
  return isWhole && timingSafeEqual(expectedBytes, presentedBytes);
}
