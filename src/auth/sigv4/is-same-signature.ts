// Compares signatures in a time that says nothing about where they differ.
import { timingSafeEqual } from 'node:crypto';

const hexBytes = 64;
/** Used again and again: a body in chunks has thousands of signatures. */
const expectedBytes = Buffer.alloc(hexBytes);
const presentedBytes = Buffer.alloc(hexBytes);

/** @param expected 64 digits in lower-case hex. @param presented anything. */
export function isSameSignature(expected: string, presented: string): boolean {
  if (presented.length !== hexBytes) return false;
  expectedBytes.write(expected, 'latin1');
  // What is not ASCII becomes bytes that no digit is.
  presentedBytes.write(presented, 'utf8');
  return timingSafeEqual(expectedBytes, presentedBytes);
}
