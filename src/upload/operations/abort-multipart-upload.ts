// AbortMultipartUpload: gives up an upload that the client began, with all of its parts.
import type { HttpResponse } from '../../http.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';

export async function abortMultipartUpload(
  { request, storage, object, settings }: OperationContext,
  { uploadId }: { uploadId: string },
): Promise<HttpResponse> {
  const { signal } = request;
  await withRetries(() => storage.abortMultipartUpload({ ...object, uploadId }, signal), {
    retry: settings.retry,
    signal,
  });
  return { status: 204, headers: [] };
}
