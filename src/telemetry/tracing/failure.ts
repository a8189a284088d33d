// What a span says of a failure: a code, the kind of its cause, and nothing that the client has sent.
import { S3Error } from '../../errors.ts';
import { ClientGone } from '../../http.ts';
import { keys, names } from './attributes.ts';
import { encodeAttribute, type SpanWriter } from './span-writer.ts';

/** Codes and class names; never a sentence. */
const word = /^[A-Za-z0-9_.]{1,64}$/;
/** Calls of the operating system whose messages name an address, where those of the file system would name a key. */
const networkCalls: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo', 'read', 'write', 'shutdown', 'bind']);
/** Of an event, in a span. */
const eventAttributes = 3;

/** @param endMs when it was known, since 1970. */
export function writeFailure(writer: SpanWriter, error: unknown, endMs: number): void {
  const code = codeOf(error);
  const cause = error instanceof S3Error ? error.cause : error;
  const type = cause === undefined ? code : (ownCodeOf(cause) ?? nameOf(cause) ?? code);
  writer.text(keys.errorType, type);
  if (!isFault(error)) return;
  writer.failed(code);
  const kind = nameOf(cause);
  if (kind === undefined) return;
  const message = messageOf(cause);
  const attributes = [
    encodeAttribute(names.exceptionType, kind, eventAttributes),
    ...(message === undefined ? [] : [encodeAttribute(names.exceptionMessage, message, eventAttributes)]),
  ];
  writer.event('exception', endMs, Buffer.concat(attributes));
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
