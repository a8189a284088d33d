// UploadPart: one part that the client cut, streamed like any other body.
import { S3Error } from '../../errors.ts';
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import { IncomingBody } from '../body/incoming-body.ts';
import { sendWhole } from '../body/send-whole.ts';
import { createVerifier, expectedDigests } from '../body/verify.ts';
import type { OperationContext } from '../operation-context.ts';
import { storedResponse } from '../stored-response.ts';

export async function uploadPart(
  { request, storage, object, budget, settings }: OperationContext,
  { uploadId, partNumber }: { uploadId: string; partNumber: number },
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const { length } = request.body;
  const maxBytes = Math.min(settings.maxObjectBytes, storage.limits.maxPartBytes);
  if (length !== undefined && length > maxBytes) throw new S3Error('EntityTooLarge');
  const verifier = createVerifier({ length, maxBytes, digests: expectedDigests(request.headers) });
  const upload = { ...object, uploadId };
  const stored = await sendWhole(
    (outgoing, signal) => storage.uploadPart(upload, partNumber, headers, outgoing, signal),
    {
      body: new IncomingBody(request.body, verifier, length),
      budget,
      retry: settings.retry,
      signal: request.signal,
    },
  );
  return storedResponse(stored);
}
