// CreateMultipartUpload: the client cuts the object into parts itself, and completes or aborts it.
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';
import { writeInitiateMultipartUploadResult } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';
import { createGraceMs, outlive } from './outlive.ts';

export async function createMultipartUpload(context: OperationContext, headers: ObjectHeaders): Promise<HttpResponse> {
  const { storage, object, clientBucket, clientKey, settings, request, toClientUploadId } = context;
  const { signal } = request;
  // The answer holds the id by which the upload is aborted: to hang up on it would leave the upload open for ever.
  const created = await withRetries(
    () => outlive(signal, createGraceMs, (late) => storage.createMultipartUpload(object, headers, late)),
    { retry: settings.retry, signal },
  );
  if (signal.aborted) {
    await abortUntold(context, created.uploadId);
    throw signal.reason;
  }
  const uploadId = toClientUploadId?.(created.uploadId) ?? created.uploadId;
  return xmlResponse(
    writeInitiateMultipartUploadResult({ bucket: clientBucket, key: clientKey, uploadId }),
    created.headers,
  );
}

/** The client has left before it was told the id, and nobody else will ever have it. */
async function abortUntold(context: OperationContext, uploadId: string): Promise<void> {
  const { openUploads, configuredBucket, object, storage } = context;
  const open = await openUploads.opened(configuredBucket, { ...object, uploadId }, storage);
  await open.abort();
}
