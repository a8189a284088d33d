// Why a text is not a regular expression in RE2's syntax.
import { RE2JS } from 're2js';

/**
 * What is wrong with the pattern, or undefined. RE2 has no back-references and no look-around, so that matching takes linear
 * time. Source: github.com/google/re2/wiki/Syntax.
 */
export function findPatternFault(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `must be a regular expression in RE2's syntax: ${reason}`;
  }
}
