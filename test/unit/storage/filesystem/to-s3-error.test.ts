// Each of the system's refusals has one S3 answer, with its cause behind it and nothing of it in the message.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { toS3Error } from '../../../../src/storage/filesystem/to-s3-error.ts';

const systemError = (code: string) =>
  Object.assign(new Error(`${code}: write '/secret/path'`), { code, syscall: 'write' });

test.each([
  ['ENOSPC', 'InsufficientStorage', 507, false],
  ['EDQUOT', 'InsufficientStorage', 507, false],
  ['EFBIG', 'InsufficientStorage', 507, false],
  ['ENAMETOOLONG', 'KeyTooLongError', 400, false],
  ['EACCES', 'InternalError', 500, false],
  ['EROFS', 'InternalError', 500, false],
  ['EIO', 'InternalError', 500, false],
  ['EMFILE', 'ServiceUnavailable', 503, true],
])('%s is %s', (errno, code, status, retryable) => {
  const cause = systemError(errno);
  const error = toS3Error(cause);
  expect(error).toBeInstanceOf(S3Error);
  expect(error).toMatchObject({ code, status, retryable, cause, message: expect.not.stringContaining('secret') });
});

test('a real error of the file system is known as one', async () => {
  const error = await readFile('/nowhere/at/all').catch(toS3Error);
  expect(error).toMatchObject({ code: 'InternalError', cause: { code: 'ENOENT' } });
});

test('errors of others are given back as they are', () => {
  const s3Error = new S3Error('IncompleteBody');
  const socketError = Object.assign(new Error('reset'), { code: 'ERR_STREAM_DESTROYED' });
  expect(toS3Error(s3Error)).toBe(s3Error);
  expect(toS3Error(socketError)).toBe(socketError);
  expect(toS3Error('reason')).toBe('reason');
});
