// UploadPart: one part that the client cut, streamed like any other body.
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import type { IncomingBody } from '../body/incoming-body.ts';
import { openBody } from '../body/open-body.ts';
import { sendWhole } from '../body/send-whole.ts';
import type { OperationContext } from '../operation-context.ts';
import { storedResponse } from '../stored-response.ts';

/** @throws as `openBody`. */
export function openPartBody(context: OperationContext): IncomingBody {
  const { storage, settings, inspector } = context;
  return openBody(context, { maxBytes: Math.min(settings.maxObjectBytes, storage.limits.maxPartBytes), inspector });
}

export async function uploadPart(
  context: OperationContext,
  { uploadId, partNumber }: { uploadId: string; partNumber: number },
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const { request, storage, object, budget, settings } = context;
  const body = openPartBody(context);
  const upload = { ...object, uploadId };
  const stored = await sendWhole(
    (outgoing, signal) => storage.uploadPart(upload, partNumber, headers, outgoing, signal),
    {
      body,
      budget,
      retry: settings.retry,
      signal: request.signal,
    },
  );
  return storedResponse(stored);
}
