// Which S3 error something is refused with.
import { S3Error } from '../../src/errors.ts';

/** @returns the code of the refusal, or `accepted`. @throws whatever is thrown and is no S3Error. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}
