// Header fields that clients of a bucket must not send, though they would go to the backend.
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../http.ts';
import { goesToBackend } from '../object-fields.ts';
import type { Operation } from '../routing/operation.ts';

/** @param headers as the client sent them. @throws S3Error AccessDenied, naming the field. */
export type HeaderCheck = (operation: Operation['name'], headers: RequestHeaders) => void;

/** @param patterns names in lower case, or beginnings of names and `*`. */
export function createHeaderCheck(patterns: readonly string[]): HeaderCheck {
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const starts = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (operation, headers) => {
    if (patterns.length === 0) return;
    for (const [name, value] of headers) {
      if (!names.has(name) && !starts.some((start) => name.startsWith(start))) continue;
      if (!goesToBackend(operation, name) || isFraming(name, value)) continue;
      throw new S3Error('AccessDenied', { detail: `This bucket does not take the header ${name}.` });
    }
  };
}

/** Of the request, of which nothing goes to the backend. */
function isFraming(name: string, value: string): boolean {
  return name === 'content-encoding' && value.toLowerCase() === 'aws-chunked';
}
