// Compares signatures in a time that says nothing about where they differ.
import { timingSafeEqual } from 'node:crypto';

/** @param expected lower-case hex. @param presented anything. */
export function isSameSignature(expected: string, presented: string): boolean {
  const given = Buffer.from(presented);
  return given.length === expected.length && timingSafeEqual(Buffer.from(expected), given);
}
