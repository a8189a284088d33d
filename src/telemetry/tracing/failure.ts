// What a span says of a failure: a code, the kind of its cause, and nothing that the client has sent.
import { SpanStatusCode, type Span } from '@opentelemetry/api';
import { S3Error } from '../../errors.ts';
import { ClientGone } from '../../http.ts';
import { names } from './attributes.ts';

/** Codes and class names; never a sentence. */
const word = /^[A-Za-z0-9_.]{1,64}$/;
/** Calls of the operating system whose messages name an address, where those of the file system would name a key. */
const networkCalls: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo', 'read', 'write', 'shutdown', 'bind']);

/** @param endMs when it was known, since 1970. */
export function recordFailure(span: Span, error: unknown, endMs: number): void {
  const code = codeOf(error);
  const cause = error instanceof S3Error ? error.cause : error;
  const type = cause === undefined ? code : (ownCodeOf(cause) ?? nameOf(cause) ?? code);
  span.setAttribute(names.errorType, type);
  if (!isFault(error)) return;
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  const kind = nameOf(cause);
  if (kind === undefined) return;
  const message = messageOf(cause);
  span.addEvent(
    'exception',
    { [names.exceptionType]: kind, ...(message !== undefined && { [names.exceptionMessage]: message }) },
    endMs,
  );
}

/** A refusal is what the proxy is there for, and a client may leave: neither is a fault. */
export function isFault(error: unknown): boolean {
  if (error instanceof ClientGone) return false;
  return !(error instanceof S3Error) || (error.status >= 500 && error.status !== 501);
}

export function codeOf(error: unknown): string {
  if (error instanceof S3Error) return error.code;
  return error instanceof ClientGone ? 'ClientGone' : 'InternalError';
}

/** `ECONNREFUSED`, `SlowDown`, `ENOSPC`: of the system or of the backend. */
function ownCodeOf(cause: unknown): string | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' && word.test(code) ? code : undefined;
}

function nameOf(cause: unknown): string | undefined {
  return cause instanceof Error && word.test(cause.name) ? cause.name : undefined;
}

function messageOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('syscall' in cause) || !networkCalls.has(cause.syscall)) return undefined;
  return cause.message.slice(0, 256);
}
