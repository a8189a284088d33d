// What the operating system refused, as S3 says it. Source of the codes: errno(3).
import { S3Error, type S3ErrorCode } from '../../errors.ts';

const codes: Record<string, S3ErrorCode> = {
  ENOSPC: 'InsufficientStorage',
  EDQUOT: 'InsufficientStorage',
  // The largest file that the file system or the process's limits allow.
  EFBIG: 'InsufficientStorage',
  ENAMETOOLONG: 'KeyTooLongError',
};

/** Passing shortages: the same call may succeed when others have ended. */
const passing = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY', 'ESTALE']);

/** Errors that are not of the file system (the body's, the signal's reason, S3Error) are given back as they are. */
export function toS3Error(error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  if (passing.has(errno)) return new S3Error('ServiceUnavailable', { cause: error, retryable: true });
  return new S3Error(codes[errno] ?? 'InternalError', { cause: error });
}

/** Whether the file system answered with this code. */
export function isErrno(error: unknown, ...errnos: readonly string[]): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && errnos.includes(errno);
}

function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
