// CreateMultipartUpload: the client cuts the object into parts itself, and completes or aborts it.
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';
import { writeInitiateMultipartUploadResult } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';

export async function createMultipartUpload(context: OperationContext, headers: ObjectHeaders): Promise<HttpResponse> {
  const { storage, object, clientBucket, clientKey, settings, request, toClientUploadId } = context;
  const { signal } = request;
  const created = await withRetries(() => storage.createMultipartUpload(object, headers, signal), {
    retry: settings.retry,
    signal,
  });
  const uploadId = toClientUploadId?.(created.uploadId) ?? created.uploadId;
  return xmlResponse(
    writeInitiateMultipartUploadResult({ bucket: clientBucket, key: clientKey, uploadId }),
    created.headers,
  );
}
