// ListParts: the parts of one upload that the client began, a page at a time.
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';
import { writeListPartsResult } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';

export async function listParts(
  { request, storage, object, clientBucket, clientKey, settings, toClientUploadId }: OperationContext,
  { uploadId, maxParts, partNumberMarker }: { uploadId: string; maxParts: number; partNumberMarker: number },
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const { signal } = request;
  const page = await withRetries(
    () => storage.listParts({ ...object, uploadId }, { maxParts, partNumberMarker }, headers, signal),
    { retry: settings.retry, signal },
  );
  return xmlResponse(
    writeListPartsResult({
      bucket: clientBucket,
      key: clientKey,
      uploadId: toClientUploadId?.(uploadId) ?? uploadId,
      maxParts,
      partNumberMarker,
      ...page,
    }),
  );
}
