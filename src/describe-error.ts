// A fault as the log tells of it: what it is and where, and nothing else that a library has hung on it, such as a request.

export interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | number;
  readonly status?: number;
  readonly stack?: string;
  readonly cause?: DescribedError;
  /** Of an AggregateError. */
  readonly errors?: readonly DescribedError[];
}

const maxDepth = 5;
const maxErrors = 10;

/** @param hidesPaths where lines shall hold no object key as it is: in a path of the storage there is one. */
export function describeError(error: unknown, hidesPaths: boolean, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name: type, cause } = error;
  const { message, stack } = hidesPaths && hasPath(error) ? withoutPath(error) : error;
  const code = 'code' in error && isShort(error.code) ? error.code : undefined;
  const status = findStatus(error);
  const errors = error instanceof AggregateError ? error.errors.slice(0, maxErrors) : undefined;
  return {
    type,
    message,
    ...(code !== undefined && { code }),
    ...(status !== undefined && { status }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && depth < maxDepth && { cause: describeError(cause, hidesPaths, depth + 1) }),
    ...(errors !== undefined &&
      depth < maxDepth && { errors: errors.map((one: unknown) => describeError(one, hidesPaths, depth + 1)) }),
  };
}

/** Of a call to the file system, whose message names what it was called with. */
const hasPath = (error: Error): error is NodeJS.ErrnoException =>
  'syscall' in error && ('path' in error || 'dest' in error);

function withoutPath({ code, syscall, message, stack = '' }: NodeJS.ErrnoException): Pick<Error, 'message' | 'stack'> {
  const said = `${code}: ${syscall}`;
  const at = stack.indexOf(message);
  if (at === -1) return { message: said };
  return { message: said, stack: stack.slice(0, at) + said + stack.slice(at + message.length) };
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
