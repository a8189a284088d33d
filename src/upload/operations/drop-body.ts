// The body of an operation that has no use for one: held to what is signed of it like any other, and dropped.
import type { IncomingBody } from '../body/incoming-body.ts';
import { openBody } from '../body/open-body.ts';
import type { OperationContext } from '../operation-context.ts';

/** S3 takes such a body too, and says of none how long it may be. */
const maxDroppedBytes = 64 * 1024;

/** @throws as `openBody`. */
export function openUnusedBody(context: OperationContext): IncomingBody {
  // Checksum headers here are of the object that is to come; Content-MD5 is of the body.
  return openBody(context, { maxBytes: maxDroppedBytes, hasChecksum: false });
}

/** @throws S3Error when it is not what was signed, and as `openUnusedBody`. */
export async function dropBody(context: OperationContext): Promise<void> {
  const body = openUnusedBody(context);
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunk.release();
}
