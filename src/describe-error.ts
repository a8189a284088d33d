// A fault as the log tells of it: what it is and where, and nothing else that a library has hung on it, such as a request.
import { S3Error } from './errors.ts';
import { Fault } from './fault.ts';

export interface DescribedError {
  readonly type: string;
  readonly message: string;
  /** Of a Fault. */
  readonly detail?: string;
  readonly code?: string | number;
  readonly status?: number;
  /** The backend's own, which finds the request in its log. */
  readonly requestId?: string | number;
  readonly stack?: string;
  readonly cause?: DescribedError;
  /** Of an AggregateError. */
  readonly errors?: readonly DescribedError[];
}

const maxDepth = 5;
const maxErrors = 10;

/**
 * @param hidesDetails where lines shall hold no object key as it is: only what is known to hold none is told, which is our own
 * words and codes. A backend's answer, a path, what a library says of what it was given: each can hold one.
 */
export function describeError(error: unknown, hidesDetails: boolean, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: hidesDetails ? leftOut : String(error) };
  const { name: type, cause } = error;
  const { message, stack } = hidesDetails && !isOurs(error) ? withoutWords(error) : error;
  const detail = error instanceof Fault && !hidesDetails ? error.detail : undefined;
  const code = 'code' in error && isShort(error.code) ? error.code : undefined;
  const requestId = 'requestId' in error && isShort(error.requestId) ? error.requestId : undefined;
  const status = findStatus(error);
  const errors = error instanceof AggregateError ? error.errors.slice(0, maxErrors) : undefined;
  return {
    type,
    message,
    ...(detail !== undefined && { detail }),
    ...(code !== undefined && { code }),
    ...(status !== undefined && { status }),
    ...(requestId !== undefined && { requestId }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && depth < maxDepth && { cause: describeError(cause, hidesDetails, depth + 1) }),
    ...(errors !== undefined &&
      depth < maxDepth && { errors: errors.map((one: unknown) => describeError(one, hidesDetails, depth + 1)) }),
  };
}

const leftOut = 'left out, as it could hold an object key';

const isOurs = (error: Error): boolean => error instanceof Fault || error instanceof S3Error;

function withoutWords(error: Error): Pick<Error, 'message' | 'stack'> {
  const message = describeCall(error) ?? leftOut;
  const { stack = '' } = error;
  // The message may have been changed since the stack was taken, which then begins with the old one.
  const head = /^[\w.]*(?: \[\w+\])?(?:: )?/.exec(stack)?.[0] ?? '';
  if (!stack.startsWith(`${error.message}\n    at `, head.length)) return { message };
  return { message, stack: head + message + stack.slice(head.length + error.message.length) };
}

/** Of a call to the system: with the address that it was to, but not with a file's path, which holds a key. */
function describeCall(error: Error): string | undefined {
  if (!('syscall' in error) || !('code' in error)) return undefined;
  return 'path' in error || 'dest' in error ? `${String(error.code)}: ${String(error.syscall)}` : error.message;
}

const isShort = (value: unknown): value is string | number =>
  typeof value === 'number' || (typeof value === 'string' && value.length <= 100);

/** Of an answer: its own, or where the AWS SDK keeps it. */
function findStatus(error: Error): number | undefined {
  if ('status' in error && typeof error.status === 'number') return error.status;
  if ('$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null) {
    const { $metadata: metadata } = error;
    if ('httpStatusCode' in metadata && typeof metadata.httpStatusCode === 'number') return metadata.httpStatusCode;
  }
  return undefined;
}
